"""Names for readers, declared or chosen."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from dlm_length.analysis.sections import Section, collect, compared
from dlm_length.benchmarks import benchmarks
from dlm_length.common import ConfigError
from dlm_length.policies import policies
from dlm_length.policies.smartcrop import SmartCrop
from dlm_length.reports import names
from dlm_length.reports.names import (
    Labels,
    benchmark_name,
    family_names,
    metric_name,
    model_name,
    policy_name,
    read_labels,
    run_names,
    section_name,
    setting_name,
    symbol_of,
    with_names,
)

FinishRun = Callable[..., Path]
ONE = {"a": {"score": 1.0}}


@pytest.fixture
def section(finish_run: FinishRun) -> Section:
    finish_run("tiny_gsm8k_fixed", ONE)
    for tau in (0.5, 0.9):
        finish_run("tiny_gsm8k_smartcrop", ONE, f"policy.tau={tau}")
    finish_run("tiny_gsm8k_daedal", ONE)
    for stages in ("initial", "insertion"):
        finish_run("tiny_gsm8k_daedal", ONE, f"policy.stages={stages}")
    (made,) = collect([Path("results")])
    return made


def test_every_policy_and_benchmark_of_the_package_has_a_name_of_its_own_for_readers() -> None:
    for known in (policies(), benchmarks()):
        titles = [each.title for each in known.values()]
        assert all(titles)
        assert len(set(titles)) == len(titles)
        assert not any("_" in title for title in titles)


def test_names_are_declared() -> None:
    assert (policy_name("smartcrop"), benchmark_name("gsm8k")) == ("SmartCrop", "GSM8K")
    assert (model_name("LLaDA-8B-Instruct"), metric_name("exact_match", "gsm8k")) == ("LLaDA-8B-Instruct", "accuracy")
    assert (symbol_of("smartcrop", "tau"), symbol_of("smartcrop", "round_to")) == ("τ", "round to")


def test_a_policy_of_another_distribution_declares_its_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(SmartCrop):
        title: ClassVar[str] = "MyCrop"
        symbols: ClassVar[Mapping[str, str]] = {"round_to": "r"}

    monkeypatch.setattr(names, "policies", lambda: {"mine": Mine})
    assert (policy_name("mine"), symbol_of("mine", "round_to"), symbol_of("mine", "tau")) == ("MyCrop", "r", "τ")


def test_what_is_not_installed_or_not_the_main_metric_is_called_by_its_own_name() -> None:
    assert (policy_name("my_crop"), benchmark_name("my_data")) == ("my crop", "my data")
    assert metric_name("exact_match_strict", "gsm8k") == "exact match strict"


def test_a_run_is_named_by_what_tells_it_from_others(section: Section) -> None:
    assert set(run_names(section)) == {
        "Fixed canvas, L = 64",
        "SmartCrop, τ = 0.5",
        "SmartCrop, τ = 0.9",
        "DAEDAL, stages both",
        "DAEDAL, stages initial",
        "DAEDAL, stages insertion",
    }
    named = with_names(section)
    assert (named.title, named.labels) == ("GSM8K, llada-tiny", run_names(section))
    assert named.label_of[section.runs[0].path] == "Fixed canvas, L = 64"


def test_runs_that_differ_in_nothing_shown_are_numbered(finish_run: FinishRun) -> None:
    for experiment, benchmark in (("one", "limit=1"), ("two", "limit=2")):
        finish_run("tiny_gsm8k_fixed", ONE, f"experiment={experiment}", f"benchmark.{benchmark}")
    (made,) = collect([Path("results")])
    assert len(set(run_names(made))) == len(made.runs)


def test_a_labels_file_chooses_others(section: Section, tmp_path: Path) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text(
        "policies: {daedal: Daedal, smartcrop 64 tau 0.9: SC-0.9}\nbenchmarks: {gsm8k: GSM}\n"
        "models: {llada-tiny: LLaDA}\nmetrics: {exact_match: acc.}\n"
    )
    labels = read_labels(file, [section])
    assert section_name(section, labels) == "GSM, LLaDA"
    assert {"SC-0.9", "SmartCrop, τ = 0.5", "Daedal, stages both"} <= set(run_names(section, labels))
    assert metric_name("exact_match", "gsm8k", labels) == "acc."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("models: {}\npolicy: {smartcrop: SC}", r"labels.yaml:2: policy: .*Did you mean 'policies'"),
        ("policies:\n  smartcorp: SC", r"labels.yaml:2: policies.smartcorp: .*Did you mean 'smartcrop'"),
        ("models: {llada-tinny: LLaDA}", r"labels.yaml:1: models.llada-tinny: allowed are llada-tiny"),
        ("policies: {fixed: ' '}", r"labels.yaml:1: policies.fixed: found ' '; allowed: a text"),
        ("metrics: {exact_match: [acc]}", r"labels.yaml:1: metrics.exact_match: found \['acc'\]; allowed: a text"),
        ("metrics: acc", r"labels.yaml:1: metrics: a mapping of names belongs here"),
        ("- x", r"labels.yaml:1: the file holds"),
    ],
)
def test_what_a_labels_file_cannot_have(section: Section, tmp_path: Path, text: str, found: str) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=found):
        read_labels(file, [section])


def test_no_labels_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read"):
        read_labels(tmp_path / "none.yaml", [])
    assert Labels().policies == {}


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ("smartcrop", "SmartCrop"),
        ("daedal", "DAEDAL"),
        ("rho_eos", "ρ-EOS"),
        ("random_length", "Random length"),
        ("not_installed", "not installed"),
    ],
)
def test_policies_have_the_names_of_their_papers(policy: str, shown: str) -> None:
    assert policy_name(policy) == shown


def test_benchmarks_models_metrics_and_parameters_have_names_for_readers() -> None:
    assert [benchmark_name(each) for each in ("mini_gsm8k", "humaneval", "my_own")] == [
        "mini-GSM8K",
        "HumanEval",
        "my own",
    ]
    assert model_name("llada_8b") == "llada_8b"
    assert metric_name("exact_match", "gsm8k") == "accuracy"
    assert [symbol_of("daedal", each) for each in ("tau_high", "delta", "block_length")] == [
        "τ high",
        "δ",
        "block length",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.5, "τ = 0.5"),
        (2, "τ = 2"),
        (None, "no τ"),
        ("none", "no τ"),
        (True, "τ"),
        (False, "no τ"),
        ("block_any", "τ block any"),
    ],
)
def test_a_parameter_is_named_with_its_value(value: object, shown: str) -> None:
    assert setting_name("smartcrop", "tau", value) == shown


def test_of_a_decoding_only_what_is_set_is_named(finish_run: Callable[..., Path]) -> None:
    """Four fields at their defaults behind every name would hide the one that differs."""
    for overrides in ((), ("policy.stop=block_any",), ("policy.stop=block_any", "policy.cache=dual")):
        finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}}, "policy.block_length=32", *overrides)
    (each,) = compared(collect([Path("results")]))
    assert set(run_names(each.section)) == {
        "Fixed canvas, L = 64, plain decoding",
        "Fixed canvas, L = 64, stop block any",
        "Fixed canvas, L = 64, stop block any, cache dual",
    }


def test_runs_of_a_policy_share_a_title_and_keep_what_distinguishes_them(section: Section) -> None:
    named = with_names(section)
    titles, own = family_names(named, named.runs)
    assert titles == {"fixed": "Fixed canvas, L = 64", "smartcrop": "SmartCrop, by τ", "daedal": "DAEDAL, by stages"}
    by_name = dict(zip(named.labels, own, strict=True))
    assert [by_name[f"SmartCrop, τ = {tau}"] for tau in (0.5, 0.9)] == ["0.5", "0.9"]
    assert by_name["DAEDAL, stages initial"] == "initial"
    assert by_name["Fixed canvas, L = 64"] == ""


def test_a_section_that_has_names_keeps_them_and_knows_its_own_title(section: Section) -> None:
    named = with_names(section, Labels(benchmarks={"gsm8k": "GSM"}, metrics={"exact_match": "acc."}))
    assert with_names(named) is named
    assert (named.title, named.key, named.metric, named.benchmark) == ("GSM, llada-tiny", section.title, "acc.", "GSM")
