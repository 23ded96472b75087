"""A paper's published numbers compared with those of our runs: a verdict on each, from records only."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dlm_length.analysis.effects import SEED, Effect, EffectName, Testing, bootstrap_all, compare_all
from dlm_length.analysis.repeats import read_row
from dlm_length.analysis.runs import Run
from dlm_length.config import Expected, Reproduction
from dlm_length.papers import PublishedCell, Quantity
from dlm_length.records import SampleSummary
from dlm_length.stats import Estimate, Paired, Statistic, pair, score_intervals, wilson

Verdict = Literal["within CI", "outside CI", "undecided", "not run"]

Reason = Literal["not_run", "no_value", "undefined", "one_sample", "no_spread", "wide_interval"]
"""Why there is no verdict: no finished run; no sample with a value; a change relative to a mean of 0; only one sample,
which has no variance; equal scores; an interval of ours that is wider than the effect."""

EffectsByName = Mapping[tuple[str, str, EffectName], Effect]
"""By the names of the run's and of the baseline's config, and the kind of effect."""

AS_PUBLISHED = Testing(adjust="none")
"""The convention of the papers: stars by each test's own p."""

_MEANS: Mapping[Quantity, Callable[[SampleSummary], float]] = {
    "prompt_length": lambda sample: sample.prompt_length,
    "processed_length": lambda sample: sample.processed_length,
    "e_token": lambda sample: sample.e_token,
    "n_token": lambda sample: sample.n_token,
}
"""Quantities that are means over the samples that ran."""
_TIE = 1e-9
"""Relative tolerance: 50.0 plus half a unit of its last digit equals 100 times 0.5005."""


@dataclass(frozen=True)
class Reproduced:
    """The number that our runs give; NaN where there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    effect: Effect | None = None
    """The effect of which it is the value, with its test; None for a number of one run."""
    reason: Reason | None = None
    """Why there is no verdict; None where there is one."""
    n: int = 0
    """Number of problems or samples behind it."""
    is_share: bool = False
    """Whether it is a share of them: the mean of 0/1 scores."""

    def times(self, factor: float) -> "Reproduced":
        """The number in another unit."""
        return replace(self, value=factor * self.value, low=factor * self.low, high=factor * self.high)


@dataclass(frozen=True)
class Difference:
    """The reproduced number minus the published one."""

    value: float
    low: float
    high: float
    """95% interval from the uncertainty of both samples, as far as it is known."""


@dataclass(frozen=True)
class JudgedNumber:
    """A published number with the reproduced one and the verdict."""

    expected: Expected
    reproduced: Reproduced
    """In the published number's unit."""
    difference: Difference
    verdict: Verdict
    runs: tuple[Run, ...]
    """The run, and the baseline of an effect; none where the number was not run."""


def judge(low: float, high: float, *, reach: float, width: float, effect: float) -> Verdict:
    """The verdict by the interval [`low`, `high`] of the difference between reproduced and published number.

    `reach`: how far rounding can have moved the printed number. `width`: of our own interval; one wider than the
    `effect` agrees with the published effect, and with none or its opposite as well. Without an interval of ours or of
    the difference (NaN), nothing is decided.
    """
    if any(map(math.isnan, (low, high, width))):
        return "undecided"
    if low > reach or high < -reach:
        return "outside CI"
    return "undecided" if width > effect else "within CI"


@dataclass(frozen=True)
class PublishedComparison:
    """A paper's numbers compared with ours."""

    numbers: tuple[JudgedNumber, ...]
    """In the order of the reproduction."""
    effects: EffectsByName
    """The effects of every run against its baseline."""


def compare_to_published(
    reproduction: Reproduction, paths: Sequence[Path], *, testing: Testing = AS_PUBLISHED
) -> PublishedComparison:
    """Every number that the paper published, with the number of finished runs.

    `paths`: folders of finished runs, which include those of the reproduction. `testing`: how our effects are tested
    and starred. Raises RecordError for a folder that is not one of a finished run.
    """
    runs = rows_by_name(reproduction, paths)
    estimates = _estimates(runs, testing.resamples)
    effects = _effects(reproduction.expected, runs, testing)
    spans = _spans(reproduction.expected)
    judged = tuple(_judged(reproduction, each, runs, estimates, effects, spans) for each in reproduction.expected)
    return PublishedComparison(judged, effects)


def rows_by_name(reproduction: Reproduction, paths: Sequence[Path]) -> dict[str, Run]:
    """The finished runs of what is expected, by the name of the config; the repeats of a config are one row."""
    folders = {path.name: path for path in paths}
    rows: dict[str, Run] = {}
    for config in (config for each in reproduction.expected for config in (each.run, each.baseline) if config):
        names = [repeat.run_name for repeat in reproduction.study.repeats(config)]
        if config.run_name not in rows and all(name in folders for name in names):
            rows[config.run_name] = read_row([folders[name] for name in names])
    return rows


def _estimates(runs: Mapping[str, Run], resamples: int) -> dict[tuple[str, Quantity], Estimate]:
    """Every quantity of every run, by the run's name; quantities that no sample has are left out."""
    statistics = {(name, quantity): each for name, run in runs.items() for quantity, each in _statistics(run)}
    scores = {key: each for key, each in statistics.items() if key[1] == "score"}
    others = {key: each for key, each in statistics.items() if key[1] != "score"}
    return score_intervals(scores, rng=SEED, resamples=resamples) | bootstrap_all(others, resamples)


def _spans(expected: Iterable[Expected]) -> dict[tuple[str, ...], float]:
    """The largest difference between a paper's methods, by table, model, benchmark and quantity."""
    values: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for each in expected:
        values[_series(each.cell)].append(each.cell.value)
    return {series: max(found) - min(found) for series, found in values.items()}


def _series(cell: PublishedCell) -> tuple[str, ...]:
    return cell.table, cell.model, cell.benchmark, cell.quantity


def _statistics(run: Run) -> Iterator[tuple[Quantity, Statistic]]:
    scored = {sample.id: sample.score for sample in run.samples.values() if sample.score is not None}
    if scored:
        yield "score", Statistic.mean(_columns(run, {"score": scored})["score"])
    ran = [sample for sample in run.samples.values() if sample.error is None]
    if ran:
        columns = _columns(run, {name: {sample.id: of(sample) for sample in ran} for name, of in _MEANS.items()})
        yield from ((name, Statistic.mean(columns[name])) for name in _MEANS)
        yield "e_ratio", Statistic.ratio(columns["e_token"], columns["n_token"], "E_ratio")


def _columns(run: Run, columns: Mapping[str, Mapping[str, float]]) -> Paired:
    """Columns over the same samples in one order; several answers to a problem count as their mean."""
    named = {name: (list(values), list(values.values())) for name, values in columns.items()}
    return pair(named, what=" and ".join(columns), unit_of=run.unit_of)


def _effects(expected: Iterable[Expected], runs: Mapping[str, Run], testing: Testing) -> EffectsByName:
    """The effects of every run against its baseline."""
    against: dict[str, set[str]] = defaultdict(set)
    for each in expected:
        if each.run and each.baseline and {each.run.run_name, each.baseline.run_name} <= runs.keys():
            against[each.baseline.run_name].add(each.run.run_name)
    found: dict[tuple[str, str, EffectName], Effect] = {}
    for baseline, names in against.items():
        by_path = {runs[name].path: name for name in sorted(names)}
        compared = compare_all([runs[name] for name in by_path.values()], runs[baseline], testing=testing)
        found |= {(by_path[path], baseline, kind): effect for (path, kind), effect in compared.items()}
    return found


def _judged(
    reproduction: Reproduction,
    expected: Expected,
    runs: Mapping[str, Run],
    estimates: Mapping[tuple[str, Quantity], Estimate],
    effects: EffectsByName,
    spans: Mapping[tuple[str, ...], float],
) -> JudgedNumber:
    cell = expected.cell
    names = [config.run_name for config in (expected.run, expected.baseline) if config]
    behind = tuple(runs[name] for name in names if name in runs)
    if expected.run is None or len(behind) < len(names):
        return JudgedNumber(
            expected, Reproduced(reason="not_run"), Difference(math.nan, math.nan, math.nan), "not run", ()
        )
    if expected.baseline is None:
        found = _of_estimate(estimates.get((names[0], cell.quantity)))
    else:
        kind: EffectName = "flops_saved" if cell.quantity == "flops_saved" else "performance_delta"
        found = _of_effect(effects.get((names[0], names[1], kind)))
    unit = 100.0 if cell.unit == "%" else 1.0
    found = found.times(unit)
    difference = _difference(cell, found, n_published(reproduction, expected), unit)
    width, effect = found.high - found.low, _effect_of(cell, spans)
    verdict = judge(difference.low, difference.high, reach=_reach(cell), width=width, effect=effect)
    if verdict == "undecided" and not found.reason:
        found = replace(found, reason="wide_interval")
    return JudgedNumber(expected, found, difference, verdict, behind)


def _reach(cell: PublishedCell) -> float:
    """How far rounding can have moved the printed number."""
    return cell.rounding + _TIE * max(1.0, abs(cell.value))


def _effect_of(cell: PublishedCell, spans: Mapping[tuple[str, ...], float]) -> float:
    """The largest width of our interval that allows a verdict.

    It is the size of a published effect; for another number, the largest difference between the paper's methods in this
    quantity or, where these are equal, the number itself.
    """
    return abs(cell.value) if cell.is_effect else spans[_series(cell)] or abs(cell.value)


def n_published(reproduction: Reproduction, expected: Expected) -> int | None:
    """The number of problems behind a published number; None where the paper does not say."""
    return reproduction.paper.plan.benchmarks[expected.benchmark.published].n


def _difference(cell: PublishedCell, found: Reproduced, n: int | None, unit: float) -> Difference:
    """Reproduced minus published, with the uncertainty of both samples where the published number's `n` is known.

    The distance to an end of the interval is the root of the summed squares of the two numbers' distances to their own
    ends (Newcombe, Statistics in Medicine 17, 1998, method 10, for shares; Zou and Donner, Statistics in Medicine 27,
    2008). A published share has Wilson's interval, another number ours, scaled to its n. Both are treated as
    independent, which is conservative where the problems are the same. Without n a published number counts as exact.
    """
    below, above = found.value - found.low, found.high - found.value
    published = 0.0, 0.0
    if n is not None and found.is_share:
        low, high = wilson(cell.value / unit, n)
        published = cell.value - unit * low, unit * high - cell.value
    elif n is not None:
        scale = math.sqrt(found.n / n)
        published = scale * below, scale * above
    value = found.value - cell.value
    return Difference(value, value - math.hypot(below, published[1]), value + math.hypot(above, published[0]))


def _of_effect(effect: Effect | None) -> Reproduced:
    if effect is None:
        return Reproduced(reason="no_value")
    n = effect.result.n
    return Reproduced(effect.value, effect.low, effect.high, effect, _no_verdict(effect.value, effect.low, n), n)


def _of_estimate(estimate: Estimate | None) -> Reproduced:
    if estimate is None:
        return Reproduced(reason="no_value")
    reason = _no_verdict(estimate.value, estimate.low, estimate.n)
    is_share = estimate.interval == "wilson"
    return Reproduced(estimate.value, estimate.low, estimate.high, None, reason, estimate.n, is_share)


def _no_verdict(value: float, low: float, n: int) -> Reason | None:
    """Why there is no interval; None where there is one."""
    if math.isnan(value):
        return "undefined"
    if math.isnan(low):
        return "one_sample" if n == 1 else "no_spread"
    return None
