"""The page of a trace: its data rebuild the frames, it needs nothing else, and nothing written in it comes to life."""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trace_fixtures
from page_fixtures import Elements
from trace_fixtures import EOS, MASK, frame

from dlm_length.denoising import LengthChange
from dlm_length.policies.smartcrop import termination_cdf
from dlm_length.trace.page import trace_page
from dlm_length.trace.record import Frame, Trace

HOSTILE = "</script><b onmouseover='x'>\u2028 \"quoted\" 'single' & <!-- {{data}} \\u003c ]]> 語 🙂"
FRAMES = (
    frame(1, [MASK] * 6, [MASK] * 4, LengthChange(1, "crop", 4, 6, 4), probe=True),
    frame(2, [MASK] * 4, [MASK, 7, MASK, MASK, MASK, MASK], LengthChange(2, "insert", 2, 4, 6)),
    frame(3, [MASK, 7, MASK, MASK, MASK, MASK], [5, 7, MASK, MASK, 8, MASK]),
    frame(
        4,
        [5, 7, MASK, MASK, 8, MASK],
        [5, 7, 1, MASK, 8, MASK, MASK, EOS, EOS],
        LengthChange(4, "append", 6, 6, 7),
        LengthChange(4, "append", 7, 7, 9),
    ),
    frame(5, [5, 7, 1, MASK, 8, MASK, MASK, EOS, EOS], [5, 7, 1, 2, 8, 3, 4, EOS, EOS]),
)


def trace(frames: Sequence[Frame] = FRAMES, **fields: Any) -> Trace:
    return trace_fixtures.trace(frames, **fields)


def data_of(page: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Elements(page).all("script")[0][1])
    return data


def positions(gaps: Sequence[int]) -> list[int]:
    return np.cumsum(gaps).astype(int).tolist()


def probabilities(packed: str) -> list[float]:
    return [int(packed[place : place + 2], 36) / 1000 for place in range(0, len(packed), 2)]


def test_the_data_rebuild_every_frame() -> None:
    data = data_of(trace_page(trace()))
    ids, guesses = list(data["first"]), [-1] * len(data["first"])
    for stored, seen in zip(data["frames"], FRAMES, strict=True):
        masked = seen.masked.tolist()
        for position, token in zip(positions(stored["p"]), stored["q"], strict=True):
            guesses[position] = token
        assert ids == seen.before.tolist()
        assert [guesses[position] for position in masked] == seen.token[masked].tolist()
        assert probabilities(stored["m"]) == pytest.approx(seen.confidence[masked], abs=5e-4)
        assert probabilities(stored["e"]) == pytest.approx(seen.eos[masked], abs=5e-4)
        assert stored["w"] == [0, 2]
        assert stored["l"] == pytest.approx(seen.eos_tail, abs=1e-4)
        assert stored["d"] == pytest.approx(seen.eos_density, abs=1e-4)
        assert stored.get("probe", False) == seen.probe
        for position, token in zip(positions(stored["c"]), stored["t"], strict=True):
            assert ids[position] == MASK
            ids[position] = token
        assert ids == seen.filled.tolist()
        changes = [(change.kind, change.position, change.before, change.after) for change in seen.changes]
        assert list(map(tuple, stored.get("ch", []))) == changes
        kept = ids, guesses
        ids, guesses = [], []
        for start, count, *token in stored.get("r", [[0, len(kept[0])]]):
            ids += token * count if start < 0 else kept[0][start : start + count]
            guesses += [-1] * count if start < 0 else kept[1][start : start + count]
        assert ids == seen.after.tolist()


def test_a_forward_over_the_prompt_alone_comes_before_any_canvas() -> None:
    """As block-causal loops fill their cache."""
    frames = (
        frame(1, [], [MASK] * 2, LengthChange(1, "append", 0, 0, 2)),
        frame(2, [MASK] * 2, [7, MASK], token=np.array([7, 8])),
    )
    data = data_of(trace_page(trace(frames)))
    first, second = data["frames"]
    assert data["first"] == []
    assert (first["p"], first["r"], "d" in first) == ([], [[-1, 2, MASK]], False)
    assert (positions(second["p"]), second["q"], positions(second["c"])) == ([0, 1], [7, 8], [0])


def test_only_probes_have_the_termination_cdf_with_the_ends_that_the_policy_counts() -> None:
    for policy, ends in (
        ({"name": "smartcrop", "tau": 0.85}, FRAMES[0].eos),
        ({"name": "smartcrop", "tau": 0.85, "include_eot": True}, FRAMES[0].eos + FRAMES[0].eot),
    ):
        first, *others = data_of(trace_page(trace(policy=policy)))["frames"]
        assert probabilities(first["f"]) == pytest.approx(termination_cdf(ends), abs=5e-4)
        assert not any("f" in stored for stored in others)


def test_tau_is_stored_where_the_policy_crops_by_it() -> None:
    def tau(**policy: Any) -> float | None:
        found: float | None = data_of(trace_page(trace(policy={"name": "x", **policy})))["tau"]
        return found

    assert (tau(tau=0.85), tau()) == (0.85, None)
    assert (tau(tau=0.9, length_from="smartcrop"), tau(tau=0.9, length_from="initial_adjustment")) == (0.9, None)


def test_the_head_has_the_facts() -> None:
    facts = dict(data_of(trace_page(trace()))["facts"])
    assert facts == {
        "sample": "task/7",
        "benchmark": "the benchmark",
        "model": "the model",
        "policy": "smartcrop",
        "experiment": "the experiment",
        "prompt tokens": "1,011",
        "n_token": "9",
        "e_token": "1,012",
        "NFE (of them probes)": "1,013 (1,014)",
        "sum of L": "1,015",
        "head rows": "1,016",
    }


def test_hostile_text_stays_text() -> None:
    tame = Elements(trace_page(trace()))
    page = trace_page(
        trace(prompt=HOSTILE, answer=HOSTILE, sample_id=HOSTILE, text=lambda _: HOSTILE, policy={"name": HOSTILE})
    )
    found = Elements(page)
    assert [tag for tag, _ in found.opened] == [tag for tag, _ in tame.opened]
    assert found.all("script")[1] == tame.all("script")[1]
    data = data_of(page)
    assert (data["prompt"], data["answer"], data["policy"]["name"]) == (HOSTILE, HOSTILE, HOSTILE)
    assert set(data["texts"].values()) == {HOSTILE}
    assert found.all("title")[0][1].strip() == f"{HOSTILE} · {HOSTILE} · the model"
    assert "\u2028" not in found.all("script")[0][1]


def test_the_page_needs_nothing_but_itself() -> None:
    page = trace_page(trace())
    addresses = re.findall(r"""\b(?:src|href|action|url)\s*[=(]\s*["']?([^"')\s>]+)""", page)
    assert addresses == ["data:,"]
    assert "{{" not in page
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}, "a name, not an address"


def test_a_long_trace_stays_small() -> None:
    """500 forwards over 2,000 positions: a few megabytes."""
    length, ids, frames = 2000, np.full(2000, MASK), []
    random = np.random.default_rng(0)
    for number in range(500):
        after = ids.copy()
        after[4 * number : 4 * number + 4] = random.integers(0, 900, 4)
        token = np.where(random.random(length) < 0.1, random.integers(0, 900, length), 5)
        frames.append(frame(number, ids, after, token=token, eos=random.random(length)))
        ids = after
    assert len(trace_page(trace(frames))) < 5e6


def test_a_browser_shows_the_frame_that_the_address_names(chromium: str, tmp_path: Path) -> None:
    (tmp_path / "trace.html").write_text(trace_page(trace(prompt=HOSTILE, text=lambda token: f"<{token}>")))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    address = f"file://{tmp_path}/trace.html#4"
    done = subprocess.run([*command, address], capture_output=True, text=True, timeout=120, check=True)
    shown = done.stdout
    assert "<dt>forward</dt><dd>4 of 5</dd>" in shown
    assert "<dt>length</dt><dd>6 → 9</dd>" in shown
    spans = Elements(shown).all("span")
    cells = {int(attrs["data-position"] or 0): (attrs, text) for attrs, text in spans if "data-position" in attrs}
    assert [cells[position][1] for position in range(6)] == ["<5>", "<7>", "<1>", cells[3][1], "<8>", cells[5][1]]
    assert [position for position, (attrs, _) in cells.items() if "now" in (attrs["class"] or "").split()] == [2]
