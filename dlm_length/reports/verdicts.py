"""Published beside reproduced: a verdict on each number of a paper, from records alone."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args

from dlm_length.config import Expected, Reproduction
from dlm_length.papers import Quantity
from dlm_length.records import SampleSummary
from dlm_length.reports.comparison import Comparison, Run, adjusted_p, bootstrap_all, compare_all
from dlm_length.reports.effects import effect_notes, family_note, unbounded_notes
from dlm_length.reports.repeats import read_row
from dlm_length.reports.run_notes import run_notes
from dlm_length.reports.sheet import Column, Group, Number, Row, Sheet, p_value
from dlm_length.stats import RESAMPLES, Estimate, Paired, Statistic, pair

Verdict = Literal["inside", "outside", "undecided", "not run"]

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
_TIE = 1e-9
"""Relative: 50.0 and half a unit of its last digit, and 100 times 0.5005, are the same number."""


@dataclass(frozen=True)
class _Found:
    """What the runs say of a published number, as shares; NaN where they say nothing."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    stars: str = ""
    reason: str = ""
    """Why there is no interval."""


@dataclass(frozen=True)
class _Judged:
    """A published number with what was found."""

    expected: Expected
    found: _Found
    """In the published number's unit."""
    verdict: Verdict
    runs: tuple[Run, ...]
    """The run, and the baseline of an effect; none where the number was not run."""


def judge(published: float, rounding: float, low: float, high: float) -> Verdict:
    """Whether a number printed as `published`, exact to within `rounding`, can lie within the interval."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    reach = rounding + _TIE * max(1.0, abs(published))
    return "inside" if low <= published + reach and published - reach <= high else "outside"


def verdict_sheets(reproduction: Reproduction, paths: Sequence[Path], *, resamples: int = RESAMPLES) -> list[Sheet]:
    """One table for each published table and model, grouped by benchmark.

    `paths`: folders of finished runs, those of the reproduction among them. Raises RecordError for another folder.
    """
    runs = _rows_by_name(reproduction, paths)
    estimates = _estimates(runs, resamples)
    effects = _effects(reproduction.expected, runs, resamples)
    judged = [_judged(each, runs, estimates, effects) for each in reproduction.expected]
    tables = groupby(judged, key=lambda each: (each.expected.cell.table, each.expected.cell.model))
    return [_sheet(reproduction, list(part), effects, resamples) for _, part in tables]


def _rows_by_name(reproduction: Reproduction, paths: Sequence[Path]) -> dict[str, Run]:
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
    return bootstrap_all(statistics, resamples)


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
    expected: Iterable[Expected], runs: Mapping[str, Run], resamples: int
) -> dict[tuple[str, str], Comparison]:
    """Every run against its baseline, by the names of both."""
    against: dict[str, set[str]] = defaultdict(set)
    for each in expected:
        if each.run and each.baseline and {each.run.run_name, each.baseline.run_name} <= runs.keys():
            against[each.baseline.run_name].add(each.run.run_name)
    found: dict[tuple[str, str], Comparison] = {}
    for baseline, names in against.items():
        ordered = sorted(names)
        compared = compare_all([runs[name] for name in ordered], runs[baseline], resamples=resamples)
        found |= {(name, baseline): each for name, each in zip(ordered, compared, strict=True)}
    return found


def _judged(
    expected: Expected,
    runs: Mapping[str, Run],
    estimates: Mapping[tuple[str, Quantity], Estimate],
    effects: Mapping[tuple[str, str], Comparison],
) -> _Judged:
    cell = expected.cell
    names = [config.run_name for config in (expected.run, expected.baseline) if config]
    behind = tuple(runs[name] for name in names if name in runs)
    if expected.run is None or len(behind) < len(names):
        reason = expected.reason or "there is no finished run"
        return _Judged(expected, _Found(reason=reason), "not run", ())
    if expected.baseline is None:
        found = _of_estimate(estimates.get((names[0], cell.quantity)))
    else:
        found = _of_effect(cell.quantity, effects[names[0], names[1]])
    if cell.unit == "%":
        value, low, high = (100 * each for each in (found.value, found.low, found.high))
        found = _Found(value, low, high, found.p, found.stars, found.reason)
    return _Judged(expected, found, judge(cell.value, cell.rounding, found.low, found.high), behind)


def _of_effect(quantity: Quantity, compared: Comparison) -> _Found:
    effect = compared.flops_saved if quantity == "flops_saved" else compared.performance_delta
    found = _of_estimate(None if effect is None else effect.estimate)
    if effect is None:
        return found
    return _Found(found.value, found.low, found.high, effect.test.p, effect.test.stars, found.reason)


def _of_estimate(estimate: Estimate | None) -> _Found:
    if estimate is None:
        return _Found(reason="no sample has a value")
    reason = ""
    if math.isnan(estimate.value):
        reason = "relative to a mean of 0, and so undefined"
    elif math.isnan(estimate.low):
        reason = "one sample has no spread"
    return _Found(estimate.value, estimate.low, estimate.high, reason=reason)


def _sheet(
    reproduction: Reproduction,
    judged: Sequence[_Judged],
    effects: Mapping[tuple[str, str], Comparison],
    resamples: int,
) -> Sheet:
    cell = judged[0].expected.cell
    paper, plan = reproduction.paper, reproduction.paper.plan
    groups = groupby(judged, key=lambda each: each.expected.asked)
    # One family: all tests of the table. NaN is a number that has none.
    holm = iter(adjusted_p([each.found.p for each in judged]))
    return Sheet(
        name=re.sub(r"[^a-z0-9]+", "-", f"verdicts-{paper.name}-{cell.table}-{cell.model}".lower()),
        title=f"{plan.method}, {paper.table(cell.table).source}: published and reproduced ({cell.model})",
        columns=(
            Column("method", numeric=False),
            Column("of", numeric=False),
            Column("published"),
            Column("reproduced", apart=("p",)),
            Column("difference"),
            Column("low"),
            Column("high"),
            Column("p"),
            Column("p (Holm)"),
            Column("verdict", numeric=False),
        ),
        groups=tuple(_group(list(part), holm) for _, part in groups),
        notes=tuple(_notes(reproduction, judged, effects, resamples)),
    )


def _group(judged: Sequence[_Judged], holm: Iterator[float]) -> Group:
    asked = judged[0].expected.asked
    heading = f"{asked.published}, here {asked.name}" if asked.is_mini else asked.published
    if run := next((each.runs[0] for each in judged if each.runs), None):
        heading += f": {run.metrics.metric}, {run.told_n}"
    return Group(heading, tuple(_row(each, next(holm)) for each in judged))


def _row(judged: _Judged, adjusted: float) -> Row:
    cell, found = judged.expected.cell, judged.found
    digits = max(cell.digits, 1)
    label, _ = _QUANTITIES[cell.quantity]
    cells = (
        cell.method,
        f"{label} (%)" if cell.unit == "%" else label,
        Number(cell.value, cell.digits, stars=cell.stars),
        Number(found.value, digits, p=found.p, stars="" if math.isnan(found.value) else found.stars),
        Number(found.value - cell.value, digits),
        Number(found.low, digits),
        Number(found.high, digits),
        p_value(found.p),
        p_value(adjusted),
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
        f"Published: {plan.title}, arXiv {plan.arxiv}, {table.source}{stars}. low and high: 95% percentile interval of"
        f" the reproduced number, bootstrap over samples, {resamples:,} resamples. inside: a number that is printed as"
        " the published one lies within."
    )
    if any(cell.is_effect for cell in cells):
        yield (
            "p and the stars of what is reproduced test our run against our baseline (is there an effect?), not the"
            f" difference from the published number. {family_note([each.found.p for each in judged], 'its effects')}"
        )
    yield from unbounded_notes(end for each in judged for end in (each.found.low, each.found.high))
    yield from _abbreviations({word for cell in cells for word in cell.method.split()})
    quantities = dict.fromkeys(cell.quantity for cell in cells)
    yield "; ".join(": ".join(_QUANTITIES[quantity]) for quantity in quantities) + "."
    counts = Counter(each.verdict for each in judged)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict))
    yield f"{len(judged)} published numbers: {told}.{_reasons(judged)}"
    yield from _stand_ins(reproduction, judged)
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


def _reasons(judged: Sequence[_Judged]) -> str:
    """Why verdicts are missing, as sentences behind their counts."""
    why = Counter((each.verdict, each.found.reason) for each in judged if each.found.reason)
    return "".join(f" {verdict.capitalize()} ({count}): {reason}." for (verdict, reason), count in why.items())


def _stand_ins(reproduction: Reproduction, judged: Sequence[_Judged]) -> Iterator[str]:
    """A sentence where the model or a benchmark is not the paper's."""
    model = judged[0].expected.cell.model
    asked = dict.fromkeys(each.expected.asked for each in judged)
    pairs = [(reproduction.model, model)] if reproduction.model.lower() != model.lower() else []
    pairs += [(each.name, each.published) for each in asked if each.is_mini]
    if not pairs:
        return
    replaced: dict[str, list[str]] = defaultdict(list)
    for ours, theirs in pairs:
        replaced[ours].append(theirs)
    standing = ", ".join(f"{ours} stands in for {' and '.join(theirs)}" for ours, theirs in replaced.items())
    effects = [each for each in judged if each.expected.cell.is_effect and not math.isnan(each.found.value)]
    agreeing = sum(each.found.value * each.expected.cell.value > 0 for each in effects)
    direction = "; what can be compared is the direction of effects"
    counted = f"{direction}: {agreeing} of {len(effects)} here have the published sign" if effects else ""
    yield f"Not the paper's: {standing}. The numbers only stand beside each other{counted}."
