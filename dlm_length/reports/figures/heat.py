"""The score of every combination of two parameters of a policy that were varied together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure as MplFigure
from numpy.typing import NDArray

from dlm_length.analysis.parameters import Value, alike_but_for, ascending, parameters, single_valued
from dlm_length.analysis.runs import Run
from dlm_length.reports.figures.drawing import COLUMN, LIGHTNESS, PAGE, blank_axes, shown, write_cells
from dlm_length.reports.figures.measures import Scored, n_note, scored, section_figure, unscored_note
from dlm_length.reports.names import NamedSection, held_names, symbol_of, value_text
from dlm_length.reports.notes import kinds_of_interval
from dlm_length.reports.rendering.figure import Figure, numbered

_LONGEST_METRIC = 20
"""Characters of the label of a colour bar, which can be as low as two cells."""
_SPAN = 0.01
"""The least difference of scores that the colours span where there are no intervals."""
_CELL = (0.42, 0.3)
"""Width and height of a cell, in inches."""
_AROUND = (1.3, 0.8)
"""Width and height of labels and colour bar around the cells, in inches."""


@dataclass(frozen=True)
class Grid:
    """Runs that are equal but for two parameters."""

    policy: str
    across: str
    """The parameter along the x axis: the one with more values."""
    up: str
    held: str
    """The other parameters that vary within the policy, with their values in this grid; empty where none does."""
    runs: Mapping[tuple[Value, Value], Run]
    """By the values of `across` and `up`."""

    @property
    def columns(self) -> list[Value]:
        """Values of `across`, ascending."""
        return ascending(value for value, _ in self.runs)

    @property
    def rows(self) -> list[Value]:
        """Values of `up`, ascending."""
        return ascending(value for _, value in self.runs)


@dataclass(frozen=True, eq=False)
class HeatMap:
    """The scores of a grid's runs."""

    grid: Grid
    policy: str
    """Name of the policy, for readers."""
    score: NDArray[np.float64]
    """(rows, columns), means; NaN where nothing was scored."""
    widest: float
    """Width of the widest 95% interval of a score; NaN without intervals."""
    metric: str


def grids(section: NamedSection) -> list[Grid]:
    """A grid for every pair of parameters of a policy with two values each that were run in all combinations."""
    found = []
    for policy in section.policies:
        runs = section.of(policy)
        for pair in combinations(single_valued(runs), 2):
            for group in alike_but_for(runs, pair):
                across, up = _wider_first(pair, group)
                cells = {(parameters(run).get(across), parameters(run).get(up)): run for run in group}
                if _has_square(cells):
                    found.append(Grid(policy, across, up, held_names(group[0], runs, pair), cells))
    return found


def _wider_first(pair: tuple[str, str], group: Sequence[Run]) -> tuple[str, str]:
    """Two parameters, the one with more values first."""
    first, second = (len(ascending(parameters(run).get(field) for run in group)) for field in pair)
    return pair if first >= second else pair[::-1]


def _has_square(cells: Mapping[tuple[Value, Value], Run]) -> bool:
    """Whether two rows share two columns; in a cross, from parameters varied one at a time, no two do."""
    columns: dict[Value, set[Value]] = {}
    for across, up in cells:
        columns.setdefault(up, set()).add(across)
    return any(len(one & other) > 1 for one, other in combinations(columns.values(), 2))


def heat(section: NamedSection) -> list[Figure]:
    """A heat map for each grid that has any score."""
    return numbered(_figure(section, grid) for grid in grids(section) if scored(section, list(grid.runs.values())))


def _figure(section: NamedSection, grid: Grid) -> Figure:
    cells = scored(section, list(grid.runs.values()))
    policy = section.policy_name(grid.policy)
    fields = [symbol_of(grid.policy, field) for field in (grid.across, grid.up)]
    where = f" ({grid.held})" if grid.held else ""
    widest = widest_interval(cells)
    caption = [f"Mean {section.metric} of {policy}{where} for each {' and '.join(fields)}, {n_note(cells)}."]
    if not math.isnan(widest):
        caption.append(
            f"Of the cells' 95% intervals ({kinds_of_interval(each.score for each in cells)}) the widest spans"
            f" {widest:.3f}; colours span no less, so that noise looks like noise."
        )
    if len(cells) < len(grid.columns) * len(grid.rows):
        caption.append("Hatched: not run, or not scored.")
    return section_figure(
        section,
        *("heat", grid.policy, grid.across, grid.up),
        title=f"{policy}, {' by '.join(fields)}{where}",
        caption=[*caption, *unscored_note(cells)],
        runs=[each.run for each in cells],
        plot=partial(plot, compute(section, grid)),
    )


def compute(section: NamedSection, grid: Grid) -> HeatMap:
    """The scores of a grid's runs."""
    columns, rows = grid.columns, grid.rows
    place_of = {run.path: (rows.index(up), columns.index(across)) for (across, up), run in grid.runs.items()}
    cells = scored(section, list(grid.runs.values()))
    score = np.full((len(rows), len(columns)), np.nan)
    for each in cells:
        score[place_of[each.run.path]] = each.score.value
    return HeatMap(grid, section.policy_name(grid.policy), score, widest_interval(cells), section.metric)


def widest_interval(cells: Sequence[Scored]) -> float:
    """Width of the widest interval; NaN where there is none."""
    return float(np.max([each.score.high - each.score.low for each in cells]))


def colour_ends(scores: Sequence[float], least: float) -> tuple[float, float]:
    """The scores of the darkest and the lightest colour, at least `least` apart if that is a number above 0."""
    low, high = min(scores), max(scores)
    span = max(high - low, least if least > 0 else _SPAN)
    return (low + high - span) / 2, (low + high + span) / 2


def plot(data: HeatMap) -> MplFigure:
    """A cell for each combination with its score, hatched where there is none."""
    grid, columns, rows = data.grid, data.grid.columns, data.grid.rows
    width = min(max(_AROUND[0] + len(columns) * _CELL[0], COLUMN), PAGE)
    picture, axes = blank_axes(width, max(_AROUND[1] + len(rows) * _CELL[1], 1.7))
    write_cells(
        picture,
        axes,
        data.score,
        colours=LIGHTNESS,
        ends=colour_ends(data.score[~np.isnan(data.score)].tolist(), data.widest),
        form=".3f",
        label=f"mean {shown(data.metric, _LONGEST_METRIC)}",
    )
    axes.set_xticks(np.arange(len(columns)) + 0.5, [shown(value_text(value), 12) for value in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [shown(value_text(value), 12) for value in rows])
    axes.set_xlabel(f"{shown(symbol_of(grid.policy, grid.across))} ({shown(data.policy)})")
    axes.set_ylabel(shown(symbol_of(grid.policy, grid.up)))
    return picture
