"""The quantities of a run that a table for a paper can show, their decimals, and the marks of the best."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlm_length.analysis.margins import MARGIN
from dlm_length.analysis.runs import Run, mean_score
from dlm_length.analysis.sections import Compared
from dlm_length.common import ConfigError, listing, suggestion
from dlm_length.reports.notes import STARS
from dlm_length.reports.table import MISSING, Group, Mark, Number
from dlm_length.reports.tables.cells import (
    effect_cell,
    mean_gflops,
    number_cell,
    row,
    score_cell,
    seconds_cell,
    tokens_per_second_cell,
)
from dlm_length.stats import FamilyTest

_MOST_DIGITS = 4


@dataclass(frozen=True)
class Measure:
    """A quantity of a run on one benchmark."""

    title: str
    """Title of its column; that of the score is the metric's name."""
    of: Callable[[Compared, Run], Number]
    explained: str
    """Its definition, for the table's note."""
    higher_is_better: bool | None = None
    """None where neither is."""
    is_cost: bool = False
    """Whether a method can improve it merely by scoring lower than the baseline."""


MEASURES: Mapping[str, Measure] = {
    "score": Measure("score (%)", lambda each, run: score_cell(each.section, run, unit=100), "", True),
    "flops_saved": Measure(
        "FLOPs saved (%)",
        lambda each, run: effect_cell(each.of(run, "flops_saved")),
        "FLOPs saved: against the baseline, analytic, probes included.",
        True,
        is_cost=True,
    ),
    "flops_saved_vs_early_stop": Measure(
        "FLOPs saved vs early stop (%)",
        lambda each, run: effect_cell(each.of(run, "flops_saved_vs_early_stop")),
        "FLOPs saved vs early stop: against the baseline that stops at its end token.",
        True,
        is_cost=True,
    ),
    "delta": Measure(
        "Δ score (%)",
        lambda each, run: effect_cell(each.of(run, "performance_delta")),
        "Δ score: change of the mean score relative to the baseline.",
        True,
    ),
    "nfe": Measure(
        "NFE", lambda _, run: number_cell(run.metrics.nfe), "NFE: forward passes per sample.", False, is_cost=True
    ),
    "gflops": Measure("GFLOPs", lambda _, run: mean_gflops(run), "GFLOPs: analytic, per sample.", False, is_cost=True),
    "seconds": Measure(
        "s / sample", lambda _, run: seconds_cell(run, digits=2), "s / sample: wall-clock.", False, is_cost=True
    ),
    "tokens_per_second": Measure(
        "tokens/s",
        lambda _, run: tokens_per_second_cell(run),
        "tokens/s: tokens that are neither EOS nor EOT, by wall-clock.",
        True,
        is_cost=True,
    ),
    "n_token": Measure(
        "N_token", lambda _, run: number_cell(run.metrics.n_token), "N_token: tokens of the final canvas."
    ),
    "e_token": Measure(
        "E_token", lambda _, run: number_cell(run.metrics.e_token), "E_token: of these, neither EOS nor EOT."
    ),
    "e_ratio": Measure(
        "E_ratio (%)",
        lambda _, run: number_cell(run.metrics.e_ratio, unit=100),
        "E_ratio: sum E_token / sum N_token.",
        True,
        is_cost=True,
    ),
    "prompt_length": Measure(
        "prompt length", lambda _, run: number_cell(run.metrics.prompt_length), "prompt length: tokens per sample."
    ),
    "processed_length": Measure(
        "processed length",
        lambda _, run: number_cell(run.metrics.processed_length),
        "processed length: tokens of prompt and final canvas.",
        False,
        is_cost=True,
    ),
}
"""By the names that `--columns` takes."""
USUAL_COLUMNS = ("score", "flops_saved")


def choose_columns(given: str) -> tuple[str, ...]:
    """The columns named by `--columns`. Raises ConfigError for an unknown or a repeated one, and for none."""
    names = tuple(name.strip() for name in given.split(","))
    for name in names:
        if name not in MEASURES:
            raise ConfigError(
                f"--columns {given}: found {name!r}, allowed are {listing(MEASURES)}.{suggestion(name, MEASURES)}"
            )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigError(f"--columns {given}: has {twice[0]!r} twice; name each column once.")
    return names


def by_uncertainty(numbers: Sequence[Number]) -> list[Number]:
    """The numbers of a column with the decimals that their intervals warrant; without intervals, unchanged.

    The decimals show two significant digits of an interval's half-width, as is usual for uncertainties: 86.0 where it
    is 9.8 or 1.2, 86 where it is 12. All numbers have as many: those of the median half-width.
    """
    widths = [(each.high - each.low) / 2 for each in numbers if math.isfinite(each.high - each.low)]
    if not (known := [width for width in widths if width > 0]):
        return list(numbers)
    place = 1 - math.floor(math.log10(statistics.median_low(known)))
    return [replace(each, digits=min(max(place, 0), _MOST_DIGITS)) for each in numbers]


def ranked(numbers: Sequence[Number], eligible: Sequence[bool], *, higher_is_better: bool) -> list[Number]:
    """The numbers with marks for the best of the eligible ones and for the second.

    What counts are the digits shown: equal ones share a mark. Where several are best there is no second; where all
    values are equal nothing is marked.
    """
    values = [
        float(each.text) if may and each.text != MISSING and math.isfinite(each.value) and not each.is_below else None
        for each, may in zip(numbers, eligible, strict=True)
    ]
    shown = Counter(value for value in values if value is not None)
    if len(shown) < 2:
        return list(numbers)
    best, second = sorted(shown, reverse=higher_is_better)[:2]
    marks: dict[float | None, Mark] = {best: "best"}
    if shown[best] == 1:
        marks[second] = "second"
    return [replace(each, mark=marks.get(value)) for each, value in zip(numbers, values, strict=True)]


def can_be_best(each: Compared, run: Run, measure: Measure) -> bool:
    """Whether a run can be marked: not a control, and for a cost not a run that scores lower than the baseline.

    It scores lower if it is worse by the test of the stars, or by more than the default margin of non-inferiority.
    """
    if run.declared.role == "control":
        return False
    baseline = each.section.baseline
    if not measure.is_cost or baseline is None or run is baseline:
        return True
    delta = each.of(run, "performance_delta")
    worse = delta is not None and bool(delta.stars) and delta.value < 0
    fall = 100 * (mean_score(baseline) - mean_score(run))
    return not worse and not fall > MARGIN + 1e-9


def measured(sections: Sequence[Compared], names: Sequence[str], *, unit: float = 100) -> dict[str, dict[Path, Number]]:
    """Cells of all runs of sections that share their columns, by the measure's name and the run's folder.

    Decimals are as the intervals warrant, and the best of each section is marked. `unit`: what scores are multiplied
    by.
    """
    found: dict[str, dict[Path, Number]] = {}
    pairs = [(each, run) for each in sections for run in each.section.runs]
    for name in names:
        measure = MEASURES[name]
        cells = [measure.of(each, run) for each, run in pairs]
        if name == "score":
            cells = [score_cell(each.section, run, unit=unit) for each, run in pairs]
        numbers = by_uncertainty(cells)
        by_run = {run.path: cell for (_, run), cell in zip(pairs, numbers, strict=True)}
        for each in sections if measure.higher_is_better is not None else ():
            runs = each.section.runs
            eligible = [can_be_best(each, run, measure) for run in runs]
            marked = ranked(
                [by_run[run.path] for run in runs], eligible, higher_is_better=bool(measure.higher_is_better)
            )
            by_run |= {run.path: cell for run, cell in zip(runs, marked, strict=True)}
        found[name] = by_run
    return found


def measured_groups(
    sections: Sequence[Compared],
    names: Sequence[str],
    cells: Mapping[str, Mapping[Path, Number]],
    *,
    controls: bool = True,
) -> tuple[Group, ...]:
    """A group per section with a row per run: its name, then its cells of the measures `names`, as from `measured`."""
    return tuple(
        Group(
            f"{each.section.title}: {each.section.metric}",
            tuple(
                row(each.section, run, (each.section.label_of[run.path], *(cells[name][run.path] for name in names)))
                for run in each.section.runs
                if controls or run.declared.role != "control"
            ),
        )
        for each in sections
    )


RANKING = (
    "Bold: best of the column; underlined: second; equal digits share a mark. Controls are not ranked, and a cost is"
    f" ranked only where the score is not lower than the baseline's, by its stars or by more than {MARGIN:g} points."
)


def statistics_of(sections: Sequence[Compared], names: Sequence[str]) -> str:
    """n, and the test, resamples and adjustment of the columns that have stars."""
    sizes = list(dict.fromkeys(each.section.n_label for each in sections))
    n = sizes[0] if len(sizes) == 1 else "; ".join(f"{each.section.title}: {each.section.n_label}" for each in sections)
    tests = [test for each in sections for test in _tests(each, names)]
    if not tests:
        return f"{n}."
    kinds = dict.fromkeys(_kind(test) for test in tests)
    adjusted = "Holm-adjusted within each benchmark" if tests[0].adjust == "holm" else "unadjusted"
    return f"{n}. {STARS}: {' or '.join(kinds)}, {adjusted}."


def _tests(each: Compared, names: Sequence[str]) -> Iterator[FamilyTest]:
    columns = {"performance_delta": "delta"}
    yield from (effect for effect in each.effects.values() if columns.get(effect.name, effect.name) in names)


def _kind(test: FamilyTest) -> str:
    """`paired bootstrap over samples (10,000 resamples)`."""
    drawn = test.result.resamples
    return f"{test.result.name} over samples" + ("" if drawn is None else f" ({drawn:,} resamples)")


def explained(names: Iterable[str]) -> str:
    """Definitions of these measures, in a sentence each."""
    return " ".join(filter(None, (MEASURES[name].explained for name in names)))
