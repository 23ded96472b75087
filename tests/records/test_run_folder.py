"""The folder of a run: recovery after a kill at any moment, and refused records."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dlm_length
from dlm_length.common import SpecialTokens
from dlm_length.denoising import Canvas, LengthChange
from dlm_length.records import (
    LengthChangeRecord,
    RecordError,
    RunFolder,
    RunMetrics,
    SampleRecord,
    read_metrics,
    read_samples,
    run_folder,
)
from dlm_length.records.files import write_atomically
from dlm_length.records.schema import WORKERS_DIED

ENVIRONMENT = {"dtype": "float32", "seed": 0}
Make = Callable[..., SampleRecord]


def begun(path: Path, environment: dict[str, object] | None = None) -> list[SampleRecord]:
    """The samples that a new session finds from earlier ones."""
    with RunFolder(path) as folder:
        folder.begin("config", environment or ENVIRONMENT)
        return read_samples(path)


def test_appended_samples_are_found_by_the_next_session(tmp_path: Path, make_sample: Make) -> None:
    run = tmp_path / "some" / "run"
    with RunFolder(run) as folder:
        assert folder.begin("first: 1\n", {"dtype": "float32", "host": "a"}) == 0
        folder.append(make_sample("a"))
    with RunFolder(run) as folder:
        assert folder.begin("second: 2\n", {"dtype": "float32", "host": "b"}) == 1
        assert read_samples(run) == [make_sample("a")]
        folder.append(make_sample("b"))
        assert not folder.finished
    assert read_samples(run) == [make_sample("a"), make_sample("b")]
    sessions = json.loads((run / "environment.json").read_text())
    assert [session["host"] for session in sessions] == ["a", "b"]
    assert all("started" in session for session in sessions)
    assert (run / "config.yaml").read_text() == "second: 2\n"


def test_a_kill_at_any_byte_keeps_the_whole_lines_and_drops_the_torn_one(tmp_path: Path, make_sample: Make) -> None:
    """Every prefix of a file, cuts inside a line, a number or a character of several bytes included."""
    records = [make_sample(sample_id, prompt="é🙂", extracted={}, details={}) for sample_id in "abc"]
    whole = [(record.model_dump_json() + "\n").encode() for record in records]
    content = b"".join(whole)
    ends = [len(b"".join(whole[: count + 1])) for count in range(len(whole))]
    file = tmp_path / "samples.jsonl"
    for size in range(len(content) + 1):
        file.write_bytes(content[:size])
        complete = sum(end <= size for end in ends)
        assert read_samples(tmp_path) == records[:complete], "a reader passes the torn line over"
    for size in {*range(0, len(content) + 1, 23), *ends, *(end - 1 for end in ends), *(end + 1 for end in ends[:-1])}:
        file.write_bytes(content[:size])
        complete = sum(end <= size for end in ends)
        assert begun(tmp_path) == records[:complete]
        assert file.read_bytes() == b"".join(whole[:complete]), "a new session removes it"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_kills_in_a_row_lose_and_double_nothing(
    tmp_path: Path, make_sample: Make, sessions: list[tuple[int, str]], data: st.DataObject
) -> None:
    """Sessions that each write some samples and are killed in the middle of a line; the last one finishes the rest."""
    shutil.rmtree(run := tmp_path / "run", ignore_errors=True)
    ids = [str(number) for number in range(8)]
    for count, text in sessions:
        with RunFolder(run) as folder:
            folder.begin("config", ENVIRONMENT)
            done = read_samples(run)
            todo = [name for name in ids if name not in {record.id for record in done}]
            for name in todo[:count]:
                folder.append(make_sample(name, prompt=text))
        size = (run / "samples.jsonl").stat().st_size if (run / "samples.jsonl").exists() else 0
        before = len(b"".join((record.model_dump_json() + "\n").encode() for record in done))
        if size > before:
            os.truncate(run / "samples.jsonl", data.draw(st.integers(before, size)))
    with RunFolder(run) as folder:
        folder.begin("config", ENVIRONMENT)
        done = read_samples(run)
        for name in ids:
            if name not in {record.id for record in done}:
                folder.append(make_sample(name))
    assert sorted(record.id for record in read_samples(run)) == ids


LOST = f"{WORKERS_DIED} 2 times (a node was lost)"


@pytest.mark.parametrize(("counted", "finished"), [(("a", "lost", "b"), False), (("a", "b"), True)])
def test_samples_whose_workers_died_are_removed_with_metrics_that_count_them(
    tmp_path: Path,
    make_sample: Make,
    make_metrics: Callable[..., RunMetrics],
    monkeypatch: pytest.MonkeyPatch,
    counted: tuple[str, ...],
    finished: bool,
) -> None:
    """Killed at the worst moment, the run is unfinished, and not finished with fewer samples than it counts."""
    failed = make_sample("failed", error="the prompt is too long", score=None)
    kept = [make_sample("a", prompt="one\r\u2028two\nthree"), make_sample("b"), failed]
    with RunFolder(tmp_path) as folder:
        folder.fill("config", [ENVIRONMENT], [kept[0], make_sample("lost", error=LOST, score=None), *kept[1:]])
        folder.finish(make_metrics(sample_ids=counted, samples=len(counted)))
    before = (tmp_path / "samples.jsonl").read_bytes()

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "write_atomically", kill)
        with pytest.raises(KeyboardInterrupt):
            begun(tmp_path)
    assert (tmp_path / "samples.jsonl").read_bytes() == before
    assert RunFolder(tmp_path).finished == finished
    assert begun(tmp_path) == kept
    assert (tmp_path / "samples.jsonl").read_text().count("\n") == len(kept)
    assert RunFolder(tmp_path).finished == finished


def test_a_run_that_is_filled_at_once_is_as_one_that_was_appended_to(tmp_path: Path, make_sample: Make) -> None:
    one, other, samples = tmp_path / "one", tmp_path / "other", [make_sample(name) for name in "ab"]
    with RunFolder(one) as folder:
        folder.begin("config", ENVIRONMENT)
        for sample in samples:
            folder.append(sample)
    with RunFolder(other) as folder:
        folder.fill("config", RunFolder(one).sessions, samples)
        assert not folder.finished
    for name in ("config.yaml", "environment.json", "samples.jsonl"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_lines_are_on_disk_one_by_one(tmp_path: Path, make_sample: Make) -> None:
    with RunFolder(tmp_path) as folder:
        folder.begin("config", ENVIRONMENT)
        for count, name in enumerate("abc", start=1):
            folder.append(make_sample(name))
            assert len(read_samples(tmp_path)) == count


def test_an_id_that_occurs_twice_is_reported_with_its_line(tmp_path: Path, make_sample: Make) -> None:
    lines = [make_sample(name).model_dump_json() + "\n" for name in ("a", "b", "a")]
    (tmp_path / "samples.jsonl").write_text("".join(lines))
    with pytest.raises(RecordError, match=r"samples\.jsonl, line 3: sample 'a' is recorded twice"):
        read_samples(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line[:40], "Invalid JSON"),
        (lambda _: b"\xff\xfe", "Invalid JSON"),
        (lambda _: b"", "Invalid JSON"),
        (lambda _: b"[]", "Input should be an object"),
        (lambda line: line.replace(b'"n_token":13', b'"n_token":-1'), "n_token: "),
        (lambda line: line.replace(b'"nfe":200', b'"nfe":1.5'), "ledger.probe.nfe: "),
        (lambda line: line.replace(b'"score":0.625,', b""), "score: Field required"),
        (lambda line: line.replace(b'"score"', b'"invented":1,"score"'), "invented: "),
    ],
)
def test_a_broken_line_in_the_middle_is_an_error(
    tmp_path: Path, make_sample: Make, change: Callable[[bytes], bytes], message: str
) -> None:
    """Only the last line can be torn by a kill: this file was damaged in some other way, and nothing is dropped."""
    lines = [make_sample(name).model_dump_json().encode() for name in ("a", "b", "c")]
    broken = change(lines[1])
    assert broken != lines[1]
    content = b"\n".join([lines[0], broken, lines[2], b""])
    (tmp_path / "samples.jsonl").write_bytes(content)
    for read in (read_samples, begun):
        with pytest.raises(RecordError) as refused:
            read(tmp_path)
        assert f"{tmp_path / 'samples.jsonl'}, line 2: {message}" in str(refused.value)
    assert (tmp_path / "samples.jsonl").read_bytes() == content


def test_no_samples_yet(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
    assert begun(tmp_path) == []


HOLD = """
import sys
from dlm_length.records import RunFolder
with RunFolder(__import__("pathlib").Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(dlm_length.__file__).parents[1])}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RecordError, match="another process is writing it") as refused, RunFolder(tmp_path):
            pytest.fail("two processes held one run")
        assert str(tmp_path) in str(refused.value)
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert begun(tmp_path) == [], "a killed process's lock is gone with it"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"cannot be written \(.+\); see output\.directory") as refused:
        begun(tmp_path / "file" / "run")
    assert str(tmp_path / "file" / "run") in str(refused.value)


def test_metrics_mark_a_run_as_finished(tmp_path: Path, metrics: RunMetrics) -> None:
    with RunFolder(tmp_path) as folder:
        folder.begin("config", ENVIRONMENT)
        with pytest.raises(RecordError, match="no run"):
            read_metrics(tmp_path)
        assert not folder.finished
        folder.finish(metrics)
        assert folder.finished
    assert read_metrics(tmp_path) == metrics


def test_undefined_metrics_stay_undefined(tmp_path: Path, metrics: RunMetrics) -> None:
    unscored = metrics.model_copy(update={"score": None, "e_ratio": None})
    with RunFolder(tmp_path) as folder:
        folder.finish(unscored)
    assert json.loads((tmp_path / "metrics.json").read_text())["score"] is None
    assert read_metrics(tmp_path) == unscored


@pytest.mark.parametrize(
    ("failing", "target"), [("fsync", "os.fsync"), ("rename", "pathlib.Path.replace"), ("open", "pathlib.Path.open")]
)
def test_a_failure_while_metrics_are_written_leaves_the_old_file(
    tmp_path: Path, metrics: RunMetrics, monkeypatch: pytest.MonkeyPatch, failing: str, target: str
) -> None:
    with RunFolder(tmp_path) as folder:
        folder.finish(metrics)

        def fail(*_: object, **__: object) -> None:
            raise OSError(failing)

        with monkeypatch.context() as patch:
            patch.setattr(target, fail)
            with pytest.raises(RecordError, match=rf"metrics\.json: cannot be written \({failing}\)\."):
                folder.finish(metrics.model_copy(update={"samples": 99}))
        assert read_metrics(tmp_path) == metrics
        folder.finish(metrics.model_copy(update={"samples": 99}))
    assert read_metrics(tmp_path).samples == 99


def test_a_failure_before_the_first_metrics_leaves_an_unfinished_run(
    tmp_path: Path, metrics: RunMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("full")

    with RunFolder(tmp_path) as folder:
        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(RecordError, match=r"cannot be written \(full\)\."):
            folder.finish(metrics)
        assert not folder.finished


def test_a_text_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text in ("é long text", "short", ""):
        write_atomically(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "Invalid JSON"), ("{}", "schema_version: Field required")],
)
def test_broken_metrics_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(RecordError, match=r"metrics\.json: ") as refused:
        read_metrics(tmp_path)
    assert message in str(refused.value)


def test_a_broken_environment_is_named(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text("[")
    with pytest.raises(RecordError, match=r"environment\.json: not a list of the run"):
        begun(tmp_path)


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    run = write_run(tmp_path / "run", ["a"], finished=False)
    with pytest.raises(RecordError, match="not finished; run it again to continue"):
        read_metrics(run)


def test_an_earlier_run_is_set_aside_whole(tmp_path: Path, make_sample: Make, metrics: RunMetrics) -> None:
    with RunFolder(tmp_path / "run") as folder:
        assert folder.set_aside() is None
        kept = []
        for number in (1, 2):
            folder.begin(f"config {number}", ENVIRONMENT)
            folder.append(make_sample(str(number)))
            folder.finish(metrics)
            aside = folder.set_aside()
            assert aside is not None
            kept.append(aside)
            assert not folder.finished
            assert folder.begin("config", ENVIRONMENT) == 0
            assert read_samples(folder.path) == []
    assert kept[0] == tmp_path / "run.old1"
    assert kept[1] == tmp_path / "run.old2"
    for number, old in enumerate(kept, start=1):
        assert [sample.id for sample in read_samples(old)] == [str(number)]
        assert (old / "config.yaml").read_text() == f"config {number}"
        assert read_metrics(old) == metrics


def test_precomputed_lengths_are_kept_for_every_session(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        assert folder.lengths is None
        folder.write_lengths({"gsm8k/0": 7, "é": 12})
    with RunFolder(tmp_path) as folder:
        assert folder.lengths == {"gsm8k/0": 7, "é": 12}
        folder.write_lengths({"gsm8k/0": 9})
        assert folder.lengths == {"gsm8k/0": 9}


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 0}', '{"a": "x"}', '{"a": 1'])
def test_broken_lengths_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "lengths.json").write_text(text)
    with RunFolder(tmp_path) as folder, pytest.raises(RecordError, match=r"lengths\.json: not a table of lengths \("):
        folder.lengths  # noqa: B018


def test_lengths_are_set_aside_with_the_run_they_belong_to(tmp_path: Path) -> None:
    """Also where a run was interrupted before its first sample, and there is nothing else."""
    with RunFolder(tmp_path / "run") as folder:
        folder.write_lengths({"a": 7})
        assert folder.set_aside() == tmp_path / "run.old1"
        assert folder.lengths is None
    assert json.loads((tmp_path / "run.old1" / "lengths.json").read_text()) == {"a": 7}


def test_changes_of_length_come_back_as_they_were_written(tmp_path: Path, make_sample: Make) -> None:
    made = Canvas(5, SpecialTokens(mask=0, eos=1))
    made.append_masks(6)
    made.forwards += 1
    made.expand(4, 3, 7)
    made.forwards += 2
    made.crop(0)
    kept = [LengthChangeRecord.model_validate(asdict(change)) for change in made.changes]
    with RunFolder(tmp_path) as folder:
        folder.begin("config", ENVIRONMENT)
        folder.append(make_sample("a", changes=kept))
        folder.append(make_sample("b", changes=[]))
    read = [[LengthChange(**change.model_dump()) for change in record.changes] for record in read_samples(tmp_path)]
    assert read == [made.changes, []]
    assert [change.kind for change in read[0]] == ["append", "insert", "crop"]


def test_a_kill_while_setting_aside_leaves_no_half_finished_run(
    tmp_path: Path, make_sample: Make, metrics: RunMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is left reads as no run, or as an unfinished one that can be continued; never as finished."""
    rename = Path.rename
    for kill_after in range(5):
        run = tmp_path / f"run{kill_after}"
        moved = 0

        def killed(self: Path, target: Path, kill_after: int = kill_after) -> Path:
            nonlocal moved
            if moved == kill_after:
                raise KeyboardInterrupt
            moved += 1
            return rename(self, target)

        with RunFolder(run) as folder:
            folder.begin("config", ENVIRONMENT)
            folder.append(make_sample("a"))
            folder.finish(metrics)
            with monkeypatch.context() as patch:
                patch.setattr(Path, "rename", killed)
                if kill_after < 4:
                    with pytest.raises(KeyboardInterrupt):
                        folder.set_aside()
                else:
                    folder.set_aside()
            whole = all((run / name).exists() for name in ("config.yaml", "environment.json", "samples.jsonl"))
            assert whole or not folder.finished


def test_a_run_keeps_its_dtype(tmp_path: Path, make_sample: Make, metrics: RunMetrics) -> None:
    """The run's name does not depend on the dtype, as it does not depend on the machine."""
    with RunFolder(tmp_path) as folder:
        folder.begin("config", {"dtype": "bfloat16"})
        folder.append(make_sample("a"))
        message = (
            f"run {tmp_path}: was begun in bfloat16, but would continue in float32. Pass hardware.dtype=bfloat16, or"
        )
        for finished in (False, True):
            assert folder.finished == finished
            with pytest.raises(RecordError) as refused:
                folder.check_dtype("float32")
            assert message in str(refused.value)
            folder.check_dtype("bfloat16")
            folder.finish(metrics)
    with pytest.raises(RecordError, match="was begun in bfloat16"):
        begun(tmp_path, {"dtype": "float32"})
    assert len(json.loads((tmp_path / "environment.json").read_text())) == 1, "a refused session is none"
