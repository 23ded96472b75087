"""Policies that nobody knew of are drawn and tabled by what they declare."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from figure_helpers import MakeRun, one, section

import dlm_length.policies
from dlm_length.analysis.sections import Section, compared
from dlm_length.reports.figures.canvas_lengths import lengths
from dlm_length.reports.figures.drawing import looks
from dlm_length.reports.figures.frontier import compute, frontier
from dlm_length.reports.tables.papers import daedal_table, smartcrop_table

NEW_POLICIES = """
from typing import ClassVar, Literal

from dlm_length.policies.base import Role
from dlm_length.policies.fixed import Fixed


class Halved(Fixed):
    role: ClassVar[Role] = "method"
    palette_place: ClassVar[int | None] = None
    name: Literal["halved"] = "halved"


class Clairvoyant(Fixed):
    role: ClassVar[Role] = "control"
    lengths_charged: ClassVar[bool] = False
    palette_place: ClassVar[int | None] = None
    name: Literal["clairvoyant"] = "clairvoyant"
"""


@pytest.fixture
def new_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: MakeRun) -> Iterator[Section]:
    """A section with a method and a control from a file that is next to the package's policies."""
    (tmp_path / "newcomers.py").write_text(NEW_POLICIES)
    monkeypatch.setattr(dlm_length.policies, "__path__", [*dlm_length.policies.__path__, str(tmp_path)])
    yield section(
        make_run("fixed", (1, 0, 1, 1, 0, 1), flops=10**12),
        make_run("halved", (1, 0, 1, 1, 0, 1), flops=5 * 10**11, n_token=32),
        make_run("clairvoyant", (1, 1, 1, 1, 1, 1), flops=10**11, n_token=16),
    )
    sys.modules.pop("dlm_length.policies.newcomers", None)


def test_a_new_method_is_drawn_and_may_win_and_a_new_control_may_not(new_section: Section) -> None:
    data = compute(new_section)
    assert data is not None
    assert data.policies == ("fixed", "halved", "clairvoyant")
    assert data.costs[0].optimal.tolist() == [False, True, False], "the control is better and cheaper, at no charge"
    assert "not clairvoyant" in one(frontier(new_section)).caption
    assert [axes.get_title(loc="left") for axes in one(lengths(new_section)).draw().axes] == ["halved"]


def test_new_policies_have_a_colour_of_their_role_and_a_marker_of_their_own(new_section: Section) -> None:
    drawn = looks(new_section.policies)
    assert len({look.marker for look in drawn.values()}) == 3
    assert len({look.colour for look in drawn.values()}) == 3
    assert drawn["fixed"] == looks(["fixed"])["fixed"], "newcomers change no other policy's look"


def test_new_policies_are_in_the_tables_that_are_for_them(new_section: Section) -> None:
    made = compared([new_section])
    rows = [row.cells[0] for row in smartcrop_table(made).groups[0].rows]
    assert rows == ["Fixed canvas, L = 256", "halved", "clairvoyant"]
    assert "clairvoyant: control;" in " ".join(smartcrop_table(made).notes)
    table = daedal_table(made)
    assert table is not None
    assert [column.title for column in table.columns] == ["", "Fixed canvas, L = 256", "halved"], (
        "a control is no method"
    )


def test_a_run_is_what_its_records_say_also_where_its_policy_is_not_installed(make_run: MakeRun) -> None:
    run = make_run("fixed", label="elsewhere 1")
    kept = run.metrics.model_copy(
        update={"policy": "elsewhere", "policy_role": "control", "lengths_charged": False, "series_field": "tau"}
    )
    own = replace(run, metrics=kept).declared
    assert (own.role, own.lengths_charged, own.series_field) == ("control", False, "tau")
    before = kept.model_copy(update={"policy": "oracle", "policy_role": None})
    assert replace(run, metrics=before).declared.role == "control"
