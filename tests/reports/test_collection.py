"""Which runs a report puts in one section, and the labels that they get."""

from pathlib import Path

import pytest

from dlm_length.analysis.sections import collect
from dlm_length.common import UserError
from dlm_length.records import RecordError, find_unfinished
from dlm_length.reports import run_table
from dlm_length.reports.tables.run import run_diff

TWO = {"a": {"score": 1.0}, "b": {"score": 0.0}}


def test_runs_of_one_benchmark_stand_in_one_section_with_the_baseline_first(finish_run) -> None:
    finish_run("tiny_gsm8k_smartcrop", TWO, "policy.tau=0.9")
    finish_run("tiny_gsm8k_smartcrop", TWO, "policy.tau=0.75")
    finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_humaneval_fixed", TWO)
    gsm8k, humaneval = collect([Path("results")])
    assert (gsm8k.title, humaneval.title) == ("gsm8k, llada-tiny", "humaneval, llada-tiny")
    assert gsm8k.labels == ("fixed 64", "smartcrop 64 tau 0.75", "smartcrop 64 tau 0.9")
    assert gsm8k.baseline is gsm8k.runs[0]
    assert gsm8k.n_label == "n = 2"


def test_the_baseline_is_as_long_as_the_other_policies_longest(finish_run) -> None:
    for length in (32, 64, 96):
        finish_run("tiny_gsm8k_fixed", TWO, f"policy.length={length}")
    (alone,) = collect([Path("results")])
    assert alone.labels[0] == "fixed 96"
    finish_run("tiny_gsm8k_smartcrop", TWO)
    (section,) = collect([Path("results")])
    assert section.labels[:3] == ("fixed 64", "fixed 32", "fixed 96")
    (named,) = collect([Path("results")], baseline="fixed 32")
    assert named.baseline is not None
    assert named.label_of[named.baseline.path] == "fixed 32"
    (by_folder,) = collect([Path("results")], baseline=str(section.runs[-1].path))
    assert by_folder.labels[0].startswith("smartcrop")
    expected = r"--baseline fixd 64: .*fixed 32, fixed 64, fixed 96 or smartcrop 64.*Did you mean 'fixed 64'\?"
    with pytest.raises(UserError, match=expected):
        collect([Path("results")], baseline="fixd 64")


def test_among_equal_lengths_the_baseline_decodes_as_the_others_do(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", TWO, "policy.block_length=16")
    plain = finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_gsm8k_smartcrop", TWO)
    (section,) = collect([Path("results")])
    assert section.baseline is not None
    assert section.baseline.path == plain
    (named,) = collect([Path("results")], baseline="fixed 64 block_length 16")
    assert named.labels[0] == "fixed 64 block_length 16"
    (either,) = collect([Path("results")], baseline="fixed 64")
    assert either.baseline is not None
    assert either.baseline.path == plain


def test_equally_many_other_samples_are_another_section(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_gsm8k_smartcrop", {"a": {}, "c": {}})
    titles = [section.title for section in collect([Path("results")])]
    assert titles == ["gsm8k, llada-tiny [1]", "gsm8k, llada-tiny [2]"]


def test_one_config_with_two_records_is_refused(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_gsm8k_fixed", {"a": {"score": 0.0}, "b": {"score": 0.0}}, "experiment=another")
    with pytest.raises(UserError, match="runs of one config with different records"):
        collect([Path("results")])


def test_files_that_do_not_belong_together_are_told(finish_run) -> None:
    run = finish_run("tiny_gsm8k_fixed", TWO)
    whole = (run / "samples.jsonl").read_text()
    (run / "samples.jsonl").write_text(whole.split("\n")[0] + "\n")
    for read in (lambda: collect([Path("results")]), lambda: run_table(run), lambda: run_diff(run, run)):
        with pytest.raises(RecordError, match=r"metrics.json is of 2 samples, but samples.jsonl has 1"):
            read()
    (run / "samples.jsonl").write_text(whole.replace('"score":1.0', '"score":NaN'))
    with pytest.raises(RecordError, match=r"line 1: score: .*finite"):
        collect([Path("results")])
    (run / "samples.jsonl").write_text(whole)
    for broken in ("", "a: [", "- 1", "policy: {}"):
        (run / "config.yaml").write_text(broken)
        with pytest.raises(RecordError, match=r"config.yaml: (cannot be read|is not the config of a run)"):
            collect([Path("results")])
    (run / "config.yaml").unlink()
    with pytest.raises(RecordError, match=r"config.yaml: cannot be read"):
        collect([Path("results")])


def test_other_samples_and_other_questions_are_other_sections(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_gsm8k_fixed", {"a": {}}, "benchmark.limit=1", "experiment=smaller")
    sections = collect([Path("results")])
    assert [section.title for section in sections] == [
        "gsm8k, llada-tiny (limit 1, 1 sample)",
        "gsm8k, llada-tiny (limit 32, 2 samples)",
    ]
    assert [section.n_label for section in sections] == ["n = 1", "n = 2"]


def test_runs_with_the_same_label_are_told_apart_by_what_differs(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_gsm8k_fixed", TWO, "policy.block_length=16")
    (section,) = collect([Path("results")])
    assert section.labels == ("fixed 64 block_length 16", "fixed 64 block_length None")


def test_a_run_found_twice_or_set_aside_counts_once(finish_run) -> None:
    run = finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_gsm8k_fixed", TWO, "experiment=another")
    aside = run.with_name(f"{run.name}.old1")
    aside.mkdir()
    (aside / "metrics.json").write_text((run / "metrics.json").read_text())
    (section,) = collect([Path("results"), run])
    assert len(section.runs) == 1


def test_paths_without_a_finished_run_are_told(tmp_path: Path, finish_run) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="empty: no finished run is there"):
        collect([tmp_path / "empty"])
    with pytest.raises(RecordError, match="nowhere: there is no such folder"):
        collect([finish_run("tiny_gsm8k_fixed", TWO), tmp_path / "nowhere"])


def test_a_run_alone_has_no_baseline_but_the_one_that_is_named(finish_run) -> None:
    run = finish_run("tiny_gsm8k_fixed", TWO)
    (alone,) = collect([run])
    assert alone.baseline is None
    (named,) = collect([run], baseline="fixed 64")
    assert named.baseline is not None


def test_a_run_that_began_here_and_ended_elsewhere_is_not_unfinished(finish_run) -> None:
    begun = finish_run("tiny_gsm8k_fixed", TWO)
    (begun / "metrics.json").unlink()
    finish_run("tiny_gsm8k_smartcrop", TWO)
    Path("results/mine").mkdir()
    Path("results/mine/samples.jsonl").touch()
    assert [run.name for run in find_unfinished([Path("results")])] == [begun.name]
    finish_run("tiny_gsm8k_fixed", TWO, "experiment=another")
    assert find_unfinished([Path("results")]) == []


def test_a_field_that_a_record_is_too_old_to_have_makes_no_section(finish_run) -> None:
    run = finish_run("tiny_gsm8k_fixed", TWO)
    finish_run("tiny_gsm8k_smartcrop", TWO)
    config = (run / "config.yaml").read_text()
    assert "  prompt_file: null\n" in config
    (run / "config.yaml").write_text(config.replace("  prompt_file: null\n", ""))
    (section,) = collect([Path("results")])
    assert len(section.runs) == 2
