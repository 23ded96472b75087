"""A run's folder holds the samples of every time it was asked; its metrics are of those asked for last."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from table_helpers import text_rows

from dlm_length.analysis.runs import read_run
from dlm_length.benchmarks import Benchmark
from dlm_length.config import Block, RunConfig, Study, load_config
from dlm_length.records import RecordError, RunMetrics, SampleRecord, read_metrics, read_samples
from dlm_length.reports import study_table
from dlm_length.runner import run, run_study

Configure = Callable[..., RunConfig]
Timeless = Callable[[Sequence[SampleRecord]], dict[str, dict[str, Any]]]
TIMES = {"forward_seconds", "wall_clock_seconds", "tokens_per_second"}


def ids(path: Path) -> list[str]:
    return [record.doc_id for record in read_samples(path)]


def counted(metrics: RunMetrics) -> dict[str, Any]:
    return metrics.model_dump(exclude=TIMES)


def test_more_samples_are_added_and_fewer_are_read(
    configure: Configure, watch: Any, timeless: Timeless, no_model: Callable[[], None]
) -> None:
    two = run(configure("benchmark.limit=2"), watch)
    before = (two.path / "samples.jsonl").read_bytes()
    four = run(configure(), watch)
    assert (four.path, four.generated, four.metrics.samples) == (two.path, 2, 4)
    assert (four.path / "samples.jsonl").read_bytes().startswith(before), "nothing is generated again"
    whole = run(configure(where="whole"), watch)
    assert timeless(read_samples(four.path)) == timeless(read_samples(whole.path))
    assert counted(four.metrics) == counted(whole.metrics)

    no_model()
    chosen = run(configure("benchmark.sample_ids=[gsm8k/3, gsm8k/1]"), watch)
    assert (chosen.path, chosen.generated) == (two.path, 0)
    assert chosen.metrics.sample_ids == ("gsm8k/3", "gsm8k/1")
    assert load_config(chosen.path / "config.yaml").benchmark.sample_ids == ("gsm8k/3", "gsm8k/1")
    assert read_run(chosen.path).samples.keys() == {"gsm8k/1", "gsm8k/3"}
    scores = {record.id: record.score for record in read_samples(chosen.path)}
    assert chosen.metrics.score == (scores["gsm8k/1"] + scores["gsm8k/3"]) / 2
    again = run(configure("benchmark.limit=2"), watch)
    assert counted(again.metrics) == counted(two.metrics)
    assert sorted(ids(again.path)) == [0, 1, 2, 3]


def test_the_clock_of_some_samples_is_their_share(configure: Configure, watch: Any) -> None:
    whole = run(configure(), watch)
    one = run(configure("benchmark.limit=1"), watch)
    seconds = {record.id: record.ledger.total.seconds for record in read_samples(one.path)}
    share = seconds["gsm8k/0"] / sum(seconds.values())
    assert one.metrics.wall_clock_seconds == pytest.approx(whole.metrics.wall_clock_seconds * share)


def test_a_run_that_is_killed_while_it_grows_is_still_the_smaller_one(
    configure: Configure, watch: Any, interrupting: Callable[[int], Any]
) -> None:
    two = run(configure("benchmark.limit=2"), watch)
    grown = configure("hardware.max_batch_tokens=1")
    with pytest.raises(KeyboardInterrupt):
        run(grown, interrupting(3))
    assert len(read_samples(two.path)) == 3
    assert read_metrics(two.path) == two.metrics
    assert load_config(two.path / "config.yaml").benchmark.limit == 2
    assert run(grown, watch).generated == 1
    assert load_config(two.path / "config.yaml").benchmark == grown.benchmark
    assert read_metrics(two.path).samples == 4


def test_samples_that_were_cut_are_generated_again(configure: Configure, watch: Any, timeless: Timeless) -> None:
    config = configure()
    first = run(config, watch)
    records = read_samples(first.path)
    lines = (first.path / "samples.jsonl").read_text().splitlines(keepends=True)
    (first.path / "samples.jsonl").write_text(lines[0] + lines[2] + lines[3][:30])
    again = run(config, watch)
    assert again.generated == 2
    assert timeless(read_samples(first.path)) == timeless(records)
    assert counted(again.metrics) == counted(first.metrics)
    (first.path / "samples.jsonl").unlink()
    assert run(config, watch).generated == 4


def test_a_config_that_was_deleted_is_written_again(
    configure: Configure, watch: Any, no_model: Callable[[], None]
) -> None:
    config = configure()
    path = run(config, watch).path
    (path / "config.yaml").unlink()
    no_model()
    assert run(config, watch).generated == 0
    assert (path / "config.yaml").read_text() == config.to_yaml()


def test_records_of_schema_version_1_are_of_all_their_samples(
    configure: Configure, watch: Any, no_model: Callable[[], None]
) -> None:
    path = run(configure(), watch).path
    old = json.loads((path / "metrics.json").read_text())
    del old["sample_ids"]
    (path / "metrics.json").write_text(json.dumps(old | {"schema_version": 1}))
    no_model()
    before = (path / "metrics.json").read_bytes()
    assert run(configure(), watch).generated == 0
    assert (path / "metrics.json").read_bytes() == before
    assert len(read_run(path).samples) == 4
    assert run(configure("benchmark.limit=3"), watch).metrics.sample_ids == ("gsm8k/0", "gsm8k/1", "gsm8k/2")


def test_data_that_changed_are_told_also_where_other_samples_are_asked_for(
    configure: Configure, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Benchmark, "data_digest", None)  # as the hub's: a local file that changed is another run's
    config = configure()
    run(config, watch)
    data = Path(config.benchmark.path or "")
    data.write_text(data.read_text().replace("#### 3", "#### 30"))
    with pytest.raises(RecordError, match=r"other problems .*: 1 sample has another reference answer: gsm8k/3\."):
        run(configure("benchmark.limit=2"), watch)


def test_dealt_lengths_are_of_the_samples_asked_for(configure: Configure, watch: Any) -> None:
    """Each set of samples has folder and lengths of its own: another set deals them out otherwise."""
    dealt = {"name": "tiny_gsm8k_random_length", "length": 24}
    whole = run(configure(**dealt), watch)
    some = run(configure("benchmark.limit=3", **dealt), watch)
    assert whole.path != some.path
    assert (whole.generated, some.generated) == (4, 3)


def test_a_fresh_study_of_several_sets_of_samples_keeps_what_it_made_itself(configure: Configure, watch: Any) -> None:
    sizes = (3, 2)
    study = Study("s", tuple(Block(None, (configure(f"benchmark.limit={size}"),)) for size in sizes))
    for fresh in (False, True):
        studied = run_study(study, watch, fresh=fresh)
        made = [block.runs[0] for block in studied.blocks]
        assert [finished.metrics.samples for finished in made] == [3, 2]
        assert [finished.generated for finished in made] == [3, 0]
        assert [len(read_run(each.path, each.metrics).samples) for each in made] == [3, 2]
    assert len(list(made[0].path.parent.iterdir())) == 2, "one was set aside"


def test_a_study_does_not_change_what_another_experiment_reports(configure: Configure, watch: Any) -> None:
    few = run(configure("benchmark.limit=2", "experiment=mine"), watch)
    study = Study("other", (Block(None, (configure("experiment=other"),)),))
    (finished,) = run_study(study, watch).blocks[0].runs
    assert finished.path.parent.name == "other"
    assert read_metrics(few.path) == few.metrics
    same = Study("third", (Block(None, (configure("benchmark.limit=2", "experiment=third"),)),))
    assert run_study(same, watch).blocks[0].runs[0].path == few.path


def test_several_sets_of_samples_under_several_seeds_are_a_table_each(configure: Configure, watch: Any) -> None:
    """Repeats of a run are one row, of the samples that this block asked for, whatever the folders hold by now."""
    sampled = "policy.temperature=1.0"
    blocks = tuple(Block(None, (configure(f"benchmark.limit={n}", sampled),), f"benchmark.limit={n}") for n in (3, 2))
    for fresh in (True, False):
        studied = run_study(Study("s", blocks, seeds=(0, 1)), watch, fresh=fresh)
        told = []
        for block in studied.blocks:
            metrics = {finished.path: finished.metrics for finished in block.runs}
            table = study_table(list(metrics), metrics=metrics, apart=block.apart)
            told.append((table.title.rpartition(", ")[2], len(text_rows(table)), table.notes[0].partition(".")[0]))
        assert told == [
            ("benchmark.limit=3", 1, "n = 3 problems, 2 seeds, 6 samples"),
            ("benchmark.limit=2", 1, "n = 2 problems, 2 seeds, 4 samples"),
        ]
