"""Tables of published and reproduced numbers."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import get_args

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.published import (
    AS_PUBLISHED,
    EffectsByName,
    JudgedNumber,
    Reason,
    Verdict,
    compare_to_published,
    n_published,
)
from dlm_length.config import Reproduction
from dlm_length.papers import Quantity
from dlm_length.reports.effects import effect_notes, p_cells, unbounded_notes
from dlm_length.reports.notes import run_notes
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row

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
_NO_P = Number(math.nan, 4)
_REASONS: Mapping[Reason, str] = {
    "not_run": "there is no finished run",
    "no_value": "no sample has a value",
    "undefined": "relative to a mean of 0, and so undefined",
    "one_sample": "one sample has no spread",
    "no_spread": "no spread was seen, all scores being equal",
    "wide_interval": "our interval is wider than the effect",
}


def verdict_sheets(
    reproduction: Reproduction, paths: Sequence[Path], *, testing: Testing = AS_PUBLISHED
) -> list[ReportTable]:
    """One table for each published table and model, grouped by benchmark; the rest as `compare_to_published`."""
    compared = compare_to_published(reproduction, paths, testing=testing)
    tables = groupby(compared.numbers, key=lambda each: (each.expected.cell.table, each.expected.cell.model))
    return [_sheet(reproduction, list(part), compared.effects, testing.resamples) for _, part in tables]


def _sheet(
    reproduction: Reproduction,
    judged: Sequence[JudgedNumber],
    effects: EffectsByName,
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


def _group(judged: Sequence[JudgedNumber]) -> Group:
    asked = judged[0].expected.asked
    heading = f"{asked.published}, here {asked.name}" if asked.is_mini else asked.published
    if run := next((each.runs[0] for each in judged if each.runs), None):
        heading += f": {run.metrics.metric}, {run.n_label}"
    return Group(heading, tuple(map(_row, judged)))


def _row(judged: JudgedNumber) -> Row:
    cell, found, difference = judged.expected.cell, judged.reproduced, judged.difference
    effect = found.effect
    digits = max(cell.digits, 1)
    label, _ = _QUANTITIES[cell.quantity]
    cells: tuple[Cell, ...] = (
        cell.method,
        f"{label} (%)" if cell.unit == "%" else label,
        Number(cell.value, cell.digits, stars=cell.stars),
        Number(found.value, digits) if effect is None else Number(found.value, digits, p=effect.p, stars=effect.stars),
        Number(found.low, digits),
        Number(found.high, digits),
        Number(difference.value, digits),
        Number(difference.low, digits),
        Number(difference.high, digits),
        *((_NO_P, _NO_P) if effect is None else p_cells(effect)),
        judged.verdict,
    )
    return Row(cells, tuple(path for run in judged.runs for path in run.paths), baseline=cell.baseline)


def _notes(
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
        f" difference: reproduced less published, with the 95% interval of {_uncertain(reproduction, judged)}."
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
        yield f"{len(judged)} published numbers; of stand-ins no verdicts are counted.{_reasons(judged, counted=False)}"
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
    """SmartCrop's names for methods, where they stand in the table."""
    names = {"FC": "the fixed canvas", "SC": "SmartCrop at the tau behind it"}
    if shown := [f"{short}: {long}" for short, long in names.items() if short in words]:
        yield f"{'; '.join(shown)}."


def _uncertain(reproduction: Reproduction, judged: Sequence[JudgedNumber]) -> str:
    """Whose uncertainty the intervals of differences have."""
    known = {each.expected.asked.published: n_published(reproduction, each.expected) for each in judged}
    sizes = ", ".join(f"{name} {n:,}" for name, n in known.items() if n is not None)
    if not sizes:
        return "ours alone, as the paper's n is not known"
    return f"both samples, the paper's n being {sizes}" + (" and else unknown" if None in known.values() else "")


def _reasons(judged: Sequence[JudgedNumber], *, counted: bool) -> str:
    """Why verdicts are missing, as sentences, with how many they are."""
    why = Counter((each.verdict, _reason(each, each.reproduced.reason)) for each in judged if each.reproduced.reason)
    return "".join(
        f" {verdict.capitalize()}{f' ({count})' if counted else ''}: {reason}."
        for (verdict, reason), count in why.items()
    )


def _reason(judged: JudgedNumber, reason: Reason) -> str:
    """Why a verdict is missing; of what was not run, as the reproduction's plan says, where it says so."""
    return (judged.expected.reason if reason == "not_run" else "") or _REASONS[reason]


def _stand_ins(reproduction: Reproduction, judged: Sequence[JudgedNumber]) -> dict[str, list[str]]:
    """Models and benchmarks that are not the paper's, by our name: those whose place they take."""
    model = judged[0].expected.cell.model
    asked = dict.fromkeys(each.expected.asked for each in judged)
    pairs = [(reproduction.model, model)] if reproduction.model.lower() != model.lower() else []
    pairs += [(each.name, each.published) for each in asked if each.is_mini]
    replaced: dict[str, list[str]] = defaultdict(list)
    for ours, theirs in pairs:
        replaced[ours].append(theirs)
    return replaced


def _directions(replaced: Mapping[str, Sequence[str]], judged: Sequence[JudgedNumber]) -> str:
    """What is not the paper's, and what can still be compared."""
    standing = ", ".join(f"{ours} stands in for {' and '.join(theirs)}" for ours, theirs in replaced.items())
    effects = [each for each in judged if each.expected.cell.is_effect and not math.isnan(each.reproduced.value)]
    agreeing = sum(each.reproduced.value * each.expected.cell.value > 0 for each in effects)
    direction = "; what can be compared is the direction of effects"
    counted = f"{direction}: {agreeing} of {len(effects)} here have the published sign" if effects else ""
    return f"Not the paper's: {standing}. The numbers are shown together, not judged{counted}."
