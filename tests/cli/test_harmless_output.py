"""What a model, a data set or a config wrote cannot steer the terminal, whichever command shows it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.engine import Generation

SMALL = ("policy.length=8", "hardware.max_batch_tokens=400")
EVIL = "\x1b[2J\x1b]0;title\x07\u202e\x9b31m\rgone"
STEERING = set("\x1b\x07\x9b\r\u202e")
Dlmlen = Callable[..., tuple[int | str | None, str, str]]


def harmless(done: tuple[int | str | None, str, str]) -> tuple[int | str | None, str, str]:
    assert not STEERING & set(done[1] + done[2])
    return done


@pytest.fixture
def evil(dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch) -> Dlmlen:
    """The command line, in a folder where questions, ids and answers hold escapes."""
    rows = [
        {"q_id": f"{number}{EVIL}", "title": f"Why {EVIL}?", "answers": {"text": [f"Because {EVIL} {number}."]}}
        for number in range(2)
    ]
    Path("qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(Generation, "text", lambda _: f"because {EVIL}")
    return dlmlen


def runs() -> list[str]:
    return sorted(str(path) for path in Path("results").glob("*/*") if path.is_dir())


def test_no_command_passes_escapes_on(evil: Dlmlen) -> None:
    qa = ("--config", "tiny_gsm8k_fixed", "benchmark=longformqa", "benchmark.path=qa.jsonl", *SMALL)
    assert harmless(evil("run", *qa, f"model.label=la{EVIL}bel"))[0] == 0
    (first,) = runs()
    second = f"{first}-second"
    shutil.copytree(first, second)
    lines = (Path(second) / "samples.jsonl").read_text().splitlines()
    records = [json.loads(line) | {"score": 1.0} for line in lines]
    (Path(second) / "samples.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    code, shown, _ = harmless(evil("compare", first, second))
    assert code == 0
    assert "\\x1b[2J" in shown, "the answers and ids are shown"
    assert harmless(evil("score", first, "benchmark.stemming=false"))[0] == 0
    assert harmless(evil("report", *runs()[:1], "--no-figures", "--format", "markdown"))[0] == 0
    assert harmless(evil("trace", *qa, "--sample", "0"))[0] == 0


def test_no_error_passes_escapes_on(evil: Dlmlen) -> None:
    Path("bad.jsonl").write_text(json.dumps({"question": "q", f"ans{EVIL}wer": "a"}) + "\n")
    Path("answers.jsonl").write_text(json.dumps({f"id{EVIL}": "x", "text": EVIL}) + "\n")
    config = ("run", "--config", "tiny_gsm8k_fixed", *SMALL)
    for arguments in (
        (*config, "benchmark.path=bad.jsonl"),
        (*config, f"benchmark.{EVIL}=1"),
        (*config, f"benchmark.path={EVIL}"),
        ("run", "--config", EVIL),
        ("compare", EVIL, "nothing"),
        ("score", "--answers", "answers.jsonl", "--benchmark", "mini_gsm8k"),
        ("report", EVIL),
    ):
        code, _, error = harmless(evil(*arguments))
        assert code in (1, 2), arguments
        assert "Error: " in error
        assert "Traceback" not in error


def test_a_notice_and_a_table_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from dlm_length.cli.display import RunDisplay, show_notice, show_table
    from dlm_length.reports.table import text_table

    show_table(text_table("evil", EVIL, ("", EVIL), ((EVIL, "[red]1"),), (EVIL,)))
    show_notice(Console(), EVIL)
    with RunDisplay() as display:
        display.phase(EVIL)
        display.notice(EVIL)
    shown = capsys.readouterr()
    assert not STEERING & set(shown.out + shown.err)
    assert "[red]1" in shown.out
    assert shown.out.count("\\x1b[2J") == 5
