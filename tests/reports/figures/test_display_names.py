"""Names for readers."""

import pytest
from figure_helpers import MakeRun, section

from dlm_length.reports.figures.names import display_name, family_names, run_name, section_name, value_name


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        ("policy", "smartcrop", "SmartCrop"),
        ("policy", "daedal", "DAEDAL"),
        ("policy", "rho_eos", "ρ-EOS"),
        ("policy", "random_length", "random length"),
        ("policy", "not_installed", "not installed"),
        ("benchmark", "mini_gsm8k", "MiniGSM8K"),
        ("benchmark", "humaneval", "HumanEval"),
        ("benchmark", "my_own", "my_own"),
        ("metric", "exact_match", "exact match"),
        ("field", "tau_high", "τ high"),
        ("field", "delta", "δ"),
        ("field", "length", "length"),
        ("model", "llada_8b", "llada_8b"),
    ],
)
def test_names_are_those_of_papers(kind, name: str, shown: str) -> None:
    assert display_name(kind, name) == shown


def test_a_runs_label_has_its_parameters_as_equations(make_run: MakeRun) -> None:
    run = make_run("smartcrop", stop="block_any", block_length=32)
    assert run_name(run, run.metrics.policy_label) == "SmartCrop 256, τ = 0.9, stop = block any"
    assert run_name(run, "something else 0.9") == "something else 0.9"
    assert value_name("threshold", None) == "no threshold"


def test_runs_of_a_policy_share_a_title_and_keep_what_tells_them_apart(make_run: MakeRun) -> None:
    runs = [
        make_run("fixed", length=64),
        make_run("smartcrop", tau=0.5),
        make_run("smartcrop", tau=0.9),
        make_run("daedal", label="daedal short", tau_high=0.8),
        make_run("daedal", label="daedal a longer one"),
    ]
    titles, own = family_names(runs, [run.metrics.policy_label for run in runs])
    assert titles == {"fixed": "fixed 64", "smartcrop": "SmartCrop 256, by τ", "daedal": "DAEDAL, by τ high"}
    assert own == ("", "0.5", "0.9", "short", "a longer one")


def test_a_sections_title_keeps_what_tells_it_from_others(make_run: MakeRun) -> None:
    made = section(make_run("fixed"), title="gsm8k, some-model (prompt_style x)")
    assert section_name(made) == "GSM8K, some-model (prompt_style x)"
