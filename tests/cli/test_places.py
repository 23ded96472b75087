"""Places where nothing can be written: one sentence, and all is as it was."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.records import read_samples

Dlmlen = Callable[..., tuple[int | str | None, str, str]]
RUN = ("run", "--config", "tiny_gsm8k_fixed", "policy.length=8", "hardware.max_batch_tokens=400")
QUESTIONS = "benchmark.path=questions.jsonl"
LONG = "n" * 300


def refused(done: tuple[int | str | None, str, str], *told: str, exit_code: int = 1) -> None:
    code, _, error = done
    assert code == exit_code, error
    assert "Traceback" not in error
    (sentence,) = [line for line in error.splitlines() if line.startswith("Error: ")]
    assert all(word in sentence for word in told), sentence


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """By kind, a place in the folder of the test where no file can be written, and why."""
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    return {
        "link": "is a link, not a file",
        "pipe": "is a pipe, not a file",
        "/dev/null": "is a device, not a file",
        LONG: "File name too long",
    }


def test_no_file_replaces_what_is_none(dlmlen: Dlmlen, places: dict[str, str]) -> None:
    assert dlmlen(*RUN, QUESTIONS)[0] == 0
    (run,) = (str(path) for path in Path("results").glob("*/*"))
    Path("answers.jsonl").write_text(json.dumps({"id": "gsm8k/0", "text": "2"}) + "\n")
    answers = ("score", "--answers", "answers.jsonl", "--benchmark", "gsm8k", QUESTIONS)
    trace = ("trace", *RUN[1:], QUESTIONS, "--sample", "0")
    for place, told in places.items():
        for command in (("score", run, "--output"), (*answers, "--output"), (*trace, "--html")):
            refused(dlmlen(*command, place), f"{place}: ", told)
    assert Path("/dev/null").is_char_device()
    assert Path("link").is_symlink()
    assert Path("target").read_text() == "kept"


@pytest.mark.parametrize("place", ["/dev/null", "questions.jsonl", LONG, f"{LONG}/deeper"])
def test_no_folder_is_made_of_what_is_none(dlmlen: Dlmlen, place: str) -> None:
    before = Path("questions.jsonl").read_bytes()
    refused(dlmlen(*RUN, QUESTIONS, f"output.directory={place}"), place)
    refused(dlmlen("sweep", "tau", *RUN[1:], "policy=smartcrop", QUESTIONS, f"output.directory={place}"), place)
    assert dlmlen(*RUN, QUESTIONS)[0] == 0
    named_wrongly = LONG not in place  # an option's value that is wrong by itself, before anything is written
    refused(dlmlen("report", "--no-figures", "--out", place), place, exit_code=2 if named_wrongly else 1)
    assert Path("questions.jsonl").read_bytes() == before


def test_a_full_disk_is_told_and_what_was_begun_goes_on(dlmlen: Dlmlen, full: Path) -> None:
    command = (*RUN, "benchmark=mini_gsm8k", "benchmark.limit=100", f"output.directory={full}")
    (full / "other").write_bytes(b"x" * 190_000)
    refused(dlmlen(*command), "cannot be written (No space left on device)")
    (run,) = full.glob("*/*/")
    begun = read_samples(run)
    assert 0 < len(begun) < 100
    (full / "other").unlink()
    assert dlmlen(*command)[0] == 0
    assert read_samples(run)[: len(begun)] == begun
    assert not list(run.glob("*.tmp"))

    assert dlmlen("report", str(run), "--no-figures", "--format", "csv", "--out", str(full / "report"))[0] == 0
    before = {file: file.read_bytes() for file in (full / "report").rglob("*") if file.is_file()}
    room = os.statvfs(full).f_bavail * os.statvfs(full).f_frsize
    (full / "other").write_bytes(b"x" * (room - 8_000))
    refused(dlmlen("report", str(run), "--no-figures", "--out", str(full / "report")), str(full / "report"), "No space")
    assert {file: file.read_bytes() for file in (full / "report").rglob("*") if file.is_file()} == before
    refused(dlmlen("score", str(run), "--output", str(full / "verdicts.jsonl")), "No space left on device")
    assert not (full / "verdicts.jsonl").exists()
    room = os.statvfs(full).f_bavail * os.statvfs(full).f_frsize
    (full / "another").write_bytes(b"x" * room)
    refused(dlmlen("probe", str(run)), "No space left on device")
