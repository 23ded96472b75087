"""Atomic writing of files, and the errors where they cannot be written."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dlm_length
from dlm_length.records import (
    RecordError,
    RunFolder,
    RunMetrics,
    SampleRecord,
    check_writable,
    write_atomically,
    write_first_eos,
)
from dlm_length.records.files import files_named

SETS_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
from dlm_length.records import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomically(Path(sys.argv[1]), "x" * 5000)
"""


def refusal(write: Callable[[], object]) -> str:
    with pytest.raises(RecordError) as refused:
        write()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("write", [lambda path: write_atomically(path, "new"), check_writable])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("link", "is a link, not a file, and is left as it is."),
        ("broken link", "is a link, not a file, and is left as it is."),
        ("pipe", "is a pipe, not a file, and is left as it is."),
        ("device", "is a device, not a file, and is left as it is."),
        ("folder", "is a folder, not a file, and is left as it is."),
        ("long name", "cannot be written (File name too long)."),
        ("no folder", "cannot be written (No such file or directory)."),
        ("below a file", "cannot be written (Not a directory)."),
    ],
)
def test_a_path_that_is_not_a_file_is_reported_and_left_unchanged(
    tmp_path: Path, write: Callable[[Path], None], kind: str, message: str
) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    other.write_text("kept")
    match kind:
        case "link":
            path.symlink_to(other)
        case "broken link":
            path.symlink_to(tmp_path / "nothing")
        case "pipe":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/null")
        case "folder":
            path.mkdir()
        case "long name":
            path = tmp_path / ("n" * 300)
        case "no folder":
            path = tmp_path / "nowhere" / "file"
        case "below a file":
            path = other / "file"
    before = [(entry.name, entry.lstat().st_mode, entry.lstat().st_ino) for entry in tmp_path.iterdir()]
    assert refusal(lambda: write(path)) == f"{path}: {message}"
    assert [(entry.name, entry.lstat().st_mode, entry.lstat().st_ino) for entry in tmp_path.iterdir()] == before
    assert other.read_text() == "kept"
    assert Path("/dev/null").is_char_device()


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    check_writable(path)
    write_atomically(path, "text")
    assert path.read_text() == "text"


def test_a_full_disk_is_reported_and_leaves_the_old_file(full: Path) -> None:
    write_atomically(full / "file", "old")
    message = refusal(lambda: write_atomically(full / "file", "x" * 400_000))
    assert message == f"{full / 'file'}: cannot be written (No space left on device)."
    assert [entry.name for entry in full.iterdir()] == ["file"], "and no temporary one"
    assert (full / "file").read_text() == "old"


def test_a_file_that_grows_too_large_is_reported_and_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files fails at the same place as a full disk."""
    assert resource.RLIMIT_FSIZE is not None
    (tmp_path / "file").write_text("old")
    root = str(Path(dlm_length.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", SETS_A_LIMIT, str(tmp_path / "file")],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RecordError" in done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_full_disk_leaves_samples_that_can_be_continued(
    full: Path, make_sample: Callable[..., SampleRecord], metrics: RunMetrics
) -> None:
    from dlm_length.records import read_samples

    environment = {"dtype": "float32"}
    with RunFolder(full / "run") as folder:
        folder.begin("config", environment)
        written: list[str] = []

        def fill() -> None:
            for number in range(1000):
                folder.append(make_sample(f"task/{number}", prompt="x" * 900))
                written.append(f"task/{number}")

        assert refusal(fill) == (
            f"{full / 'run' / 'samples.jsonl'}: cannot be written (No space left on device)."
            " What is recorded stays; the same command continues it."
        )
        assert "No space left" in refusal(lambda: folder.finish(metrics))
    assert len(written) > 5
    assert [record.id for record in read_samples(full / "run")] == written


def test_temporary_files_of_killed_writers_are_removed_when_a_run_is_opened(
    tmp_path: Path, metrics: RunMetrics
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".metrics.json.{gone.pid}.tmp").write_text("{")
    (tmp_path / f".first_eos.npz.{gone.pid}.tmp").write_text("half")
    (tmp_path / f".first_eos.npz.{os.getppid()}.tmp").write_text("of a process that lives")
    (tmp_path / ".notes.tmp").write_text("mine")
    with RunFolder(tmp_path) as folder:
        folder.finish(metrics)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        ".lock",
        ".notes.tmp",
        f".first_eos.npz.{os.getppid()}.tmp",
        "metrics.json",
    }


def test_a_folder_in_the_place_of_any_file_of_a_run_is_reported(
    tmp_path: Path, make_sample: Callable[..., SampleRecord], metrics: RunMetrics
) -> None:
    for name in ("metrics.json", "samples.jsonl", "lengths.json", "environment.json", "config.yaml", "first_eos.npz"):
        (tmp_path / name / "sub").mkdir(parents=True)
    with RunFolder(tmp_path) as folder:
        writers: dict[str, Callable[[], object]] = {
            "metrics.json": lambda: folder.finish(metrics),
            "samples.jsonl": lambda: folder.append(make_sample("a")),
            "lengths.json": lambda: folder.write_lengths({"a": 1}),
            "config.yaml": lambda: folder.write_config("text", replacing=True),
            "first_eos.npz": lambda: write_first_eos(tmp_path, {}),
        }
        for name, write in writers.items():
            assert refusal(write).startswith(f"{tmp_path / name}: ")


def test_files_are_found_while_other_folders_are_removed(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name / "shards").mkdir(parents=True)
        (tmp_path / name / "shards" / "config.yaml").touch()
    found = []
    for file in files_named("config.yaml", tmp_path):
        found.append(file)
        for other in {"a", "b", "c"} - {file.parent.parent.name}:
            shutil.rmtree(tmp_path / other, ignore_errors=True)
    assert len(found) == 1
