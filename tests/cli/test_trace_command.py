"""`dlmlen trace` as a user meets it: a line for every forward, the answer, the page, what is refused."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_fixtures import CommandLine
from rich.text import Text

from dlm_length.common import SpecialTokens
from dlm_length.denoising import LengthChange
from dlm_length.trace import terminal
from dlm_length.trace.record import Frame
from dlm_length.trace.terminal import TraceDisplay, laid_out, line

DAEDAL = """
extends: tiny_gsm8k_fixed
benchmark: {path: questions.jsonl}
policy:
  {name: daedal, initial_length: 16, max_length: 96, block_length: 8, tau_eos: 0.05, tau_expand: 1.0, tau_low: 0.4}
"""
MASK = 90


@pytest.fixture
def dlmlen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine) -> CommandLine:
    """`dlmlen trace` on three questions under DAEDAL, in this process and an empty working folder."""
    monkeypatch.chdir(tmp_path)
    asked = ("Tom has 3 apples and buys 4 more. How many apples does he have?", "What is 17 plus 25?", "What is 1?")
    rows = [{"question": question, "answer": "#### 7"} for question in asked]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("growing.yaml").write_text(DAEDAL)
    return partial(command_line, "trace", "--config", "growing")


def test_piped_output_is_a_line_for_every_forward_and_the_answer(dlmlen: CommandLine) -> None:
    done = dlmlen("--sample", "0")
    assert done.code == 0
    assert done.stderr.splitlines() == [
        "reading the config ...",
        "loading torch and transformers ...",
        "preparing the prompt",
        "loading the model",
    ]
    forwards, _, answer = done.stdout.partition("Answer after ")
    lines = forwards.splitlines()
    assert [told.partition(":")[0] for told in lines] == [
        f"forward {number}{' (probe)' if number == 1 else ''}" for number in range(1, len(lines) + 1)
    ]
    assert "\x1b" not in done.stdout
    assert lines[0].startswith("forward 1 (probe): length 16 -> 32, committed 16 (+0), window 0 to 15, append at 16, ")
    grown = [told for told in lines if "insert at" in told]
    assert grown
    assert all(re.match(r"forward \d+: length \d+ -> \d+, committed \d+ \(\+\d+\), window", told) for told in grown)
    assert re.fullmatch(rf"{len(lines)} forwards \(1 of them probes\), \d+ tokens:\n.*", answer, re.DOTALL)
    assert answer.endswith("#### 4\n")


def test_the_page_is_written_beside_the_lines(dlmlen: CommandLine) -> None:
    Path("page.html").write_text("an older page")
    done = dlmlen("--sample", "gsm8k/0", "--html", "page.html")
    assert done.code == 0
    assert done.stderr.endswith("Page: page.html\n")
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count('"probe":true') == 1
    assert [path.name for path in Path().glob("*page*")] == ["page.html"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--sample", "9"], 2, "Error: --sample: found '9'; allowed: one of this config's 3 problems"),
        (["--sample", "0", "--html", "no/page.html"], 2, "Error: --html no/page.html: there is no folder no"),
        (["--sample", "0", "--html", "."], 2, "Error: --html .: is a folder; name a file in it"),
        (["--sample", "0", "policy.tau=0.9"], 2, "policy.tau: unknown field"),
        (["--sample", "0", "policy.initial_length=2000", "policy.max_length=2000"], 1, "Error: sample 'gsm8k/0': "),
        (["--sample", "0", "--delay", "-1"], 2, "--delay"),
        ([], 2, "--sample"),
    ],
)
def test_mistakes_are_told_in_a_sentence(dlmlen: CommandLine, arguments: list[str], code: int, told: str) -> None:
    done = dlmlen(*arguments)
    assert (done.code, done.stdout) == (code, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_that_cannot_be_written_is_told(dlmlen: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.fsync", refuse)
    done = dlmlen("--sample", "0", "--html", "page.html")
    assert done.code == 1
    assert "Error: page.html: cannot be written (Permission denied)." in done.stderr


def test_on_a_terminal_the_canvas_is_drawn(dlmlen: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "70", "LINES": "20"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    slept: list[float] = []
    monkeypatch.setattr(terminal.time, "sleep", slept.append)
    done = dlmlen("--sample", "0", "--delay", "0.5")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout)
    assert done.code == 0
    assert "forward 1 (probe): window 0 to 15, append at 16" in plain
    assert "↵####·4∎∎∎" in plain
    assert "committed now" in plain
    assert plain.rstrip().endswith("#### 4")
    assert set(slept) == {0.5}
    assert len(slept) == len(set(re.findall(r"forward (\d+)", plain)))


def frame(before: list[int], after: list[int], *changes: LengthChange, **fields: Any) -> Frame:
    length = len(before)
    given = {
        "forward": 3,
        "probe": False,
        "queried": np.array([1, 2]),
        "before": np.array(before),
        "after": np.array(after),
        "token": np.full(length, 1),
        "confidence": np.linspace(0.0, 1.0, length),
        "eos": np.full(length, 0.25),
        "eot": np.zeros(length),
        "changes": changes,
        "tokens": SpecialTokens(mask=MASK, eos=1),
    }
    return Frame(**given | fields)


def test_a_forward_in_a_line() -> None:
    told = line(frame([5, MASK, MASK, MASK], [5, 6, MASK], LengthChange(3, "crop", 3, 4, 3)))
    assert told == (
        "forward 3: length 4 -> 3, committed 2 (+1), window 1 to 2, crop at 3, "
        "100% of masks predict EOS, mean p(EOS) of the last 32 0.250"
    )
    nothing = line(frame([5, 6], [5, 6], queried=np.array([], dtype=np.int64), probe=True))
    assert nothing.startswith("forward 3 (probe): length 2, committed 2 (+0), no window, - of masks predict EOS")


def test_a_long_canvas_shows_the_rows_around_its_window(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = [Text(f"{position:03}") for position in range(200)]
    rows = laid_out(tokens, 30)
    assert [row.plain for row, _ in rows][:2] == ["000001002003004005006007008009", "010011012013014015016017018019"]
    assert [end for _, end in rows] == list(range(10, 201, 10))
    shown = [row.plain[:3] for row in terminal._around(rows, (57, 60), 4)]
    assert shown == ["040", "050", "060", "070"], "one row of what came before"
    assert [row.plain[:3] for row in terminal._around(rows, (195, 199), 4)] == ["160", "170", "180", "190"]
    assert len(terminal._around(rows[:3], None, 4)) == 3


def test_wide_characters_count_twice() -> None:
    rows = laid_out([Text("語"), Text("語"), Text("a" * 9), Text("b")], 4)
    assert [(row.plain, end) for row, end in rows] == [("語語", 2), ("a" * 9, 3), ("b", 4)]


def test_what_stands_for_each_position(monkeypatch: pytest.MonkeyPatch) -> None:
    display = TraceDisplay(0.0)
    display.begin(lambda token: f"<{token}>")
    seen = frame([5, MASK, MASK, MASK], [5, 6, MASK, MASK, MASK], LengthChange(3, "insert", 2, 4, 5))
    tokens = display._tokens(seen)
    assert [token.plain for token in tokens] == ["<5>", "<6>", "▓", "█"]
    assert [str(token.style) for token in tokens] == [
        "",
        "bold reverse underline",
        "bold magenta reverse underline",
        "",
    ]
