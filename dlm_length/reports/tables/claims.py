"""What a paper claims of its scores without a test of it, as non-inferiority and equivalence within a margin."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from dlm_length.analysis.effects import Testing, scores_of
from dlm_length.analysis.margins import Judged, judge_margin
from dlm_length.analysis.published import AS_PUBLISHED, rows_by_name
from dlm_length.analysis.runs import Run, mean_score
from dlm_length.config import Asked, Expected, Reproduction
from dlm_length.papers import Claim
from dlm_length.reports.effects import MARGIN_COLUMNS, margin_cells, margin_notes, points
from dlm_length.reports.notes import run_notes
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row


@dataclass(frozen=True)
class _Pair:
    """A row of the paper that the claim is about, with the row that it is compared with; both were run."""

    own: Expected
    rival: Expected
    run: Run
    baseline: Run


def claim_sheets(
    reproduction: Reproduction, paths: Sequence[Path], margin: float, *, testing: Testing = AS_PUBLISHED
) -> list[ReportTable]:
    """A table for each claim of the paper of which rows were run, grouped by benchmark. `margin`: a share of the score.

    A difference that is not significant is not evidence of none, so no claim of a paper is judged by that.
    The rows of a benchmark are one family, adjusted whatever sets the stars elsewhere: the claim is about all of them.
    Raises StatisticsError as `margin_test`.
    """
    runs = rows_by_name(reproduction, paths)
    careful = replace(testing, adjust="holm")
    made = [_sheet(reproduction, claim, runs, margin, careful) for claim in reproduction.paper.plan.claims]
    return [sheet for sheet in made if sheet is not None]


def _sheet(
    reproduction: Reproduction, claim: Claim, runs: Mapping[str, Run], margin: float, testing: Testing
) -> ReportTable | None:
    groups: list[Group] = []
    judged: list[Judged] = []
    shown: list[_Pair] = []
    scores = [each for each in reproduction.expected if (each.cell.table, each.cell.quantity) == (claim.table, "score")]
    for asked, rows in groupby(scores, key=lambda each: each.asked):
        pairs = list(_pairs(claim, list(rows), runs))
        found = dict(enumerate(scores_of(pair.run, pair.baseline) for pair in pairs))
        of = judge_margin({place: each for place, each in found.items() if each is not None}, margin, testing)
        judged += of.values()
        shown += pairs
        if pairs:
            made = tuple(_row(pair, of.get(place)) for place, pair in enumerate(pairs))
            groups.append(Group(_heading(asked, pairs[0].run), made))
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
        (*_notes(reproduction, claim, shown), *margin_notes(margin, judged, testing), *_run_notes(shown)),
    )


def _pairs(claim: Claim, rows: Sequence[Expected], runs: Mapping[str, Run]) -> Iterator[_Pair]:
    """The claim's rows of one benchmark that were run, each with its rival."""
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


def _row(pair: _Pair, judged: Judged | None) -> Row:
    own, rival = pair.own.cell, pair.rival.cell
    published = (own.value - rival.value) * (1 if own.unit == "%" else 100)
    sources = (*pair.run.paths, *pair.baseline.paths)
    digits = max(own.digits - (0 if own.unit == "%" else 2), 0)
    return Row((own.method, rival.method, Number(published, digits), *margin_cells(judged)), sources)


def _heading(asked: Asked, run: Run) -> str:
    heading = f"{asked.published}, here {asked.name}" if asked.is_mini else asked.published
    return f"{heading}: {run.metrics.metric}, {run.n_label}"


def _notes(reproduction: Reproduction, claim: Claim, shown: Sequence[_Pair]) -> Iterator[str]:
    plan = reproduction.paper.plan
    rival = {
        "baseline": "the table's baseline",
        "best_fixed": "the fixed canvas that scores best in our runs, which is chosen by the scores that it is tested"
        " on, and so favoured",
    }[claim.against]
    yield (
        f"{plan.title}, arXiv {plan.arxiv}. A difference that is not significant is not evidence of none: this tests"
        f" whether a loss of the margin can be ruled out, against {rival}."
        " published: the difference of the paper's two scores."
    )
    models = {pair.own.cell.model.lower() for pair in shown}
    if reproduction.model.lower() not in models or any(pair.own.asked.is_mini for pair in shown):
        yield f"Not the paper's model on its benchmarks: the verdicts are on {reproduction.model} as it was run here."


def _run_notes(shown: Sequence[_Pair]) -> Iterator[str]:
    return run_notes({run.path: run for pair in shown for run in (pair.run, pair.baseline)}.values())
