"""Tables as JSON: numbers are numbers (docs/report.md has the schema)."""

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from dlm_length.reports import ReportTable, run_diff, run_table, study_table
from dlm_length.reports.rendering import render_tables
from dlm_length.reports.table import (
    Column,
    Group,
    Number,
    Quantity,
    Row,
    count,
    duration,
    flops,
    number,
    percent,
    text_table,
)

SCORES = {name: {"score": score} for name, score in zip("abcdef", (1.0, 0.0, 1.0, 1.0, 0.0, 1.0), strict=True)}
OTHERS = {name: {"score": score} for name, score in zip("abcdef", (1.0, 0.0, 1.0, 0.0, 0.0, 1.0), strict=True)}


def read(*tables: ReportTable) -> list[dict[str, Any]]:
    return json.loads(render_tables(tables, "json"))


def cells(table: ReportTable, column: str) -> dict[str, Any]:
    """The cells of a column by those of the first."""
    return {row["cells"][table.titles[0]]: row["cells"][column] for row in read(table)[0]["rows"]}


def test_a_number_has_every_digit_its_interval_and_its_text() -> None:
    columns = (Column("policy", numeric=False), Column("p"), Column("p"), Column("x"))
    numbers = (Number(1 / 3, 2, low=0.1, high=0.5, p=0.01, stars="*"), Number(math.nan), Number(-math.inf))
    row = Row(("fixed “é”", *numbers), (Path("runs/a"), Path("runs/b")))
    table = ReportTable("main", "Title", columns, (Group("GSM8K", (row,)),), ("Note.",), "n = 1.")
    first, second = read(table, text_table("other", "t", ("", "a"), [("r", "text")]))
    assert first == {
        "name": "main",
        "title": "Title",
        "rows": [
            {
                "group": "GSM8K",
                "cells": {
                    "policy": "fixed “é”",
                    "p [1]": {"value": 1 / 3, "text": "0.33*", "low": 0.1, "high": 0.5, "p": 0.01, "stars": "*"},
                    "p [2]": {"value": None, "text": "-"},
                    "x": {"value": "-inf", "text": "-inf"},
                },
                "runs": ["runs/a", "runs/b"],
            }
        ],
        "notes": ["n = 1.", "Note."],
    }
    assert second["rows"] == [{"group": "", "cells": {"": "r", "a": "text"}, "runs": []}]


def test_an_end_of_an_interval_can_be_undefined_or_infinite() -> None:
    ends = [Number(1.0, low=math.nan, high=math.inf), Number(1.0, low=math.nan, high=math.nan)]
    table = ReportTable("t", "t", (Column("x"),), (Group("", tuple(Row((each,), ()) for each in ends)),))
    shown = [row["cells"]["x"] for row in read(table)[0]["rows"]]
    assert shown == [{"value": 1.0, "text": "1.0", "low": None, "high": "inf"}, {"value": 1.0, "text": "1.0"}]


def test_texts_with_units_have_their_numbers_in_base_units() -> None:
    quantities = (number(1234.56), percent(0.603), flops(1.2e15), duration(186.0), count(3_000, " (3 seeds)"))
    table = text_table("t", "t", ("", "value"), [(str(place), each) for place, each in enumerate(quantities)])
    assert list(cells(table, "value").values()) == [
        {"value": 1234.56, "text": "1,234.6"},
        {"value": 0.603, "text": "60.3%"},
        {"value": 1.2e15, "text": "1.2 PFLOPs"},
        {"value": 186.0, "text": "3.1 min"},
        {"value": 3000, "text": "3,000 (3 seeds)"},
    ]


def test_numbers_of_numpy_are_numbers() -> None:
    numbers = (
        count(np.int64(3)),
        number(np.float32(0.5)),
        Number(np.int64(4), 0),
        Number(np.float64(0.25), p=np.float32(0.5)),
    )
    table = ReportTable("t", "t", (Column("x"),), (Group("", tuple(Row((each,), ()) for each in numbers)),))
    shown = [row["cells"]["x"] for row in read(table)[0]["rows"]]
    assert [each["value"] for each in shown] == [3, 0.5, 4, 0.25]
    assert shown[3]["p"] == 0.5


def test_a_quantity_survives_copies_and_pickles() -> None:
    quantity = Quantity("61 (53)", 61, scored=53)
    for same in (copy.copy(quantity), copy.deepcopy(quantity), pickle.loads(pickle.dumps(quantity))):
        assert (type(same), same, same.value, same.parts) == (Quantity, "61 (53)", 61, {"scored": 53})


def test_what_is_undefined_is_null() -> None:
    bounded = Quantity("[-, 1.0]", None, low=math.nan, high=1.0)
    undefined = (number(None), percent(math.nan), duration(None), bounded, "-")
    table = text_table("t", "t", ("", "value"), [(str(place), each) for place, each in enumerate(undefined)])
    shown = list(cells(table, "value").values())
    assert [each["value"] for each in shown] == [None] * 5
    assert (shown[3]["low"], shown[3]["high"]) == (None, 1.0)


def test_a_runs_table_has_numbers(finish_run) -> None:
    baseline, run = finish_run("tiny_gsm8k_fixed", SCORES), finish_run("tiny_gsm8k_smartcrop", OTHERS)
    table = run_table(run, baseline)
    ours = cells(table, table.titles[2])
    score, interval = ours["exact_match"], ours["  95% CI"]
    assert (score["value"], score["text"], interval["value"]) == (0.5, "0.5000", None)
    assert 0 < interval["low"] < 0.5 < interval["high"] < 1
    assert (score["low"], score["high"]) == (interval["low"], interval["high"])
    assert ours["samples (scored)"] == {"value": 6, "text": "6 (6)", "scored": 6}
    delta = ours["performance delta"]
    assert math.isclose(delta["value"], 0.5 / (4 / 6) - 1)
    assert delta["low"] <= delta["value"] <= delta["high"]
    assert 0 < delta["p"] <= 1
    assert cells(table, table.titles[1])["performance delta"] == {"value": None, "text": "-"}


def test_a_studys_and_a_comparisons_tables_have_numbers(finish_run) -> None:
    baseline, run = finish_run("tiny_gsm8k_fixed", SCORES), finish_run("tiny_gsm8k_smartcrop", OTHERS)
    study = study_table([run], baseline)
    scores = cells(study, "score")
    assert [each["value"] for each in scores.values()] == [4 / 6, 0.5]
    assert all(each["low"] < each["value"] < each["high"] for each in scores.values())
    holm = [each for each in cells(study, "p (Holm) [2]").values() if each["value"] is not None]
    assert [0 < each["value"] <= each["holm"] <= 1 for each in holm] == [True]
    compared = run_diff(baseline, run)
    assert compared.tests is not None
    assert all(0 < each["value"] <= 1 for each in cells(compared.tests, "p").values())
    assert cells(compared.differences, "second")["policy.tau"] == {"value": 0.9, "text": "0.9"}
    assert cells(compared.differences, "first")["policy.tau"] == {"value": None, "text": "-"}
    assert cells(compared.agreement, "first")["samples with equal canvases"]["value"] in range(7)
