"""Published beside reproduced: a verdict on each number of a paper, from records alone."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args

from dlm_length.config import Expected, Reproduction
from dlm_length.papers import PublishedCell, Quantity
from dlm_length.records import SampleSummary
from dlm_length.reports.comparison import SEED, Comparison, Run, Testing, bootstrap_all, compare_all
from dlm_length.reports.effects import effect_notes, p_cells, unbounded_notes
from dlm_length.reports.repeats import read_row
from dlm_length.reports.run_notes import run_notes
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row
from dlm_length.stats import Estimate, FamilyTest, Paired, Statistic, pair, score_intervals, wilson

Verdict = Literal["within CI", "outside CI", "undecided", "not run"]

AS_PUBLISHED = Testing(adjust="none")
"""The papers' own convention: stars by each test's own p."""

_QUANTITIES: Mapping[Quantity, tuple[str, str]] = {
    "score": ("score", "mean of the metric"),
    "prompt_length": ("prompt", "mean tokens of the prompt"),
    "processed_length": ("processed", "mean tokens of prompt and final canvas"),
    "e_token": ("E_token", "mean tokens of the final canvas that are neither EOS nor EOT"),
    "n_token": ("N_token", "mean tokens of the final canvas"),
    "e_ratio": ("E_ratio", "sum E_token by sum N_token"),
    "flops_saved": ("FLOPs saved", "1 - sum FLOPs by the baseline's"),
    "performance_delta": ("delta", "relative change of the mean score against the baseline"),
}
"""How a table calls them, and what they are."""
_MEANS: Mapping[Quantity, Callable[[SampleSummary], float]] = {
    "prompt_length": lambda sample: sample.prompt_length,
    "processed_length": lambda sample: sample.processed_length,
    "e_token": lambda sample: sample.e_token,
    "n_token": lambda sample: sample.n_token,
}
"""Quantities that are means over the samples that ran."""
_NO_P = Number(math.nan, 4)
_TIE = 1e-9
"""Relative: 50.0 and half a unit of its last digit, and 100 times 0.5005, are the same number."""


@dataclass(frozen=True)
class _Found:
    """What the runs say of a published number, as shares; NaN where they say nothing."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    test: FamilyTest | None = None
    """Whether there is an effect; None for a number of one run."""
    stars: str = ""
    reason: str = ""
    """Why there is no verdict."""
    n: int = 0
    """Problems or samples behind it."""
    is_share: bool = False
    """Whether it is a share of them: the mean of 0/1 scores."""

    def times(self, factor: float) -> "_Found":
        """In another unit."""
        return replace(self, value=factor * self.value, low=factor * self.low, high=factor * self.high)


@dataclass(frozen=True)
class _Difference:
    """What was found less what was published."""

    value: float
    low: float
    high: float
    """95%, of both samples' uncertainty as far as it is known."""


@dataclass(frozen=True)
class _Judged:
    """A published number with what was found."""

    expected: Expected
    found: _Found
    """In the published number's unit."""
    difference: _Difference
    verdict: Verdict
    runs: tuple[Run, ...]
    """The run, and the baseline of an effect; none where the number was not run."""


def judge(low: float, high: float, *, reach: float, width: float, effect: float) -> Verdict:
    """What the interval [`low`, `high`] of the difference between found and published says.

    `reach`: how far the published number may be from the printed one. `width`: from end to end of our own interval. One
    that is wider than the `effect` agrees with the published number, and with none or its opposite as well. Without an
    interval, ours or the difference's (NaN), nothing is decided.
    """
    if any(map(math.isnan, (low, high, width))):
        return "undecided"
    if low > reach or high < -reach:
        return "outside CI"
    return "undecided" if width > effect else "within CI"


def verdict_sheets(
    reproduction: Reproduction, paths: Sequence[Path], *, testing: Testing = AS_PUBLISHED
) -> list[ReportTable]:
    """One table for each published table and model, grouped by benchmark.

    `paths`: folders of finished runs, those of the reproduction among them. `testing`: how our effects are tested and
    starred. Raises RecordError for another folder.
    """
    runs = rows_by_name(reproduction, paths)
    estimates = _estimates(runs, testing.resamples)
    effects = _effects(reproduction.expected, runs, testing)
    spans = _spans(reproduction.expected)
    judged = [_judged(reproduction, each, runs, estimates, effects, spans) for each in reproduction.expected]
    tables = groupby(judged, key=lambda each: (each.expected.cell.table, each.expected.cell.model))
    return [_sheet(reproduction, list(part), effects, testing.resamples) for _, part in tables]


def rows_by_name(reproduction: Reproduction, paths: Sequence[Path]) -> dict[str, Run]:
    """The finished runs of what is expected, by the name of the config, whose repeats are one row."""
    folders = {path.name: path for path in paths}
    rows: dict[str, Run] = {}
    for config in (config for each in reproduction.expected for config in (each.run, each.baseline) if config):
        names = [repeat.run_name for repeat in reproduction.study.repeats(config)]
        if config.run_name not in rows and all(name in folders for name in names):
            rows[config.run_name] = read_row([folders[name] for name in names])
    return rows


def _estimates(runs: Mapping[str, Run], resamples: int) -> dict[tuple[str, Quantity], Estimate]:
    """Every quantity of every run, by the run's name; one that no sample has is left out."""
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
    """Columns over the same samples in one order; several answers to a problem are its mean."""
    named = {name: (list(values), list(values.values())) for name, values in columns.items()}
    return pair(named, what=" and ".join(columns), unit_of=run.unit_of)


def _effects(
    expected: Iterable[Expected], runs: Mapping[str, Run], testing: Testing
) -> dict[tuple[str, str], Comparison]:
    """Every run against its baseline, by the names of both."""
    against: dict[str, set[str]] = defaultdict(set)
    for each in expected:
        if each.run and each.baseline and {each.run.run_name, each.baseline.run_name} <= runs.keys():
            against[each.baseline.run_name].add(each.run.run_name)
    found: dict[tuple[str, str], Comparison] = {}
    for baseline, names in against.items():
        ordered = sorted(names)
        compared = compare_all([runs[name] for name in ordered], runs[baseline], testing=testing)
        found |= {(name, baseline): each for name, each in zip(ordered, compared, strict=True)}
    return found


def _judged(
    reproduction: Reproduction,
    expected: Expected,
    runs: Mapping[str, Run],
    estimates: Mapping[tuple[str, Quantity], Estimate],
    effects: Mapping[tuple[str, str], Comparison],
    spans: Mapping[tuple[str, ...], float],
) -> _Judged:
    cell = expected.cell
    names = [config.run_name for config in (expected.run, expected.baseline) if config]
    behind = tuple(runs[name] for name in names if name in runs)
    if expected.run is None or len(behind) < len(names):
        reason = expected.reason or "there is no finished run"
        return _Judged(expected, _Found(reason=reason), _Difference(math.nan, math.nan, math.nan), "not run", ())
    if expected.baseline is None:
        found = _of_estimate(estimates.get((names[0], cell.quantity)))
    else:
        found = _of_effect(cell.quantity, effects[names[0], names[1]])
    unit = 100.0 if cell.unit == "%" else 1.0
    found = found.times(unit)
    difference = _difference(cell, found, _n_published(reproduction, expected), unit)
    width, effect = found.high - found.low, _effect_of(cell, spans)
    verdict = judge(difference.low, difference.high, reach=_reach(cell), width=width, effect=effect)
    if verdict == "undecided" and not found.reason:
        found = replace(found, reason="our interval is wider than the effect")
    return _Judged(expected, found, difference, verdict, behind)


def _reach(cell: PublishedCell) -> float:
    """How far the published number may be from the printed one."""
    return cell.rounding + _TIE * max(1.0, abs(cell.value))


def _effect_of(cell: PublishedCell, spans: Mapping[tuple[str, ...], float]) -> float:
    """What our interval must not be wider than: the effect that a number is, or else the largest one that the paper has
    between its methods in this quantity, or where these are alike the number itself.
    """
    return abs(cell.value) if cell.is_effect else spans[_series(cell)] or abs(cell.value)


def _n_published(reproduction: Reproduction, expected: Expected) -> int | None:
    return reproduction.paper.plan.benchmarks[expected.asked.published].n


def _difference(cell: PublishedCell, found: _Found, n: int | None, unit: float) -> _Difference:
    """Found less published, with both samples' uncertainty where the `n` of the published number is known.

    An end lies as far off as the root of the summed squares of the two numbers' distances to their own ends (Newcombe,
    Statistics in Medicine 17, 1998, method 10, for shares; Zou and Donner, Statistics in Medicine 27, 2008). A
    published share has Wilson's interval, another number has ours, scaled to its n. Both are taken as independent,
    which errs on the wide side where the problems are the same. Of unknown n a published number counts as exact.
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
    return _Difference(value, value - math.hypot(below, published[1]), value + math.hypot(above, published[0]))


def _of_effect(quantity: Quantity, compared: Comparison) -> _Found:
    effect = compared.flops_saved if quantity == "flops_saved" else compared.performance_delta
    if effect is None:
        return _of_estimate(None)
    return replace(_of_estimate(effect.estimate), test=effect.test, stars=effect.stars)


def _of_estimate(estimate: Estimate | None) -> _Found:
    if estimate is None:
        return _Found(reason="no sample has a value")
    reason = ""
    if math.isnan(estimate.value):
        reason = "relative to a mean of 0, and so undefined"
    elif math.isnan(estimate.low):
        reason = "one sample has no spread" if estimate.n == 1 else "no spread was seen, all scores being equal"
    is_share = estimate.interval == "wilson"
    return _Found(estimate.value, estimate.low, estimate.high, None, "", reason, estimate.n, is_share)


def _sheet(
    reproduction: Reproduction,
    judged: Sequence[_Judged],
    effects: Mapping[tuple[str, str], Comparison],
    resamples: int,
) -> ReportTable:
    cell = judged[0].expected.cell
    paper, plan = reproduction.paper, reproduction.paper.plan
    groups = groupby(judged, key=lambda each: each.expected.asked)
    return ReportTable(
        name=re.sub(r"[^a-z0-9]+", "-", f"verdicts-{paper.name}-{cell.table}-{cell.model}".lower()),
        title=f"{plan.method}, {paper.table(cell.table).source}: published and reproduced ({cell.model})",
        columns=(
            Column("method", numeric=False),
            Column("of", numeric=False),
            Column("published"),
            Column("reproduced", own_columns=("low", "high", "p")),
            Column("low"),
            Column("high"),
            Column("difference", own_columns=("low", "high")),
            Column("difference low"),
            Column("difference high"),
            Column("p"),
            Column("p (Holm)"),
            Column("verdict", numeric=False),
        ),
        groups=tuple(_group(list(part)) for _, part in groups),
        notes=tuple(_notes(reproduction, judged, effects, resamples)),
    )


def _group(judged: Sequence[_Judged]) -> Group:
    asked = judged[0].expected.asked
    heading = f"{asked.published}, here {asked.name}" if asked.is_mini else asked.published
    if run := next((each.runs[0] for each in judged if each.runs), None):
        heading += f": {run.metrics.metric}, {run.n_label}"
    return Group(heading, tuple(map(_row, judged)))


def _row(judged: _Judged) -> Row:
    cell, found, difference = judged.expected.cell, judged.found, judged.difference
    digits = max(cell.digits, 1)
    label, _ = _QUANTITIES[cell.quantity]
    cells: tuple[Cell, ...] = (
        cell.method,
        f"{label} (%)" if cell.unit == "%" else label,
        Number(cell.value, cell.digits, stars=cell.stars),
        Number(found.value, digits, p=math.nan if found.test is None else found.test.p, stars=found.stars),
        Number(found.low, digits),
        Number(found.high, digits),
        Number(difference.value, digits),
        Number(difference.low, digits),
        Number(difference.high, digits),
        *((_NO_P, _NO_P) if found.test is None else p_cells(found.test)),
        judged.verdict,
    )
    return Row(cells, tuple(path for run in judged.runs for path in run.paths), baseline=cell.baseline)


def _notes(
    reproduction: Reproduction,
    judged: Sequence[_Judged],
    effects: Mapping[tuple[str, str], Comparison],
    resamples: int,
) -> Iterator[str]:
    plan, cells = reproduction.paper.plan, [each.expected.cell for each in judged]
    table = reproduction.paper.table(cells[0].table)
    stars = "; the stars there are the paper's" if any(cell.stars for cell in cells) else ""
    yield (
        f"Published: {plan.title}, arXiv {plan.arxiv}, {table.source}{stars}. low and high: 95% interval of the"
        f" reproduced number, Wilson's of 0/1 scores, else percentile bootstrap over samples, {resamples:,} resamples."
        f" difference: reproduced less published, with the 95% interval of {_uncertain(reproduction, judged)}."
    )
    yield (
        "within CI: that interval holds 0, or what printing rounds to it; outside CI: it does not; undecided: it does,"
        " but our own interval is wider than the published effect or, for a number that is no effect, than the largest"
        " difference between the paper's methods; or there is no interval."
    )
    if any(cell.is_effect for cell in cells):
        yield (
            "p and the stars of what is reproduced test our run against our baseline (is there an effect?), not the"
            " difference from the published number."
        )
    yield from unbounded_notes(end for each in judged for end in (each.found.low, each.found.high))
    yield from _abbreviations({word for cell in cells for word in cell.method.split()})
    quantities = dict.fromkeys(cell.quantity for cell in cells)
    yield "; ".join(": ".join(_QUANTITIES[quantity]) for quantity in quantities) + "."
    if stand_ins := _stand_ins(reproduction, judged):
        yield f"{len(judged)} published numbers; of stand-ins no verdicts are counted.{_reasons(judged, counted=False)}"
        yield _directions(stand_ins, judged)
    else:
        counts = Counter(each.verdict for each in judged)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict))
        yield f"{len(judged)} published numbers: {told}.{_reasons(judged, counted=True)}"
    if reproduction.overrides:
        yield f"Set beside the plan: {', '.join(reproduction.overrides)}."
    yield from dict.fromkeys(remark for cell in cells for remark in cell.remarks)
    names = {tuple(run.path.name for run in each.runs) for each in judged}
    yield from effect_notes([comparison for key, comparison in effects.items() if key in names])
    yield from run_notes({run.path: run for each in judged for run in each.runs}.values())


def _abbreviations(words: Collection[str]) -> Iterator[str]:
    """SmartCrop's names for methods, where they stand in the table."""
    told = {"FC": "the fixed canvas", "SC": "SmartCrop at the tau behind it"}
    if met := [f"{short}: {long}" for short, long in told.items() if short in words]:
        yield f"{'; '.join(met)}."


def _uncertain(reproduction: Reproduction, judged: Sequence[_Judged]) -> str:
    """Whose uncertainty the intervals of differences have."""
    known = {each.expected.asked.published: _n_published(reproduction, each.expected) for each in judged}
    sizes = ", ".join(f"{name} {n:,}" for name, n in known.items() if n is not None)
    if not sizes:
        return "ours alone, as the paper's n is not known"
    return f"both samples, the paper's n being {sizes}" + (" and else unknown" if None in known.values() else "")


def _reasons(judged: Sequence[_Judged], *, counted: bool) -> str:
    """Why verdicts are missing, as sentences, with how many they are."""
    why = Counter((each.verdict, each.found.reason) for each in judged if each.found.reason)
    return "".join(
        f" {verdict.capitalize()}{f' ({count})' if counted else ''}: {reason}."
        for (verdict, reason), count in why.items()
    )


def _stand_ins(reproduction: Reproduction, judged: Sequence[_Judged]) -> dict[str, list[str]]:
    """Models and benchmarks that are not the paper's, by our name: those whose place they take."""
    model = judged[0].expected.cell.model
    asked = dict.fromkeys(each.expected.asked for each in judged)
    pairs = [(reproduction.model, model)] if reproduction.model.lower() != model.lower() else []
    pairs += [(each.name, each.published) for each in asked if each.is_mini]
    replaced: dict[str, list[str]] = defaultdict(list)
    for ours, theirs in pairs:
        replaced[ours].append(theirs)
    return replaced


def _directions(replaced: Mapping[str, Sequence[str]], judged: Sequence[_Judged]) -> str:
    """What is not the paper's, and what can still be compared."""
    standing = ", ".join(f"{ours} stands in for {' and '.join(theirs)}" for ours, theirs in replaced.items())
    effects = [each for each in judged if each.expected.cell.is_effect and not math.isnan(each.found.value)]
    agreeing = sum(each.found.value * each.expected.cell.value > 0 for each in effects)
    direction = "; what can be compared is the direction of effects"
    counted = f"{direction}: {agreeing} of {len(effects)} here have the published sign" if effects else ""
    return f"Not the paper's: {standing}. The numbers only stand beside each other{counted}."
