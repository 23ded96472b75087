"""A run beside its baseline: effects with intervals and tests (docs/methods.md section 7), from records alone."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from dlm_length.analysis.runs import Run
from dlm_length.records import SampleSummary
from dlm_length.stats import (
    ADJUST,
    RESAMPLES,
    STARS_BY,
    Adjust,
    Estimate,
    FamilyTest,
    Paired,
    Statistic,
    TestName,
    bootstrap,
    family_tests,
    pair,
    run_test,
    score_intervals,
)

Key = TypeVar("Key")

SEED = 0
"""Of the resamples, so that a table made twice has the same stars."""


@dataclass(frozen=True)
class Testing:
    """How effects are tested: the same in every table of a command."""

    __test__ = False  # pytest would collect it for its name

    stars_by: TestName = STARS_BY
    """The test behind the stars of scores; those of FLOPs are the bootstrap's."""
    adjust: Adjust = ADJUST
    """Which p sets the stars."""
    resamples: int = RESAMPLES
    """Of every test and interval that draws."""


USUAL = Testing()
"""Unless a command is asked otherwise."""


@dataclass(frozen=True)
class Effect:
    """One effect of a run against its baseline."""

    estimate: Estimate
    """By the paired bootstrap, with its percentile interval."""
    test: FamilyTest
    """The one that sets the stars, in the family of this kind of effect of all runs that are compared together."""

    @property
    def stars(self) -> str:
        """None beside an effect that is undefined."""
        return "" if math.isnan(self.estimate.value) else self.test.stars


@dataclass(frozen=True)
class Comparison:
    """A run beside its baseline, over the samples that ran, or were scored, in both."""

    flops_saved: Effect | None
    """None where no sample ran in both."""
    performance_delta: Effect | None
    """None where none was scored in both."""
    scores: Paired | None
    """Those of both (`["run"]`, `["baseline"]`); None as the delta."""


def compare(run: Run, baseline: Run, *, testing: Testing = USUAL) -> Comparison:
    """FLOPs saved and performance delta of one run: every family has one test.

    Raises StatisticsError where the runs do not cover the same samples.
    """
    return compare_all([run], baseline, testing=testing)[0]


def compare_all(runs: Sequence[Run], baseline: Run, *, testing: Testing = USUAL) -> list[Comparison]:
    """Each of many runs against one baseline, in the time of about one: they share their resamples.

    The runs of one section: their tests of FLOPs are one family, their tests of scores another, so that what is sure of
    costs takes nothing from what is asked of scores. Raises StatisticsError as `compare`.
    """
    scores = [scores_of(run, baseline) for run in runs]
    statistics: dict[tuple[int, str], Statistic] = {}
    for number, (run, paired) in enumerate(zip(runs, scores, strict=True)):
        # A sample that could not be run cost nothing, which is no saving.
        flops = _paired(run, baseline, "FLOPs", lambda s: None if s.error else float(s.ledger.total.flops_reference))
        if flops is not None:
            statistics[number, "flops"] = Statistic.flops_saved(flops["run"], flops["baseline"])
        if paired is not None:
            statistics[number, "score"] = Statistic.performance_delta(paired["run"], paired["baseline"])
    estimates = bootstrap_all(statistics, testing.resamples)
    costs = bootstrap_tests({number: each for (number, kind), each in estimates.items() if kind == "flops"}, testing)
    deltas = {number: each for (number, kind), each in estimates.items() if kind == "score"}
    if testing.stars_by == STARS_BY:
        starring = bootstrap_tests(deltas, testing)
    else:
        starring = score_tests(testing.stars_by, dict(enumerate(scores)), testing)
    return [
        Comparison(
            Effect(estimates[number, "flops"], costs[number]) if number in costs else None,
            Effect(deltas[number], starring[number]) if number in deltas else None,
            paired,
        )
        for number, paired in enumerate(scores)
    ]


def bootstrap_tests(estimates: Mapping[Key, Estimate], testing: Testing) -> dict[Key, FamilyTest]:
    """The bootstrap's tests of these effects as one family, by the keys given."""
    tests = {key: estimate.test for key, estimate in estimates.items() if estimate.test is not None}
    return family_tests(tests, testing.adjust)


def score_tests(name: TestName, scores: Mapping[Key, Paired | None], testing: Testing) -> dict[Key, FamilyTest]:
    """The test of that name of all these scores as one family, by the keys given; none of what has no scores."""
    tests = {
        key: run_test(name, paired["run"], paired["baseline"], rng=SEED, resamples=testing.resamples)
        for key, paired in scores.items()
        if paired is not None
    }
    return family_tests(tests, testing.adjust)


def bootstrap_all(statistics: Mapping[Key, Statistic], resamples: int = RESAMPLES) -> dict[Key, Estimate]:
    """The bootstrap of each, in less time than a call for each: those over as many samples share their resamples."""
    found: dict[Key, Estimate] = {}
    for size in {statistic.n for statistic in statistics.values()}:
        alike = {key: statistic for key, statistic in statistics.items() if statistic.n == size}
        found |= bootstrap(alike, rng=SEED, resamples=resamples)
    return found


def scores_of(run: Run, baseline: Run) -> Paired | None:
    """The scores of both (`paired["run"]`, `paired["baseline"]`); None where no sample is scored in both."""
    return _paired(run, baseline, "score", lambda sample: sample.score)


def mean_scores(runs: Iterable[Run], resamples: int = RESAMPLES) -> dict[Path, Estimate]:
    """The mean score of each that has any, with its 95% interval, by the run's folder."""
    statistics = {run.path: Statistic.mean(run.scores) for run in runs if run.scores.size}
    return score_intervals(statistics, rng=SEED, resamples=resamples)


def _paired(run: Run, baseline: Run, what: str, of: Callable[[SampleSummary], float | None]) -> Paired | None:
    """The values that both have; None where there is no sample that has one in both."""
    same = run.samples.keys() == baseline.samples.keys()  # otherwise `pair` says which are missing
    if same and all(of(ours) is None or of(baseline.samples[name]) is None for name, ours in run.samples.items()):
        return None
    both = {"run": run, "baseline": baseline} if same else {str(run.path): run, str(baseline.path): baseline}
    if not same and (run.repeats or baseline.repeats):  # other seeds: what they have in common are the problems
        return _paired_by_problem(run, baseline, what, of)
    columns = {name: [of(sample) for sample in each.samples.values()] for name, each in both.items()}
    return pair(
        {name: (list(each.samples), np.array(columns[name], dtype=np.float64)) for name, each in both.items()},
        what=what,
        incomplete="leave_out",
        unit_of=run.unit_of,
    )


def _paired_by_problem(
    run: Run, baseline: Run, what: str, of: Callable[[SampleSummary], float | None]
) -> Paired | None:
    """The mean of each problem's samples that have a value, in runs of other seeds."""
    columns = {name: _problem_means(each, of) for name, each in (("run", run), ("baseline", baseline))}
    ours, theirs = columns.values()
    if ours.keys() == theirs.keys() and all(math.isnan(ours[problem] + theirs[problem]) for problem in ours):
        return None
    named = {name: (list(means), list(means.values())) for name, means in columns.items()}
    return pair(named, what=what, incomplete="leave_out")


def _problem_means(run: Run, of: Callable[[SampleSummary], float | None]) -> dict[str, float]:
    """Of every problem; NaN where none of its samples has a value."""
    values: dict[str, list[float]] = {}
    for name, sample in run.samples.items():
        value = of(sample)
        values.setdefault(run.problem_of(name), []).extend([] if value is None else [value])
    return {problem: math.fsum(own) / len(own) if own else math.nan for problem, own in values.items()}
