"""Tables of numbers: every format renders the same cells, and every row names the runs that it comes from."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

MISSING = "-"
"""Text of a cell without a value."""
TOKEN_COUNTS = (
    "e_token: canvas tokens that are neither EOS nor EOT; n_token: final canvas. E_ratio: sum e_token / sum n_token."
)
"""Definitions of these columns, for notes."""

Mark = Literal["best", "second"]
NumberPart = Literal["low", "high", "p"]
"""What a number can have in addition to its value."""


@dataclass(frozen=True)
class Number:
    """A cell with a number; NaN is an undefined quantity, shown as a cell without a value."""

    value: float
    """In the unit of the column: per cent where its title says so."""
    digits: int = 1
    """Decimals shown; CSV and JSON have all of them."""
    low: float = math.nan
    high: float = math.nan
    """The interval, in the value's unit; NaN where none was computed."""
    p: float = math.nan
    """The p value that sets the stars; NaN where nothing was tested."""
    stars: str = ""
    mark: Mark | None = None
    """Whether it is the best of its group, or the second best."""
    display_floor: float = -math.inf
    """Smaller values are shown as `<` this: a p is never 0."""
    floor: float = -math.inf
    """No smaller number is shown, however the value rounds: the least p that the resamples allow."""
    resamples: int | None = None
    """Resamples of the test behind `p`; None for an exact test."""

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

    @property
    def has_interval(self) -> bool:
        """Whether any end of an interval is known."""
        return not (math.isnan(self.low) and math.isnan(self.high))

    @property
    def interval_text(self) -> str:
        """The interval with the value's digits, `[54.9, 64.7]`; empty where there is none."""
        low, high = (Number(end, self.digits).text for end in (self.low, self.high))
        return f"[{low}, {high}]" if self.has_interval else ""


class Quantity(str):
    """The text of a cell that has a unit or several numbers, such as `60.3%`, `1.2 PFLOPs` or `61 (53)`.

    It is text to every format but JSON, which has its numbers too.
    """

    value: float | None
    """In the base unit: a share, FLOPs, seconds, bytes, tokens. None where it is undefined."""
    parts: Mapping[str, float | str | None]
    """Further numbers by name, such as `low` and `high`, and `stars`."""

    def __new__(cls, text: str, value: float | None, **parts: float | str | None) -> Self:
        """A cell that shows `text`."""
        made = super().__new__(cls, text)
        made.value, made.parts = value, parts
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str, float | None], dict[str, float | str | None]]:
        """What copies and pickles are made from: text alone, as for another `str`, would not do."""
        return (str(self), self.value), dict(self.parts)


Cell = str | Number
"""Text (which may be a `Quantity`) or a number."""

_LEAST_P = 1e-4


def p_value(p: float, stars: str = "", *, resamples: int | None = None) -> Number:
    """A cell with a p value: four decimals, never 0, and never below 1 / (resamples + 1)."""
    floor = -math.inf if resamples is None else 1 / (resamples + 1)
    # `<0.0001` would promise more than ten thousand resamples can show.
    display_floor = _LEAST_P if floor < _LEAST_P / 2 else -math.inf
    return Number(p, 4, stars=stars, display_floor=display_floor, floor=floor)


def p_text(p: float, equal: str = "", *, resamples: int | None = None) -> str:
    """The same for a sentence: `< 0.0001`, or `0.0312` after the text `equal`."""
    number = p_value(p, resamples=resamples)
    return number.text.replace("<", "< ") if number.is_below else f"{equal}{number.text}"


@dataclass(frozen=True)
class Column:
    """The title of a column, and what its cells are."""

    title: str
    numeric: bool = True
    """False: text, set flush left."""
    higher_is_better: bool | None = None
    """None where neither is better."""
    own_columns: tuple[NumberPart, ...] = ()
    """The parts of its numbers that have columns of their own."""
    detail: bool = False
    """Whether a short table can do without it: ends of intervals, p values, counts of samples."""
    span: str = ""
    """The heading shared with neighbouring columns, with which their titles begin; some formats show it above them."""


@dataclass(frozen=True)
class Row:
    """Cells, and the runs that they come from."""

    cells: tuple[Cell, ...]
    """One per column."""
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
"""One column of a two-column paper, or the full width of a page."""
WIDTHS: tuple[Width, ...] = get_args(Width)


@dataclass(frozen=True)
class ReportTable:
    """A table that every renderer takes."""

    name: str
    """Name of the table's files: lower case, words joined by hyphens."""
    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    statistics: str = ""
    """n, tests, resamples and adjustment in a sentence or two: in the caption in LaTeX, the first note elsewhere."""
    width: Width | None = None
    """The place in a paper that the table is made for; None where it is made for none."""

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes of formats that have no captions."""
        return (self.statistics, *self.notes) if self.statistics else self.notes

    def baseline_note(self, look: str) -> tuple[str, ...]:
        """How a format marks the baseline's row (`Italics`), where there is one."""
        return (f"{look}: the baseline.",) if any(row.baseline for row in self.rows) else ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all groups, in order."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def titles(self) -> tuple[str, ...]:
        """The titles of the columns."""
        return tuple(column.title for column in self.columns)

    @property
    def details(self) -> frozenset[int]:
        """Places of the columns that a short table can do without: details, and parts of another column's numbers."""
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
    """A table of texts and quantities; all columns but the first `labels` are set flush right.

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


def number(value: float | None, digits: int = 1) -> Quantity:
    """A cell with a fixed number of decimals and separators of thousands."""
    return _quantity(value, lambda known: f"{known:,.{digits}f}")


def count(value: int, remark: str = "") -> Quantity:
    """A cell with an integer: `3,000`, and a remark after it, such as ` (3 seeds)`."""
    return Quantity(f"{value:,}{remark}", value)


def percent(value: float | None, digits: int = 1) -> Quantity:
    """A cell with a share as a percentage."""
    return _quantity(value, lambda share: f"{100 * share:.{digits}f}%")


def flops(value: float) -> Quantity:
    """A cell with FLOPs, in the unit that leaves one to three digits before the decimal point."""
    for exponent, unit in ((18, "EFLOPs"), (15, "PFLOPs"), (12, "TFLOPs"), (9, "GFLOPs")):
        if value >= 0.9995 * 10**exponent:  # what rounds to 1,000 of the smaller unit is 1 of this one
            return Quantity(f"{value / 10**exponent:.3g} {unit}", value)
    return Quantity(f"{value / 1e6:.3g} MFLOPs", value)


def duration(seconds: float | None, digits: int = 1) -> Quantity:
    """A cell with a time in seconds with so many decimals, minutes or hours, whichever reads best."""

    def shown(known: float) -> str:
        if known < 120:
            return f"{known:.{digits}f} s"
        return f"{known / 60:.1f} min" if known < 7200 else f"{known / 3600:.1f} h"

    return _quantity(seconds, shown)


def _quantity(value: float | None, shown: Callable[[float], str]) -> Quantity:
    return Quantity(MISSING, None) if value is None or math.isnan(value) else Quantity(shown(value), value)
