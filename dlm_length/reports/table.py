"""Tables of numbers: every format renders the same cells, and every row says which runs it comes from."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

MISSING = "-"
"""A cell without a value."""
TOKEN_COUNTS = (
    "e_token: canvas tokens that are neither EOS nor EOT; n_token: final canvas. E_ratio: sum e_token / sum n_token."
)
"""What these columns are."""

Mark = Literal["best", "second"]
NumberPart = Literal["low", "high", "p"]
"""What a number may have besides its value."""


@dataclass(frozen=True)
class Number:
    """A cell with a number; NaN is an undefined quantity, shown as a cell without a value."""

    value: float
    """In the unit of the column: per cent where its title says so."""
    digits: int = 1
    """Decimals shown; CSV has all of them."""
    low: float = math.nan
    high: float = math.nan
    """The interval, in the value's unit; NaN where none was computed."""
    p: float = math.nan
    """What sets the stars; NaN where nothing was tested."""
    stars: str = ""
    mark: Mark | None = None
    """The best of its group, or the second."""
    display_floor: float = -math.inf
    """Smaller values are shown as `<` this: a p is never 0."""
    floor: float = -math.inf
    """No smaller number is shown, however the value rounds: the least p that the resamples allow."""
    resamples: int | None = None
    """Of the test behind `p`; None for an exact test."""

    @property
    def is_below(self) -> bool:
        """Whether the value is below what is shown as a number."""
        return self.value < self.display_floor

    @property
    def text(self) -> str:
        """The rounded value, without stars or mark."""
        if math.isnan(self.value):
            return MISSING
        if self.is_below:
            return f"<{self.display_floor:.{self.digits}f}"
        if math.isinf(self.value):
            return "inf" if self.value > 0 else "-inf"
        shown = f"{self.value:.{self.digits}f}"
        if float(shown) < self.floor <= self.value:
            shown = f"{float(shown) + 10.0**-self.digits:.{self.digits}f}"
        return shown.removeprefix("-") if not float(shown) else shown  # no minus before a zero


Cell = str | Number

_LEAST_P = 1e-4


def p_value(p: float, stars: str = "", *, resamples: int | None = None) -> Number:
    """A cell with a p: four decimals, never 0, and of so many resamples never below 1 / (resamples + 1)."""
    floor = -math.inf if resamples is None else 1 / (resamples + 1)
    # `<0.0001` would promise more than ten thousand resamples can show.
    display_floor = _LEAST_P if floor < _LEAST_P / 2 else -math.inf
    return Number(p, 4, stars=stars, display_floor=display_floor, floor=floor)


def p_text(p: float, equal: str = "", *, resamples: int | None = None) -> str:
    """The same spaced as a sentence is: `< 0.0001`, or `0.0312` with `equal` before it."""
    number = p_value(p, resamples=resamples)
    return number.text.replace("<", "< ") if number.is_below else f"{equal}{number.text}"


@dataclass(frozen=True)
class Column:
    """A column and what stands in it."""

    title: str
    numeric: bool = True
    """False: text, set flush left."""
    higher_is_better: bool | None = None
    """None where neither is better."""
    own_columns: tuple[NumberPart, ...] = ()
    """What parts of its numbers have columns of their own."""
    detail: bool = False
    """Whether a short table can do without it: ends of intervals, p values, counts of samples."""
    span: str = ""
    """The heading shared with neighbouring columns, with which their titles begin; some formats show it above them."""


@dataclass(frozen=True)
class Row:
    """Cells, and where they come from."""

    cells: tuple[Cell, ...]
    """One a column."""
    sources: tuple[Path, ...]
    """Folders of the runs behind the cells, the row's own first."""
    baseline: bool = False


@dataclass(frozen=True)
class Group:
    """Rows under one heading."""

    heading: str
    """Empty: no heading is shown."""
    rows: tuple[Row, ...]


Width = Literal["column", "page"]
"""Of one column of a two-column paper, or of all that a page has."""
WIDTHS: tuple[Width, ...] = get_args(Width)


@dataclass(frozen=True)
class ReportTable:
    """A table that every renderer takes."""

    name: str
    """Of the table's files: lower case, words joined by hyphens."""
    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    statistics: str = ""
    """n, tests, resamples and adjustment in a sentence or two: in the caption in LaTeX, the first note elsewhere."""
    width: Width | None = None
    """Of the place in a paper that the table is made for; None where it is made for none."""

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes of formats that have no captions."""
        return (self.statistics, *self.notes) if self.statistics else self.notes

    @property
    def rows(self) -> tuple[Row, ...]:
        """Of all groups, in order."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def titles(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.title for column in self.columns)

    @property
    def details(self) -> frozenset[int]:
        """Places of columns that a short table can do without: those that say so, and parts of another's numbers."""
        owned = {word for column in self.columns for word in column.own_columns}
        return frozenset(
            place
            for place, column in enumerate(self.columns)
            if column.detail or (column.numeric and owned & set(column.title.split()))
        )


def text_table(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Iterable[tuple[str, ...]],
    notes: Iterable[str] = (),
    *,
    sources: Sequence[Path] = (),
    details: Collection[str] = (),
    labels: int = 1,
) -> ReportTable:
    """A table of cells that are text; all columns but the first `labels` are set flush right.

    `sources`: folders of the runs that every row comes from. `details`: titles of columns that a short table can do
    without.
    """
    return ReportTable(
        name,
        title,
        tuple(
            Column(column, numeric=place >= labels, detail=column in details) for place, column in enumerate(columns)
        ),
        (Group("", tuple(Row(cells, tuple(sources)) for cells in rows)),),
        tuple(notes),
    )


def plain_cell(cell: Cell) -> str:
    """A cell as text with its stars."""
    return cell if isinstance(cell, str) else f"{cell.text}{cell.stars}"


def number(value: float | None, digits: int = 1) -> str:
    """A cell with a fixed number of decimals."""
    return MISSING if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A cell with a share as a percentage."""
    return MISSING if value is None or math.isnan(value) else f"{100 * value:.{digits}f}%"


def flops(value: float) -> str:
    """FLOPs with the unit that keeps three digits in front."""
    for exponent, unit in ((18, "EFLOPs"), (15, "PFLOPs"), (12, "TFLOPs"), (9, "GFLOPs")):
        if value >= 0.9995 * 10**exponent:  # what rounds to 1,000 of the smaller unit is 1 of this one
            return f"{value / 10**exponent:.3g} {unit}"
    return f"{value / 1e6:.3g} MFLOPs"


def duration(seconds: float, digits: int = 1) -> str:
    """Seconds with so many decimals, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:.{digits}f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
