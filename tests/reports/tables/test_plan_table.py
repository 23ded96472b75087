"""Tables of a dry run, from plans alone."""

from dataclasses import replace

import pytest
from table_helpers import text_rows

from dlm_length.analysis.planned_costs import Plan, PlannedRun, StudyPlan
from dlm_length.reports.tables.plan import plan_table, study_plan_table

GIB = 2**30
PLAN = Plan(
    benchmark="gsm8k",
    samples=1_000,
    too_long=0,
    prompt_tokens=80_000,
    published_prompt=None,
    tokens_exact=True,
    canvas_length=256,
    forwards=256_000,
    flops_reference=3 * 10**15,
    flops_executed=2 * 10**15,
    weight_bytes=16 * GIB,
    max_batch_tokens=8192,
    activation_bytes=4 * GIB,
    device_bytes=80 * GIB,
    hours=0.5,
    rate=4e14,
    rate_measured=False,
    profile="h100",
)


def test_a_plan_is_one_row_a_quantity() -> None:
    cells = dict(text_rows(plan_table(PLAN.times(3), seeds=3)))
    assert cells["samples"] == "3,000 (3 seeds)"
    assert cells["forwards"] == "768,000"
    assert cells["FLOPs executed"] == "6 PFLOPs"
    assert cells["memory in all"] == "20.00 GiB of 80 GiB"
    assert cells["time"] == "90.0 min"


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"device_bytes": 10 * GIB}, "does not fit into the device's memory"),
        ({"rate": None, "hours": None}, "No time: the device is not on this machine"),
        ({"tokens_exact": False}, "prompt tokens are estimated from characters"),
        ({"too_long": 7}, "7 samples can outgrow the model's positions"),
        ({"rate_measured": True}, "measured here for the hardware profile 'h100'"),
    ],
)
def test_what_limits_a_plan_is_noted(changed: dict[str, object], note: str) -> None:
    assert note not in " ".join(plan_table(PLAN).notes)
    assert note in " ".join(plan_table(replace(PLAN, **changed)).notes)


def test_a_study_is_one_row_a_config_and_the_total_leaves_out_what_is_absent() -> None:
    study = StudyPlan(
        "mine",
        (
            PlannedRun("gsm8k", "fixed 256", 1, PLAN),
            PlannedRun("gsm8k", "smartcrop 256", 3, PLAN.times(3)),
            PlannedRun("math500", "fixed 256", 3, None),
        ),
        {"math500": "no data here"},
    )
    table = study_plan_table(study, ["below"])
    assert text_rows(table) == (
        ("gsm8k", "fixed 256", "1,000", "256,000", "2 PFLOPs", "30.0 min"),
        ("gsm8k", "smartcrop 256", "3,000", "768,000", "6 PFLOPs", "90.0 min"),
        ("math500", "fixed 256", "-", "-", "-", "-"),
        ("total", "4 runs", "4,000", "1,024,000", "8 PFLOPs", "2.0 h"),
    )
    assert "Each is run under 1 or 3 seeds." in table.notes
    assert table.notes[-2:] == ("The total leaves out math500: no data here", "below")


def test_what_to_do_about_absent_data_is_said_once() -> None:
    runs = (PlannedRun("gsm8k", "fixed 256", 1, PLAN),)
    absent = {"math500": "MATH-500: no v. good hub. Pass a file.", "mbpp": "MBPP: no hub. Pass a file."}
    assert study_plan_table(StudyPlan("mine", runs, absent)).notes[-3:] == (
        "The total leaves out math500: MATH-500: no v. good hub.",
        "The total leaves out mbpp: MBPP: no hub.",
        "Pass a file.",
    )
    absent |= {"ifeval": "IFEval: the disk is full"}
    assert study_plan_table(StudyPlan("mine", runs, absent)).notes[-3:] == tuple(
        f"The total leaves out {name}: {error}" for name, error in absent.items()
    )
    one_sentence = dict.fromkeys(absent, "no data here")
    assert study_plan_table(StudyPlan("mine", runs, one_sentence)).notes[-3:] == tuple(
        f"The total leaves out {name}: no data here" for name in absent
    )


def test_time_is_summed_only_where_all_of_it_is_known() -> None:
    unknown = replace(PLAN, hours=None, rate=None)
    study = StudyPlan("mine", (PlannedRun("a", "x", 1, PLAN), PlannedRun("b", "x", 1, unknown)), {})
    assert [row[-1] for row in text_rows(study_plan_table(study))] == ["30.0 min", "-", "-"]
