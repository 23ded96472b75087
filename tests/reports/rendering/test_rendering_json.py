"""Tables as JSON."""

import json
import math
from pathlib import Path

from dlm_length.reports.rendering import render_tables
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row, text_table


def test_records_with_every_digit_and_what_is_undefined_as_null() -> None:
    columns = (Column("policy", numeric=False), Column("p"), Column("p"), Column("x"))
    numbers = (Number(1 / 3, 2, low=0.1, high=0.5, p=0.01, stars="*"), Number(math.nan), Number(-math.inf))
    row = Row(("fixed “é”", *numbers), (Path("runs/a"), Path("runs/b")))
    table = ReportTable("main", "Title", columns, (Group("GSM8K", (row,)),), ("Note.",), "n = 1.")
    told = json.loads(render_tables([table, text_table("other", "t", ("", "a"), [("r", "1.0")])], "json"))
    assert told[0] == {
        "name": "main",
        "title": "Title",
        "rows": [
            {
                "group": "GSM8K",
                "cells": {
                    "policy": "fixed “é”",
                    "p [1]": {"value": 1 / 3, "low": 0.1, "high": 0.5, "p": 0.01, "stars": "*"},
                    "p [2]": {"value": None},
                    "x": {"value": "-inf"},
                },
                "runs": ["runs/a", "runs/b"],
            }
        ],
        "notes": ["n = 1.", "Note."],
    }
    assert told[1]["rows"] == [{"group": "", "cells": {"": "r", "a": "1.0"}, "runs": []}]
