"""A paper's published numbers and those of our runs: a verdict on each, and a test of each claim within a margin."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import get_args

from dlm_length.analysis.effects import Testing, scores_of
from dlm_length.analysis.margins import Judged, judge_margin
from dlm_length.analysis.published import (
    AS_PUBLISHED,
    EffectsByName,
    JudgedNumber,
    Reason,
    Verdict,
    compare_to_published,
    n_published,
    rows_by_name,
)
from dlm_length.analysis.runs import Run, mean_score
from dlm_length.config import Expected, Reproduction, RequestedBenchmark
from dlm_length.papers import Claim, Quantity
from dlm_length.reports.notes import effect_notes, run_notes, unbounded_notes
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row
from dlm_length.reports.tables.cells import ends, p_cells
from dlm_length.reports.tables.effects import MARGIN_COLUMNS, margin_cells, margin_notes, points

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
"""The quantities' names in a table, and their definitions."""
_REASONS: Mapping[Reason, str] = {
    "not_run": "there is no finished run",
    "no_value": "no sample has a value",
    "undefined": "relative to a mean of 0, and so undefined",
    "one_sample": "one sample has no spread",
    "no_spread": "no spread was seen, all scores being equal",
    "wide_interval": "our interval is wider than the effect",
}


def verdict_tables(
    reproduction: Reproduction, paths: Sequence[Path], *, testing: Testing = AS_PUBLISHED
) -> list[ReportTable]:
    """One table for each published table and model, grouped by benchmark.

    Arguments and errors are those of `compare_to_published`.
    """
    compared = compare_to_published(reproduction, paths, testing=testing)
    tables = groupby(compared.numbers, key=lambda each: (each.expected.cell.table, each.expected.cell.model))
    return [_verdict_table(reproduction, list(part), compared.effects, testing.resamples) for _, part in tables]


def _verdict_table(
    reproduction: Reproduction,
    judged: Sequence[JudgedNumber],
    effects: EffectsByName,
    resamples: int,
) -> ReportTable:
    cell = judged[0].expected.cell
    paper, plan = reproduction.paper, reproduction.paper.plan
    groups = groupby(judged, key=lambda each: each.expected.benchmark)
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
        notes=tuple(_verdict_notes(reproduction, judged, effects, resamples)),
    )


def _group(judged: Sequence[JudgedNumber]) -> Group:
    run = next((each.runs[0] for each in judged if each.runs), None)
    return Group(_heading(judged[0].expected.benchmark, run), tuple(map(_verdict_row, judged)))


def _verdict_row(judged: JudgedNumber) -> Row:
    cell, found, effect = judged.expected.cell, judged.reproduced, judged.reproduced.effect
    digits = max(cell.digits, 1)
    reproduced = Number(found.value, digits, found.low, found.high)
    difference = Number(judged.difference.value, digits, judged.difference.low, judged.difference.high)
    label, _ = _QUANTITIES[cell.quantity]
    cells: tuple[Cell, ...] = (
        cell.method,
        f"{label} (%)" if cell.unit == "%" else label,
        Number(cell.value, cell.digits, stars=cell.stars),
        reproduced if effect is None else replace(reproduced, p=effect.p, stars=effect.stars),
        *ends(reproduced),
        difference,
        *ends(difference),
        *p_cells(effect),
        judged.verdict,
    )
    return Row(cells, tuple(path for run in judged.runs for path in run.paths), baseline=cell.baseline)


def _verdict_notes(
    reproduction: Reproduction,
    judged: Sequence[JudgedNumber],
    effects: EffectsByName,
    resamples: int,
) -> Iterator[str]:
    plan, cells = reproduction.paper.plan, [each.expected.cell for each in judged]
    table = reproduction.paper.table(cells[0].table)
    stars = "; the stars there are the paper's" if any(cell.stars for cell in cells) else ""
    yield (
        f"Published: {plan.title}, arXiv {plan.arxiv}, {table.source}{stars}. low and high: 95% interval of the"
        f" reproduced number, Wilson's of 0/1 scores, else percentile bootstrap over samples, {resamples:,} resamples."
        f" difference: reproduced minus published, with the 95% interval of {_uncertain(reproduction, judged)}."
    )
    yield (
        "within CI: that interval holds 0, or what printing rounds to it; outside CI: it does not; undecided: it does,"
        " but our own interval is wider than the published effect or, for a number that is not an effect, than the"
        " largest difference between the paper's methods; or there is no interval."
    )
    if any(cell.is_effect for cell in cells):
        yield (
            "p and the stars of what is reproduced test our run against our baseline (is there an effect?), not the"
            " difference from the published number."
        )
    yield from unbounded_notes(end for each in judged for end in (each.reproduced.low, each.reproduced.high))
    yield from _abbreviations({word for cell in cells for word in cell.method.split()})
    quantities = dict.fromkeys(cell.quantity for cell in cells)
    yield "; ".join(": ".join(_QUANTITIES[quantity]) for quantity in quantities) + "."
    if stand_ins := _stand_ins(reproduction, judged):
        reasons = _reasons(judged, counted=False)
        yield f"{len(judged)} published numbers; verdicts on stand-ins are not counted.{reasons}"
        yield _directions(stand_ins, judged)
    else:
        counts = Counter(each.verdict for each in judged)
        counted = ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict))
        yield f"{len(judged)} published numbers: {counted}.{_reasons(judged, counted=True)}"
    if reproduction.overrides:
        yield f"Set in addition to the plan: {', '.join(reproduction.overrides)}."
    yield from dict.fromkeys(remark for cell in cells for remark in cell.remarks)
    names = {tuple(run.path.name for run in each.runs) for each in judged}
    yield from effect_notes([effect for (run, baseline, _), effect in effects.items() if (run, baseline) in names])
    yield from run_notes({run.path: run for each in judged for run in each.runs}.values())


def _abbreviations(words: Collection[str]) -> Iterator[str]:
    """What SmartCrop's abbreviations of methods stand for, where the table has them."""
    names = {"FC": "the fixed canvas", "SC": "SmartCrop at the tau behind it"}
    if shown := [f"{short}: {long}" for short, long in names.items() if short in words]:
        yield f"{'; '.join(shown)}."


def _uncertain(reproduction: Reproduction, judged: Sequence[JudgedNumber]) -> str:
    """Whose uncertainty the intervals of differences include."""
    known = {each.expected.benchmark.published: n_published(reproduction, each.expected) for each in judged}
    sizes = ", ".join(f"{name} {n:,}" for name, n in known.items() if n is not None)
    if not sizes:
        return "ours only, as the paper's n is not known"
    return f"both samples, the paper's n being {sizes}" + (" and else unknown" if None in known.values() else "")


def _reasons(judged: Sequence[JudgedNumber], *, counted: bool) -> str:
    """Why verdicts are missing, as sentences; `counted`: with their number."""
    why = Counter((each.verdict, _reason(each, each.reproduced.reason)) for each in judged if each.reproduced.reason)
    return "".join(
        f" {verdict.capitalize()}{f' ({count})' if counted else ''}: {reason}."
        for (verdict, reason), count in why.items()
    )


def _reason(judged: JudgedNumber, reason: Reason) -> str:
    """Why a verdict is missing; the plan of the reproduction can say why something was not run."""
    return (judged.expected.reason if reason == "not_run" else "") or _REASONS[reason]


def _stand_ins(reproduction: Reproduction, judged: Sequence[JudgedNumber]) -> dict[str, list[str]]:
    """By the name of each model and benchmark that is not the paper's: those of the paper that it stands in for."""
    model = judged[0].expected.cell.model
    benchmarks = dict.fromkeys(each.expected.benchmark for each in judged)
    pairs = [(reproduction.model, model)] if reproduction.model.lower() != model.lower() else []
    pairs += [(each.name, each.published) for each in benchmarks if each.is_mini]
    replaced: dict[str, list[str]] = defaultdict(list)
    for ours, theirs in pairs:
        replaced[ours].append(theirs)
    return replaced


def _directions(replaced: Mapping[str, Sequence[str]], judged: Sequence[JudgedNumber]) -> str:
    """Which models and benchmarks are not the paper's, and how many effects have the published sign."""
    standing = ", ".join(f"{ours} stands in for {' and '.join(theirs)}" for ours, theirs in replaced.items())
    effects = [each for each in judged if each.expected.cell.is_effect and not math.isnan(each.reproduced.value)]
    agreeing = sum(each.reproduced.value * each.expected.cell.value > 0 for each in effects)
    direction = "; what can be compared is the direction of effects"
    counted = f"{direction}: {agreeing} of {len(effects)} here have the published sign" if effects else ""
    return f"Not the paper's: {standing}. The numbers are shown together, not judged{counted}."


@dataclass(frozen=True)
class _Pair:
    """A row of the paper that a claim is about and the row that it is compared with, both of which were run."""

    own: Expected
    rival: Expected
    run: Run
    baseline: Run


def claim_tables(
    reproduction: Reproduction, paths: Sequence[Path], margin: float, *, testing: Testing = AS_PUBLISHED
) -> list[ReportTable]:
    """A table for each claim of the paper that has rows which were run, grouped by benchmark.

    A claim is tested within a margin (a share of the score), as a difference that is not significant is no evidence of
    no difference. The rows of a benchmark are one family, always with Holm's adjustment, as the claim is about all of
    them. Raises StatisticsError as `margin_test`.
    """
    runs = rows_by_name(reproduction, paths)
    careful = replace(testing, adjust="holm")
    made = [_claim_table(reproduction, claim, runs, margin, careful) for claim in reproduction.paper.plan.claims]
    return [table for table in made if table is not None]


def _claim_table(
    reproduction: Reproduction, claim: Claim, runs: Mapping[str, Run], margin: float, testing: Testing
) -> ReportTable | None:
    groups: list[Group] = []
    judged: list[Judged] = []
    shown: list[_Pair] = []
    scores = [each for each in reproduction.expected if (each.cell.table, each.cell.quantity) == (claim.table, "score")]
    for benchmark, rows in groupby(scores, key=lambda each: each.benchmark):
        pairs = list(_pairs(claim, list(rows), runs))
        found = dict(enumerate(scores_of(pair.run, pair.baseline) for pair in pairs))
        of = judge_margin({place: each for place, each in found.items() if each is not None}, margin, testing)
        judged += of.values()
        shown += pairs
        if pairs:
            made = tuple(_claim_row(pair, of.get(place)) for place, pair in enumerate(pairs))
            groups.append(Group(_heading(benchmark, pairs[0].run), made))
    if not groups:
        return None
    plan = reproduction.paper.plan
    return ReportTable(
        f"claim-{reproduction.paper.name.replace('_', '-')}-{claim.table}",
        f"{plan.method}: {claim.says}, restated within {points(margin)}",
        (
            Column("method", numeric=False),
            Column("against", numeric=False),
            Column("published (points)"),
            *MARGIN_COLUMNS,
        ),
        tuple(groups),
        (*_claim_notes(reproduction, claim, shown), *margin_notes(margin, judged, testing), *_run_notes(shown)),
    )


def _pairs(claim: Claim, rows: Sequence[Expected], runs: Mapping[str, Run]) -> Iterator[_Pair]:
    """The claim's rows of one benchmark that were run, each with the row that it is compared with."""
    ran = [(each, runs[each.run.run_name]) for each in rows if each.run and each.run.run_name in runs]
    if claim.against == "baseline":
        rivals = [pair for pair in ran if pair[0].cell.baseline]
    else:
        fixed = [pair for pair in ran if pair[1].declared.role == "baseline"]
        rivals = [pair for pair in fixed if not math.isnan(mean_score(pair[1]))]
    rival = max(rivals, key=lambda pair: mean_score(pair[1]), default=None)
    if rival is not None:
        for own, run in ran:
            if own.cell.policy["name"] == claim.policy:
                yield _Pair(own, rival[0], run, rival[1])


def _claim_row(pair: _Pair, judged: Judged | None) -> Row:
    own, rival = pair.own.cell, pair.rival.cell
    published = (own.value - rival.value) * (1 if own.unit == "%" else 100)
    sources = (*pair.run.paths, *pair.baseline.paths)
    digits = max(own.digits - (0 if own.unit == "%" else 2), 0)
    return Row((own.method, rival.method, Number(published, digits), *margin_cells(judged)), sources)


def _heading(benchmark: RequestedBenchmark, run: Run | None) -> str:
    """The paper's benchmark, ours where it is another one, and the metric and n where anything was run."""
    heading = f"{benchmark.published}, here {benchmark.name}" if benchmark.is_mini else benchmark.published
    return heading if run is None else f"{heading}: {run.metrics.metric}, {run.n_label}"


def _claim_notes(reproduction: Reproduction, claim: Claim, shown: Sequence[_Pair]) -> Iterator[str]:
    plan = reproduction.paper.plan
    rival = {
        "baseline": "the table's baseline",
        "best_fixed": "the fixed canvas that scores best in our runs, which is chosen by the scores that it is tested"
        " on, and so favoured",
    }[claim.against]
    yield (
        f"{plan.title}, arXiv {plan.arxiv}. A difference that is not significant is no evidence of no difference: this"
        f" tests whether a loss of the margin can be ruled out, against {rival}."
        " published: the difference of the paper's two scores."
    )
    models = {pair.own.cell.model.lower() for pair in shown}
    if reproduction.model.lower() not in models or any(pair.own.benchmark.is_mini for pair in shown):
        yield f"Not the paper's model on its benchmarks: the verdicts are on {reproduction.model} as it was run here."


def _run_notes(shown: Sequence[_Pair]) -> Iterator[str]:
    return run_notes({run.path: run for pair in shown for run in (pair.run, pair.baseline)}.values())
