"""Finding the baseline that a user points at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.records import RecordError, RunMetrics, find_baseline, find_finished, find_holding, the_run

Write = Callable[..., Path]


def refusal(path: Path, ids: list[str]) -> str:
    with pytest.raises(RecordError) as refused:
        find_baseline(path, ids)
    return str(refused.value)


def test_the_run_itself(tmp_path: Path, write_run: Write) -> None:
    run = write_run(tmp_path / "run", ["a", "b"])
    assert find_baseline(run, ["b", "a"]) == (run,), "order does not matter"


def test_the_only_run_below_a_folder_that_covers_the_samples(tmp_path: Path, write_run: Write) -> None:
    write_run(tmp_path / "fixed" / "one", ["a"])
    wanted = write_run(tmp_path / "fixed" / "other", ["a", "b"])
    write_run(tmp_path / "fixed" / "larger", ["a", "b", "c"])
    assert find_baseline(tmp_path, ["a", "b"]) == (wanted,)
    assert find_baseline(tmp_path / "fixed", ["a", "b"]) == (wanted,)


def test_unfinished_runs_and_runs_set_aside_are_ignored(tmp_path: Path, write_run: Write) -> None:
    wanted = write_run(tmp_path / "run", ["a"])
    write_run(tmp_path / "run.old1", ["a"])
    write_run(tmp_path / "run.old12", ["a"])
    write_run(tmp_path / "unfinished", ["a"], finished=False)
    assert find_baseline(tmp_path, ["a"]) == (wanted,)


def test_a_run_set_aside_can_be_named(tmp_path: Path, write_run: Write) -> None:
    old = write_run(tmp_path / "run.old1", ["a"])
    assert find_baseline(old, ["a"]) == (old,)


def test_a_name_that_merely_contains_old_is_a_run_like_others(tmp_path: Path, write_run: Write) -> None:
    run = write_run(tmp_path / "gsm8k__llada.older__fixed__12345678", ["a"])
    assert find_baseline(tmp_path, ["a"]) == (run,)


def test_a_run_is_not_its_own_baseline(tmp_path: Path, write_run: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a command that is repeated would find two baselines."""
    baseline, own = write_run(tmp_path / "baseline", ["a"]), write_run(tmp_path / "own", ["a"])
    monkeypatch.chdir(tmp_path)
    assert find_baseline(tmp_path, ["a"], apart_from=[Path("own")]) == (baseline,)
    assert find_baseline(own, ["a"], apart_from=[own]) == (own,), "unless it is named"


def test_no_run_at_all(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere", ["a"]) == f"baseline {tmp_path / 'nowhere'}: there is no such folder."
    assert refusal(tmp_path, ["a"]) == f"baseline {tmp_path}: no finished run is there (looked for metrics.json)."


def test_an_unfinished_run(tmp_path: Path, write_run: Write) -> None:
    run = write_run(tmp_path / "run", ["a"], finished=False)
    assert f"baseline {run}: is not finished; run it again to continue it." in refusal(run, ["a"])
    assert "no finished run is there" in refusal(tmp_path, ["a"])


def test_several_runs_are_named(tmp_path: Path, write_run: Write) -> None:
    one, other = write_run(tmp_path / "one", ["a"]), write_run(tmp_path / "other", ["a"])
    message = refusal(tmp_path, ["a"])
    assert "2 runs cover these samples; name one" in message
    assert str(one) in message
    assert str(other) in message


def test_repeats_are_one_baseline_and_other_runs_are_not(tmp_path: Path, write_run: Write) -> None:
    policy = "policy: {{name: fixed, length: {}}}\n"
    config = "model: {{path: m}}\nbenchmark: {{name: gsm8k}}\nhardware: {{seed: {}, dtype: {}}}\n"
    runs = [write_run(tmp_path / name, ["a"]) for name in ("one", "other")]
    for run, seed in zip(runs, (0, 7), strict=True):
        (run / "config.yaml").write_text(config.format(seed, "float32") + policy.format(64))
    assert find_baseline(tmp_path, ["a"]) == tuple(runs)
    for changed in (config.format(7, "float32") + policy.format(32), config.format(7, "bfloat16") + policy.format(64)):
        (runs[1] / "config.yaml").write_text(changed)
        assert "2 runs cover these samples; name one" in refusal(tmp_path, ["a"])


CONFIG = (
    "model: {{path: m}}\nbenchmark: {{name: gsm8k{}}}\nhardware: {{seed: {}}}\npolicy: {{name: fixed, length: 64}}\n"
)


@pytest.mark.parametrize(
    "changes",
    [
        {"policy_version": 2},
        {"benchmark_version": 2},
        {"prompt": "chat_tags/2"},
    ],
)
def test_runs_of_other_versions_are_not_repeats(
    tmp_path: Path, write_run: Write, metrics: RunMetrics, changes: dict[str, object]
) -> None:
    runs = [write_run(tmp_path / name, ["a"]) for name in ("one", "other")]
    for seed, run in enumerate(runs):
        (run / "config.yaml").write_text(CONFIG.format("", seed))
    assert find_baseline(tmp_path, ["a"]) == tuple(runs)
    (runs[1] / "metrics.json").write_text(metrics.model_copy(update={"samples": 1, **changes}).model_dump_json())
    assert "2 runs cover these samples; name one" in refusal(tmp_path, ["a"])


def test_runs_of_other_data_or_of_one_seed_are_not_repeats(tmp_path: Path, write_run: Write) -> None:
    runs = [write_run(tmp_path / name, ["a"]) for name in ("one", "other")]
    for seed, run in enumerate(runs):
        (run / "config.yaml").write_text(CONFIG.format("", seed))
        (run / "environment.json").write_text('[{"dtype": "float32", "data_sha256": "0a"}]')
    assert find_baseline(tmp_path, ["a"]) == tuple(runs)
    (runs[1] / "environment.json").write_text('[{"dtype": "float32", "data_sha256": "0b"}]')
    assert "2 runs cover these samples; name one" in refusal(tmp_path, ["a"])
    (runs[1] / "environment.json").write_text('[{"dtype": "float32", "data_sha256": "0a"}]')
    (runs[1] / "config.yaml").write_text(CONFIG.format("", 0))
    assert "2 runs cover these samples; name one" in refusal(tmp_path, ["a"])


def test_a_null_field_counts_as_absent(tmp_path: Path, write_run: Write) -> None:
    runs = [write_run(tmp_path / name, ["a"]) for name in ("one", "other")]
    (runs[0] / "config.yaml").write_text(CONFIG.format("", 0))
    (runs[1] / "config.yaml").write_text(CONFIG.format(", prompt_file: null", 1))
    assert find_baseline(tmp_path, ["a"]) == tuple(runs)


def test_a_baseline_that_was_cut_is_refused(tmp_path: Path, write_run: Write, metrics: RunMetrics) -> None:
    run = write_run(tmp_path / "results" / "x" / "run", ["a"])
    recorded = metrics.model_copy(update={"samples": 2, "sample_ids": ("a", "b")})
    (run / "metrics.json").write_text(recorded.model_dump_json())
    for path in (run, tmp_path):
        assert "metrics.json is of 2 samples, but samples.jsonl has 1 of them; was it cut" in refusal(path, ["a", "b"])
    assert find_finished(tmp_path / "results", "run", ["a", "b"]) is None, "what a study would take as it is"


def test_other_samples_are_named_on_both_sides(tmp_path: Path, write_run: Write) -> None:
    run = write_run(tmp_path / "run", ["b", "c", "d"])
    message = refusal(run, ["a", "b"])
    assert "1 sample only in this run (a); 2 samples only in the baseline (c, d)" in message
    assert "benchmark.limit, subset_seed and sample_ids" in message


def test_many_other_samples_are_counted_and_a_few_named(tmp_path: Path, write_run: Write) -> None:
    run = write_run(tmp_path / "run", [f"s{number}" for number in range(9)])
    message = refusal(run, ["s0"])
    assert "8 samples only in the baseline (" in message
    assert "s5" in message
    assert "s8" not in message
    assert ", ...)" in message


def test_a_finished_run_is_found_by_its_name_in_any_experiment(tmp_path: Path, write_run: Write) -> None:
    name = "gsm8k__llada-tiny__fixed__0123abcd"
    assert find_finished(tmp_path, name) is None
    write_run(tmp_path / "a" / name, ["x"], finished=False)
    write_run(tmp_path / "b" / f"{name}.old1", ["x"])
    write_run(tmp_path / "c" / "nested" / name, ["x"])
    assert find_finished(tmp_path, name) is None, "unfinished, set aside, or no experiment of this folder"
    finished = write_run(tmp_path / "d" / name, ["x"])
    write_run(tmp_path / "d" / "gsm8k__llada-tiny__fixed__89abcdef", ["x"])
    assert find_finished(tmp_path, name) == finished


def test_a_finished_run_is_found_by_the_samples_that_it_counts_or_holds(
    tmp_path: Path, write_run: Write, metrics: RunMetrics
) -> None:
    name = "gsm8k__llada-tiny__fixed__0123abcd"
    run = write_run(tmp_path / "a" / name, ["x", "y", "z"])
    assert find_finished(tmp_path, name, ["z", "y", "x"]) == run
    assert find_finished(tmp_path, name, ["x", "y"]) is None
    (run / "metrics.json").write_text(
        metrics.model_copy(update={"samples": 2, "sample_ids": ("x", "y")}).model_dump_json()
    )
    assert find_finished(tmp_path, name, ["x", "y"]) == run
    assert find_finished(tmp_path, name, ["x", "y", "z"]) is None
    assert find_holding(tmp_path, name, ["z", "x"]) == run
    assert find_holding(tmp_path, name, ["z", "w"]) is None


def test_a_folder_with_one_run_in_it_names_that_run(tmp_path: Path, write_run: Write) -> None:
    run = write_run(tmp_path / "results" / "one", ["a"])
    assert the_run(run) == the_run(tmp_path / "results") == run
    assert the_run(tmp_path / "nothing") == tmp_path / "nothing", "for its reader to explain"
    other = write_run(tmp_path / "results" / "other", ["a"])
    with pytest.raises(RecordError, match=f"2 runs are there; name one: {run} or {other}"):
        the_run(tmp_path / "results")
