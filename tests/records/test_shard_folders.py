"""Shards of a run on disk: which are allowed, and which cannot be merged into one run."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dlm_length.common import ConfigError
from dlm_length.records import (
    RecordError,
    RunFolder,
    RunInUseError,
    SampleRecord,
    Shard,
    absorb_shards,
    check_alike,
    find_sharded,
    find_unfinished,
    is_run_folder,
    open_shard,
    open_whole,
    read_samples,
    recorded_ids,
    remove_shards,
    shard_path,
    shards_of,
)

MakeSample = Callable[..., SampleRecord]


@pytest.fixture
def make_sample(make_sample: MakeSample) -> MakeSample:
    """A sample of the first session."""
    return lambda name: make_sample(name).model_copy(update={"session": 0})


SESSION = {"dtype": "float32", "checkpoint": "c0ffee", "dlmlen": "0.1.0", "torch": "2.13.0"}
CONFIG: Mapping[str, Any] = {
    "model": {"path": "m"},
    "policy": {"name": "fixed", "length": 8},
    "benchmark": {"name": "gsm8k", "limit": 4},
    "hardware": {"seed": 0, "compile": False},
}


def fill(run: Path, shard: Shard, samples: list[SampleRecord], session: Mapping[str, Any] = SESSION) -> None:
    with open_shard(run, shard, CONFIG) as folder:
        folder.begin(json.dumps(CONFIG), session)
        for sample in samples:
            folder.append(sample)


def test_a_shard_is_a_number_of_a_count() -> None:
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"
    assert [Shard.of_index(index, 3).number for index in range(5)] == [1, 2, 3, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/16", r"numbered from 1 to 16\. Did you mean '1/16'\?"),
        ("17/16", r"Did you mean '16/16'\?"),
        ("3", "expected NUMBER/COUNT, such as 3/16"),
        ("-1/4", "expected NUMBER/COUNT"),
        ("1/0", "found 0 shards, allowed are 1 to"),
    ],
)
def test_a_text_that_is_not_a_shard_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Shard.parse(text)


def test_absorbed_samples_keep_their_sessions(tmp_path: Path, make_sample: MakeSample) -> None:
    fill(tmp_path, Shard(2, 2), [make_sample("b")])
    fill(tmp_path, Shard(1, 2), [make_sample("a")])
    fill(tmp_path, Shard(1, 2), [make_sample("c").model_copy(update={"session": 1})])
    assert shards_of(tmp_path) == [Shard(1, 2), Shard(2, 2)]
    with open_whole(tmp_path) as folder:
        absorb_shards(folder)
        assert [(record.id, record.session) for record in read_samples(tmp_path)] == [("a", 0), ("c", 1), ("b", 2)]
        assert [session["shard"] for session in folder.sessions] == ["1/2", "1/2", "2/2"]
        whole = (tmp_path / "samples.jsonl").read_bytes(), (tmp_path / "environment.json").read_bytes()
        absorb_shards(folder)  # as after a merge that was killed before it removed the shards
        assert whole == ((tmp_path / "samples.jsonl").read_bytes(), (tmp_path / "environment.json").read_bytes())
        remove_shards(folder)
    assert not (tmp_path / "shards").exists()
    assert recorded_ids(tmp_path) == dict.fromkeys("acb")


def test_a_sample_that_was_made_twice_is_named(tmp_path: Path, make_sample: MakeSample) -> None:
    fill(tmp_path, Shard(1, 2), [make_sample("a"), make_sample("b")])
    fill(tmp_path, Shard(2, 2), [make_sample("b").model_copy(update={"elapsed": 77.0}), make_sample("c")])
    with pytest.raises(RecordError, match=r"1 sample was generated twice, in shard 1/2 and in shard 2/2: b\..*2-of-2"):
        recorded_ids(tmp_path)
    with open_whole(tmp_path) as folder, pytest.raises(RecordError, match="generated twice"):
        absorb_shards(folder)
    assert not (tmp_path / "samples.jsonl").exists()


def test_shards_of_another_count_or_selection_are_refused(tmp_path: Path, make_sample: MakeSample) -> None:
    fill(tmp_path, Shard(1, 2), [make_sample("a")])
    with pytest.raises(RecordError, match=r"has shards of 2 \(1/2\), but 1/3 was given"):
        fill(tmp_path, Shard(1, 3), [])
    other = {**CONFIG, "benchmark": {"name": "gsm8k", "limit": 8}}
    refused = pytest.raises(
        RecordError, match=r"1/2 and 2/2 were given different configs: benchmark.limit differ \(.*8"
    )
    with refused, open_shard(tmp_path, Shard(2, 2), other):
        pass


@pytest.mark.parametrize("field", ["torch", "dlmlen", "checkpoint"])
def test_shards_of_other_versions_do_not_become_one_run(tmp_path: Path, make_sample: MakeSample, field: str) -> None:
    fill(tmp_path, Shard(1, 2), [make_sample("a")])
    other = SESSION | {field: "another"}
    with pytest.raises(RecordError, match=rf"shards 1/2 and 2/2 do not belong to one run: {field} is .*--fresh"):
        check_alike(tmp_path, other, Shard(2, 2))
    fill(tmp_path, Shard(2, 2), [], other)
    check_alike(tmp_path)  # a session that left no sample decided nothing
    with open_shard(tmp_path, Shard(2, 2), CONFIG) as folder:
        folder.append(make_sample("b"))
    with open_whole(tmp_path) as whole, pytest.raises(RecordError, match="do not belong to one run"):
        absorb_shards(whole)


def test_a_shard_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    with open_shard(tmp_path, Shard(1, 2), CONFIG), open_shard(tmp_path, Shard(2, 2), CONFIG):
        with pytest.raises(RecordError, match="shard 1/2 is being executed by another process"):
            fill(tmp_path, Shard(1, 2), [])
        with pytest.raises(RunInUseError, match="shard 1/2 is being executed"), open_whole(tmp_path):
            pass
    with open_whole(tmp_path):
        pass


def test_fresh_sets_aside_only_one_shard(tmp_path: Path, make_sample: MakeSample) -> None:
    fill(tmp_path, Shard(1, 2), [make_sample("a")])
    fill(tmp_path, Shard(2, 2), [make_sample("b")])
    with open_shard(tmp_path, Shard(1, 2), CONFIG, fresh=True) as folder:
        assert read_samples(folder.path) == []
    assert list(recorded_ids(tmp_path)) == ["b"]
    aside = shard_path(tmp_path, Shard(1, 2)).with_name("1-of-2.old1")
    assert [record.id for record in read_samples(aside)] == ["a"]


def test_fresh_of_a_shard_is_refused_where_samples_are_merged(tmp_path: Path, make_sample: MakeSample) -> None:
    fill(tmp_path, Shard(1, 1), [make_sample("a")])
    with open_whole(tmp_path) as folder:
        absorb_shards(folder)
        remove_shards(folder)
    with (
        pytest.raises(RecordError, match="has merged samples already"),
        open_shard(tmp_path, Shard(1, 1), CONFIG, fresh=True),
    ):
        pass


def test_a_merged_run_keeps_the_logs_and_events_of_its_shards(tmp_path: Path, make_sample: MakeSample) -> None:
    for number, name in ((1, "a"), (2, "b")):
        shard = Shard(number, 2)
        fill(tmp_path, shard, [make_sample(name)])
        (shard_path(tmp_path, shard) / "run.log").write_text(f"log of {name}\n")
        (shard_path(tmp_path, shard) / "tensorboard").mkdir()
        (shard_path(tmp_path, shard) / "tensorboard" / "events").write_text(f"events of {name}")
    with open_whole(tmp_path) as folder:
        absorb_shards(folder)
        remove_shards(folder)
    assert (tmp_path / "run.log").read_text() == "log of a\nlog of b\n"
    events = {file.parent.name: file.read_text() for file in tmp_path.glob("tensorboard/*/events")}
    assert events == {"1-of-2": "events of a", "2-of-2": "events of b"}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("removed", range(7))
def test_a_merge_that_was_killed_while_it_removed_the_shards_is_made_again(
    tmp_path: Path, make_sample: MakeSample, monkeypatch: pytest.MonkeyPatch, removed: int, reverse: bool
) -> None:
    """Whichever files of a shard were gone by then: file systems list them in any order."""
    logs = {"a": "1 begins\n1 sample a\n", "b": "2 begins\n2 sample b\n"}
    for number, (name, log) in enumerate(logs.items(), start=1):
        fill(tmp_path, Shard(number, 2), [make_sample(name)])
        (shard_path(tmp_path, Shard(number, 2)) / "run.log").write_text(log)

    def kill(folder: Path, **_: object) -> None:
        for file in sorted(folder.iterdir(), reverse=reverse)[:removed]:
            file.unlink()
        raise KeyboardInterrupt

    with open_whole(tmp_path) as folder:
        absorb_shards(folder)
        whole = (tmp_path / "samples.jsonl").read_bytes(), (tmp_path / "environment.json").read_bytes()
        with monkeypatch.context() as patched:
            patched.setattr("shutil.rmtree", kill)
            with pytest.raises(KeyboardInterrupt):
                remove_shards(folder)
    if (left := shard_path(tmp_path, Shard(1, 2)) / "run.log").exists():
        left.write_text(logs["a"] + "1 goes on\n")  # its command was given once more
        logs["a"] += "1 goes on\n"
    with open_whole(tmp_path) as folder:
        absorb_shards(folder)
        remove_shards(folder)
    assert not (tmp_path / "shards").exists()
    assert whole == ((tmp_path / "samples.jsonl").read_bytes(), (tmp_path / "environment.json").read_bytes())
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert sorted(lines) == sorted("".join(logs.values()).splitlines())


def test_a_run_in_shards_is_found_as_one_run(tmp_path: Path, make_sample: MakeSample) -> None:
    run = tmp_path / "experiment" / "gsm8k__m__fixed__00000000"
    fill(run, Shard(1, 2), [make_sample("a")])
    finished = tmp_path / "experiment" / "other"
    finished.mkdir()
    (finished / "metrics.json").write_text("{}")
    assert find_sharded([tmp_path]) == [run]
    assert find_sharded([run]) == [run]
    assert find_unfinished([tmp_path]) == [run]
    assert is_run_folder(run)
    assert RunFolder(run).set_aside() == run.with_name(f"{run.name}.old1")
    assert find_sharded([tmp_path]) == []
