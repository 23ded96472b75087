"""A study takes what other experiments have finished, and writes into its own runs' folders alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from run_fixtures import Configure, Watch

from dlm_length.config import Block, RunConfig, Study
from dlm_length.records import RecordError, Shard, read_samples
from dlm_length.records.schema import WORKERS_DIED
from dlm_length.runner import run, run_shard, run_study, run_study_shard

Lose = Callable[[Path, int], str]


def study_of(*runs: RunConfig) -> Study:
    return Study("s", (Block(None, tuple(each.model_copy(update={"experiment": "s"}) for each in runs)),))


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its time of change."""
    return {
        str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def lose() -> Lose:
    """Makes a sample of a run one whose workers died; its id."""

    def lose(run: Path, number: int) -> str:
        records = read_samples(run)
        records[number] = records[number].model_copy(update={"error": f"{WORKERS_DIED} 2 times (x)", "score": None})
        (run / "samples.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in records))
        return records[number].id

    return lose


@pytest.mark.parametrize("shards", [None, 1, 2])
def test_a_finished_run_of_another_experiment_is_taken_and_left_as_it_is(
    configure: Configure, watch: Watch, shards: int | None
) -> None:
    """Its lock and what a killed merge left there included."""
    there = run(configure(), watch).path
    (there / ".lock").unlink(missing_ok=True)
    (there / "shards" / "1-of-2").mkdir(parents=True)
    (there / "shards" / "1-of-2" / "run.log").write_text("left by a merge that was killed\n")
    before = content(there)
    own = configure("policy.length=4")
    study = study_of(configure(), own)
    if shards is None:
        finished = run_study(study, watch).blocks[0].runs
        assert [each.path for each in finished] == [there, own.run_path.parent.with_name("s") / own.run_path.name]
        assert [each.generated for each in finished] == [0, 4]
    else:
        made = [run_study_shard(study, Shard(number + 1, shards), watch) for number in range(shards)]
        assert sum(each.generated for each in made) == 4
        assert set(made[-1].merged) == {there, own.run_path.parent.with_name("s") / own.run_path.name}
    assert content(there) == before
    assert list((there / "shards").iterdir()), "it is merged by its own command"


@pytest.mark.parametrize("sharded", [False, True])
def test_a_run_of_another_experiment_that_lost_samples_is_made_anew_in_ones_own(
    configure: Configure, watch: Watch, lose: Lose, sharded: bool
) -> None:
    there = run(configure(), watch).path
    lose(there, 1)
    before = content(there)
    study = study_of(configure())
    made = run_study_shard(study, Shard(1, 1), watch) if sharded else run_study(study, watch)
    own = there.parent.with_name("s") / there.name
    assert [record.error for record in read_samples(own)] == [None] * 4
    assert content(there) == before
    if not sharded:
        lose(own, 0)
        assert [each.generated for each in run_study(study, watch).blocks[0].runs] == [1], "its own are made again"
    assert made


def test_a_run_of_another_experiment_in_another_dtype_is_refused(configure: Configure, watch: Watch) -> None:
    run(configure(), watch)
    with pytest.raises(RecordError, match="was begun in float32, but would continue in bfloat16"):
        run_study(study_of(configure("hardware.dtype=bfloat16")), watch)


def test_what_was_lost_in_a_merged_run_is_named(configure: Configure, watch: Watch, lose: Lose) -> None:
    config = configure()
    assert run_shard([config], Shard(1, 1), watch).lost == {}
    name = lose(config.run_path, 2)
    made = run_shard([config], Shard(1, 1), watch)
    assert (made.generated, made.merged, made.lost) == (0, (config.run_path,), {config.run_path: (name,)})
    assert run(config, watch).generated == 1
    assert run_shard([config], Shard(1, 1), watch).lost == {}
