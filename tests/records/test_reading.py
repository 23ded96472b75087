"""A damaged file of a run is an error that names the file and its fault."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.records import RecordError, RunFolder, read_metrics, read_samples, read_summaries, read_timing

DEEP = b"[" * 100_000

Read = Callable[[Path], object]
READERS: dict[str, Read] = {
    "environment.json": lambda run: RunFolder(run).sessions,
    "lengths.json": lambda run: RunFolder(run).lengths,
    "metrics.json": read_metrics,
    "samples.jsonl": read_samples,
    "timing.json": read_timing,
}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("environment.json", b"null", "not a list of the run's sessions ("),
        ("environment.json", b"{}", "not a list of the run's sessions ("),
        ("environment.json", b"[null]", "not a list of the run's sessions ("),
        ("environment.json", b"[[]]", "not a list of the run's sessions ("),
        ("environment.json", b"[{}]", "0.dtype: Field required"),
        ("environment.json", b'[{"dtype": 3}]', "0.dtype: "),
        ("environment.json", b'[{"dtype": "float32", "runs_together": "x"}]', "0.runs_together: "),
        ("environment.json", b'[{"dtype": "float32", "rescored": 3}]', "0.rescored: "),
        ("environment.json", DEEP, "not a list of the run's sessions ("),
        ("environment.json", b"", "not a list of the run's sessions ("),
        ("environment.json", b"\xff\xfe", "not UTF-8 text (byte 0)"),
        ("lengths.json", b"[]", "not a table of lengths ("),
        ("lengths.json", b'{"a": 0}', "not a table of lengths (a: "),
        ("lengths.json", b"\xff\xfe", "not UTF-8 text (byte 0)"),
        ("metrics.json", b"\xff\xfe", "not UTF-8 text (byte 0)"),
        ("metrics.json", b"null", "not the metrics of a run ("),
        ("metrics.json", DEEP, "not the metrics of a run ("),
        ("timing.json", b"\xff\xfe", "not UTF-8 text (byte 0)"),
        ("samples.jsonl", b"null\n", "line 1: "),
        ("samples.jsonl", b"\xff\xfe\n", "line 1: "),
        ("samples.jsonl", DEEP + b"\n", "line 1: "),
    ],
)
def test_another_content_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordError, match=f"run {tmp_path / name}") as refused:
        READERS[name](tmp_path)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("name", READERS)
def test_a_folder_in_a_files_place_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(RecordError, match=r"cannot be read \(Is a directory\)") as refused:
        READERS[name](tmp_path)
    assert str(tmp_path / name) in str(refused.value)


def test_sessions_are_returned_unchanged(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text('[{"started": "now", "dtype": "float32", "other": [1, {"a": null}]}]')
    (session,) = RunFolder(tmp_path).sessions
    assert list(session.items()) == [("started", "now"), ("dtype", "float32"), ("other", [1, {"a": None}])]


def test_a_run_without_samples_has_none(tmp_path: Path) -> None:
    assert read_summaries(tmp_path) == []
