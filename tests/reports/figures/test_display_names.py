"""Names for readers."""

import pytest
from figure_helpers import MakeRun, section

from dlm_length.reports.figures.names import family_names, run_name, value_name
from dlm_length.reports.names import benchmark_name, metric_name, model_name, policy_name, section_name, symbol_of


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


def test_a_runs_label_has_its_parameters_as_equations(make_run: MakeRun) -> None:
    run = make_run("smartcrop", stop="block_any", block_length=32)
    assert run_name(run, run.metrics.policy_label) == "SmartCrop 256, τ = 0.9, stop = block any"
    assert run_name(run, "something else 0.9") == "something else 0.9"
    assert value_name("smartcrop", "threshold", None) == "no threshold"


def test_runs_of_a_policy_share_a_title_and_keep_what_tells_them_apart(make_run: MakeRun) -> None:
    runs = [
        make_run("fixed", length=64),
        make_run("smartcrop", tau=0.5),
        make_run("smartcrop", tau=0.9),
        make_run("daedal", label="daedal short", tau_high=0.8),
        make_run("daedal", label="daedal a longer one"),
    ]
    titles, own = family_names(runs, [run.metrics.policy_label for run in runs])
    assert titles == {"fixed": "Fixed canvas 64", "smartcrop": "SmartCrop 256, by τ", "daedal": "DAEDAL, by τ high"}
    assert own == ("", "0.5", "0.9", "short", "a longer one")


def test_a_sections_title_keeps_what_tells_it_from_others(make_run: MakeRun) -> None:
    made = section(make_run("fixed"), title="gsm8k, some-model (prompt_style x)")
    assert section_name(made) == "GSM8K, some-model (prompt_style x)"
