"""The table of a run, from records by hand in which every number is a different one."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from table_helpers import text_rows

from dlm_length.records import RecordError, RunMetrics, SampleRecord
from dlm_length.reports import ReportTable, run_table

Make = Callable[..., SampleRecord]
WriteRun = Callable[..., Path]


def cells(table: ReportTable, column: int = 1) -> dict[str, str]:
    return {row[0]: row[column] for row in text_rows(table)}


def costing(make_sample: Make, name: str, flops: int, **changes: object) -> SampleRecord:
    """A sample with that many reference FLOPs; everything else in its ledger stays as it is."""
    ledger = make_sample().ledger.model_dump()
    ledger["total"]["flops_reference"] = flops
    return make_sample(name, ledger=ledger, **changes)


def test_every_cell_shows_the_number_of_its_name(write_run: WriteRun, make_sample: Make) -> None:
    table = run_table(write_run("tiny_gsm8k_fixed", [make_sample(f"task/{n}") for n in range(61)]))
    assert table.title == "gsm8k, some-model"
    assert table.titles == ("", "fixed 64")
    assert cells(table) == {
        "exact_match": "0.7123",
        "  95% CI": "-",  # one graded sample has none
        "another": "0.6100",
        "samples (scored)": "61 (53)",
        "prompt tokens": "101.1",
        "n_token": "202.2",
        "e_token": "30.3",
        "E_ratio": "50.6%",
        "NFE (of them probes)": "606.7 (1.8)",
        "FLOPs, total": "8.88 GFLOPs",
        "FLOPs executed": "999 MFLOPs",
        "wall-clock, total": "12.1 s",
        "wall-clock per sample": "0.229 s",
        "tokens/s": "1,313.1",
    }


def test_what_is_undefined_is_shown_as_nothing(write_run: WriteRun, make_sample: Make, metrics: RunMetrics) -> None:
    undefined = dict.fromkeys(["score", "n_token", "e_ratio", "nfe", "probe_nfe", "tokens_per_second"])
    table = run_table(write_run("tiny_gsm8k_fixed", [make_sample()], metrics=metrics.model_copy(update=undefined)))
    shown = cells(table)
    assert [shown[name] for name in ("exact_match", "n_token", "E_ratio", "tokens/s")] == ["-"] * 4
    assert shown["NFE (of them probes)"] == "- (-)"


def test_the_baseline_is_the_first_column_and_has_its_own_numbers(
    write_run: WriteRun, make_sample: Make, metrics: RunMetrics
) -> None:
    other = metrics.model_copy(update={"score": 0.8, "nfe": 64.0, "probe_nfe": 0.0, "samples": 1, "scored": 1})
    baseline = write_run("tiny_gsm8k_fixed", [make_sample()], metrics=other)
    ours = metrics.model_copy(update={"policy_label": "smartcrop 64 tau 0.75"})
    table = run_table(write_run("tiny_gsm8k_smartcrop", [make_sample()], "policy.tau=0.75", metrics=ours), baseline)
    assert table.titles == ("", "fixed 64", "smartcrop 64 tau 0.75")
    assert cells(table, 1)["exact_match"] == "0.8000"
    assert cells(table, 1)["NFE (of them probes)"] == "64.0 (0.0)"
    assert cells(table, 1)["samples (scored)"] == "1 (1)"
    assert cells(table, 2)["exact_match"] == "0.7123"
    assert cells(table, 1)["FLOPs saved"] == cells(table, 1)["performance delta"] == "-"


def test_flops_saved_by_hand(write_run: WriteRun, make_sample: Make) -> None:
    """Paired by id, whatever the order of the lines: 1 - (100 + 350) / (400 + 500), and 0.5 against 0.75."""
    ours = [costing(make_sample, "a", 100, score=1.0), costing(make_sample, "b", 350, score=0.0)]
    theirs = [costing(make_sample, "b", 500, score=0.5), costing(make_sample, "a", 400, score=1.0)]
    table = run_table(write_run("tiny_gsm8k_smartcrop", ours), write_run("tiny_gsm8k_fixed", theirs))
    assert cells(table, 2)["FLOPs saved"] == "50.0%"
    assert cells(table, 2)["performance delta"] == "-33.3%"
    bootstrap = "paired bootstrap, n = 2, 10,000 resamples"
    assert any(f"FLOPs saved: {bootstrap}; performance delta: {bootstrap}." in note for note in table.notes)


def test_a_sample_that_could_not_run_saves_nothing(write_run: WriteRun, make_sample: Make) -> None:
    """Its ledger is empty, so among the pairs it would pass for a sample done without any cost."""
    ours = [costing(make_sample, "a", 300), costing(make_sample, "b", 0, error="too long", score=None)]
    theirs = [costing(make_sample, "a", 400), costing(make_sample, "b", 400)]
    table = run_table(write_run("tiny_gsm8k_smartcrop", ours), write_run("tiny_gsm8k_fixed", theirs))
    assert cells(table, 2)["FLOPs saved"] == "25.0%"
    assert any("FLOPs saved: paired bootstrap, n = 1, " in note for note in table.notes)


def test_a_delta_is_over_what_was_scored_in_both(write_run: WriteRun, make_sample: Make) -> None:
    ours = [make_sample("a", score=1.0), make_sample("b", score=None), make_sample("c", score=1.0)]
    theirs = [make_sample("a", score=0.5), make_sample("b", score=1.0), make_sample("c", score=None)]
    table = run_table(write_run("tiny_gsm8k_smartcrop", ours), write_run("tiny_gsm8k_fixed", theirs))
    assert cells(table, 2)["performance delta"] == "100.0%"
    assert any("performance delta: paired bootstrap, n = 1, " in note for note in table.notes)


def test_nothing_scored_gives_no_delta_and_its_reason(
    write_run: WriteRun, make_sample: Make, metrics: RunMetrics
) -> None:
    unscored = metrics.model_copy(update={"samples": 2, "scored": 0, "failed": 0, "score": None})
    samples = [make_sample(name, score=None, details={"reason": "not executed"}) for name in "ab"]
    run, baseline = (write_run(f"tiny_humaneval_{arm}", samples, metrics=unscored) for arm in ("smartcrop", "fixed"))
    table = run_table(run, baseline)
    assert cells(table, 2)["performance delta"] == "-"
    assert cells(table, 2)["FLOPs saved"] == "0.0%"
    assert "2 samples were not scored: not executed." in table.notes


def test_the_weaker_sandbox_is_named(write_run: WriteRun, make_sample: Make) -> None:
    strong, weak = "bubblewrap; network: namespace", "process limits; network: audit hook; user: same"
    samples = [make_sample(name, details={"isolation": isolation}) for name, isolation in (("a", strong), ("b", weak))]
    expected = f"Generated code ran outside bubblewrap, under {weak}."
    assert expected in run_table(write_run("tiny_humaneval_fixed", samples)).notes
    contained = write_run("tiny_humaneval_smartcrop", samples[:1])
    assert not any("bubblewrap" in note for note in run_table(contained).notes)
    baseline = write_run("tiny_humaneval_fixed", [samples[1].model_copy(update={"id": "a"})], "policy.length=24")
    assert expected in run_table(contained, baseline).notes


def test_failed_samples_are_counted(write_run: WriteRun, make_sample: Make, metrics: RunMetrics) -> None:
    failed = metrics.model_copy(update={"samples": 2, "scored": 1, "failed": 1})
    samples = [make_sample("a"), make_sample("b", score=None, error="too long")]
    table = run_table(write_run("tiny_gsm8k_fixed", samples, metrics=failed))
    assert "1 sample could not be run (samples.jsonl says why); the first: too long." in table.notes
    assert not any("were not scored" in note for note in table.notes)


def test_differences_beside_the_policy_are_named(write_run: WriteRun, make_sample: Make) -> None:
    baseline = write_run("tiny_gsm8k_fixed", [make_sample()])
    run = write_run(
        "tiny_gsm8k_smartcrop",
        [make_sample()],
        "hardware.seed=7",
        "benchmark.prompt_style=text_cot_5shot",
        "model.label=mine",
        "output.directory=elsewhere",
    )
    (expected,) = [note for note in run_table(run, baseline).notes if "differs" in note]
    assert expected == (
        "Apart from the policy, the baseline differs in: benchmark.prompt_style: text_cot_0shot | text_cot_5shot;"
        " hardware.seed: 0 | 7; model.label: None | mine."
    )


def test_whose_words_the_prompts_are_is_said_and_their_texts_are_not(
    write_run: WriteRun, make_sample: Make, metrics: RunMetrics
) -> None:
    own = "benchmark.prompt_file={source: mine, text: 'A secret {{question}}'}"
    theirs, ours = (metrics.model_copy(update={"prompt": prompt}) for prompt in ("theirs/1", "ours/1"))
    baseline = write_run("tiny_gsm8k_fixed", [make_sample()], metrics=theirs)
    table = run_table(write_run("tiny_gsm8k_smartcrop", [make_sample()], own, metrics=ours), baseline)
    assert "Prompts: ours/1; the baseline: theirs/1." in table.notes
    assert not any("secret" in note for note in table.notes)
    assert "Prompts: theirs/1." in run_table(baseline, baseline).notes


def test_arms_that_differ_in_the_policy_alone_need_no_such_note(write_run: WriteRun, make_sample: Make) -> None:
    baseline, run = (write_run(f"tiny_gsm8k_{arm}", [make_sample()]) for arm in ("fixed", "smartcrop"))
    assert not any("differs" in note for note in run_table(run, baseline).notes)


def test_an_unfinished_run_has_no_table(write_run: WriteRun, make_sample: Make) -> None:
    run = write_run("tiny_gsm8k_fixed", [make_sample()])
    (run / "metrics.json").unlink()
    with pytest.raises(RecordError, match="not finished"):
        run_table(run)


def test_a_clear_effect_has_stars_and_a_note_on_the_test(write_run: WriteRun, make_sample: Make) -> None:
    ours = [costing(make_sample, str(i), 100 + i, score=float(i % 4 > 0)) for i in range(40)]
    theirs = [costing(make_sample, str(i), 400 + i, score=1.0) for i in range(40)]
    table = run_table(write_run("tiny_gsm8k_smartcrop", ours), write_run("tiny_gsm8k_fixed", theirs))
    assert cells(table, 2)["FLOPs saved"] == "71.5%***"
    assert cells(table, 2)["performance delta"] == "-25.0%**", "ten flips, 2^-9"
    assert any(note.startswith("* p < 0.05, ** p < 0.01, *** p < 0.001, two-sided") for note in table.notes)


def test_runs_of_which_no_sample_ran_have_no_effects(write_run: WriteRun, make_sample: Make) -> None:
    failed = [make_sample("a", score=None, error="too long")]
    table = run_table(write_run("tiny_gsm8k_smartcrop", failed), write_run("tiny_gsm8k_fixed", [make_sample("a")]))
    assert (cells(table, 2)["FLOPs saved"], cells(table, 2)["performance delta"]) == ("-", "-")
    assert not any("bootstrap" in note for note in table.notes)


def test_a_wall_clock_that_runs_share_is_told(write_run: WriteRun, make_sample: Make, metrics: RunMetrics) -> None:
    shared = metrics.model_copy(update={"runs_together": 6})
    table = run_table(write_run("tiny_gsm8k_fixed", [make_sample()], metrics=shared))
    assert any("up to 6 runs were made together" in note and "--time-alone" in note for note in table.notes)
    assert {cells(table)[name] for name in cells(table) if "wall-clock" in name or name == "tokens/s"} == {"-"}
    alone = run_table(write_run("tiny_gsm8k_smartcrop", [make_sample()]))
    assert not any("together" in note for note in alone.notes)


def test_scores_have_intervals(write_run: WriteRun, make_sample: Make, metrics: RunMetrics) -> None:
    """The main score's from the samples, those of other metrics as recorded; earlier records have none of these."""
    right = [make_sample(f"q/{k}", score=float(k < 6)) for k in range(8)]
    table = run_table(write_run("tiny_gsm8k_fixed", right))
    assert text_rows(table)[1] == ("  95% CI", "[0.4093, 0.9285]")
    assert [row[0] for row in text_rows(table)].count("  95% CI") == 1
    assert "Scores have 95% intervals: Wilson." in table.notes
    graded = {"another": {"low": 0.41, "high": 0.87, "method": "percentile", "n": 8, "resamples": 10_000}}
    recorded = RunMetrics.model_validate(metrics.model_dump() | {"intervals": graded})
    table = run_table(write_run("tiny_gsm8k_smartcrop", right, metrics=recorded))
    names = [row[0] for row in text_rows(table)]
    assert text_rows(table)[names.index("another") + 1] == ("  95% CI", "[0.4100, 0.8700]")
    assert "Scores have 95% intervals: Wilson or percentile bootstrap, 10,000 resamples." in table.notes


def test_rounding_is_no_effect(write_run: WriteRun, make_sample: Make) -> None:
    """0.1 + 0.2 in every sample, where the baseline has 0.3."""
    ours = [make_sample(f"q/{k}", score=0.1 + 0.2) for k in range(20)]
    theirs = [make_sample(f"q/{k}", score=0.3) for k in range(20)]
    table = run_table(write_run("tiny_gsm8k_smartcrop", ours), write_run("tiny_gsm8k_fixed", theirs))
    assert cells(table, 2)["performance delta"] == "0.0%"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("hardware", [], "hardware: "),
        ("hardware", {"seed": {}}, "hardware.seed: "),
        ("policy", {"name": "fixed", "length": "x"}, "policy.length: "),
        ("policy", {"name": "fixed"}, "policy fixed without its length"),
        ("policy", {"name": "smartcrop", "length": 8}, "policy smartcrop without its tau"),
        ("benchmark", {"samples_per_problem": "many"}, "benchmark.samples_per_problem: "),
        ("model", {"revision": datetime(2020, 1, 1, tzinfo=UTC)}, "model.revision"),
        ("model", None, "is not the config of a run"),
    ],
)
def test_a_recorded_config_that_is_not_as_a_run_wrote_it_is_named(
    write_run: WriteRun, make_sample: Make, field: str, value: object, expected: str
) -> None:
    run = write_run("tiny_gsm8k_fixed", [make_sample("a")])
    yaml = YAML(typ="safe", pure=True)
    config = yaml.load((run / "config.yaml").read_text()) | {field: value}
    with (run / "config.yaml").open("w") as file:
        yaml.dump(config, file)
    with pytest.raises(RecordError, match=r"config\.yaml: is not") as refused:
        run_table(run)
    assert expected in str(refused.value)


@pytest.mark.parametrize("content", [b"[" * 5_000, b"{a: " * 5_000, b"\xff", b"- [}"])
def test_a_recorded_config_that_is_no_yaml_is_named(write_run: WriteRun, make_sample: Make, content: bytes) -> None:
    run = write_run("tiny_gsm8k_fixed", [make_sample("a")])
    (run / "config.yaml").write_bytes(content)
    with pytest.raises(RecordError, match=r"config\.yaml: (cannot be read|not UTF-8 text)"):
        run_table(run)


def test_metrics_of_other_counts_than_the_samples_make_no_note(
    write_run: WriteRun, make_sample: Make, metrics: RunMetrics
) -> None:
    other = metrics.model_copy(update={"samples": 0, "scored": 9, "failed": 0})
    run = write_run("tiny_gsm8k_fixed", [make_sample("a", score=1.0)], metrics=other)
    assert not any("were not scored" in note for note in run_table(run).notes)
