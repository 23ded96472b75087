"""Effects of runs against a baseline, with intervals and tests (docs/methods.md section 7), from records only."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, TypeVar

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
    TestResult,
    bootstrap,
    family_tests,
    pair,
    run_test,
    score_intervals,
)

Key = TypeVar("Key")

SEED = 0
"""Seed of the resamples, so that a table made twice has the same stars."""


@dataclass(frozen=True)
class Testing:
    """How effects are tested: the same in every table of a command."""

    __test__ = False  # pytest would collect it for its name

    stars_by: TestName = STARS_BY
    """The test that sets the stars of scores; the stars of FLOPs are the bootstrap's."""
    adjust: Adjust = ADJUST
    """Which p sets the stars."""
    resamples: int = RESAMPLES
    """Number of resamples of every test and interval that uses random numbers."""


USUAL = Testing()
"""The default settings."""

EffectName = Literal["flops_saved", "performance_delta", "flops_saved_vs_early_stop"]
"""Kinds of effect. The last is against the baseline with a stop rule, the others against the baseline itself."""


@dataclass(frozen=True)
class Effect(FamilyTest):
    """One effect of a run: estimate and interval, and the test that sets its stars with Holm's p in its family.

    A family is the tests of one kind of effect of all runs that are compared together.
    """

    name: EffectName
    value: float
    """A share, such as 0.25 for 25%; NaN where it is undefined."""
    low: float
    high: float
    """95% percentile interval of the paired bootstrap; NaN and infinite as in `Estimate`."""
    bootstrap: TestResult
    """The paired bootstrap's test, to which the interval belongs; `result` is another where another sets the stars."""

    @property
    def stars(self) -> str:
        """The stars; empty for an effect that is undefined."""
        return "" if math.isnan(self.value) else super().stars

    @classmethod
    def of(cls, name: EffectName, estimate: Estimate, test: FamilyTest) -> Self:
        """The effect with a bootstrap's estimate and the test that sets its stars."""
        assert estimate.test is not None, "an effect has a test"
        own = (estimate.value, estimate.low, estimate.high, estimate.test)
        return cls(test.result, test.adjusted_p, test.family, test.adjust, name, *own)

    def under(self, test: FamilyTest) -> Self:
        """The same effect with another test."""
        return replace(self, result=test.result, adjusted_p=test.adjusted_p, family=test.family, adjust=test.adjust)


Effects = Mapping[tuple[Path, EffectName], Effect]
"""By the run's folder and the kind of effect. FLOPs saved are missing where no sample ran in both runs, and the
performance delta where none was scored in both."""


def compare_all(
    runs: Sequence[Run], baseline: Run, *, testing: Testing = USUAL
) -> dict[tuple[Path, EffectName], Effect]:
    """FLOPs saved and performance delta of each run against one baseline; all share their resamples.

    The tests of FLOPs are one family and the tests of scores another, so that the more certain effect on cost does not
    make the test of scores stricter. Raises StatisticsError where a run does not have the baseline's samples.
    """
    scores = paired_scores(runs, baseline)
    costs = _flops_saved(runs, baseline)
    changes = {path: Statistic.performance_delta(each["run"], each["baseline"]) for path, each in scores.items()}
    keyed: dict[tuple[Path, EffectName], Statistic] = {(path, "flops_saved"): each for path, each in costs.items()}
    keyed |= {(path, "performance_delta"): each for path, each in changes.items()}
    estimates = bootstrap_all(keyed, testing.resamples)
    saved = {path: estimates[path, "flops_saved"] for path in costs}
    delta = {path: estimates[path, "performance_delta"] for path in changes}
    if testing.stars_by == STARS_BY:
        starring = bootstrap_tests(delta, testing)
    else:
        starring = score_tests(testing.stars_by, scores, testing)
    return _effects("flops_saved", saved, bootstrap_tests(saved, testing)) | _effects(
        "performance_delta", delta, starring
    )


def savings_vs_early_stop(
    runs: Sequence[Run], early_stop: Run, *, testing: Testing = USUAL
) -> dict[tuple[Path, EffectName], Effect]:
    """FLOPs saved by each run against the baseline with a stop rule; their tests are a family of their own."""
    saved = bootstrap_all(_flops_saved(runs, early_stop), testing.resamples)
    return _effects("flops_saved_vs_early_stop", saved, bootstrap_tests(saved, testing))


def _effects(
    name: EffectName, estimates: Mapping[Path, Estimate], tests: Mapping[Path, FamilyTest]
) -> dict[tuple[Path, EffectName], Effect]:
    return {(path, name): Effect.of(name, estimate, tests[path]) for path, estimate in estimates.items()}


def _flops_saved(runs: Sequence[Run], baseline: Run) -> dict[Path, Statistic]:
    """By the run's folder, where any sample ran in both. That a failed sample cost nothing is not a saving."""
    found = {}
    for run in runs:
        flops = _paired(run, baseline, "FLOPs", lambda s: None if s.error else float(s.ledger.total.flops_reference))
        if flops is not None:
            found[run.path] = Statistic.flops_saved(flops["run"], flops["baseline"])
    return found


def bootstrap_tests(estimates: Mapping[Key, Estimate], testing: Testing) -> dict[Key, FamilyTest]:
    """The bootstrap's tests of these effects as one family, with the same keys."""
    tests = {key: estimate.test for key, estimate in estimates.items() if estimate.test is not None}
    return family_tests(tests, testing.adjust)


def score_tests(name: TestName, scores: Mapping[Key, Paired], testing: Testing) -> dict[Key, FamilyTest]:
    """The test of that name of all these scores as one family, with the same keys."""
    tests = {
        key: run_test(name, paired["run"], paired["baseline"], rng=SEED, resamples=testing.resamples)
        for key, paired in scores.items()
    }
    return family_tests(tests, testing.adjust)


def bootstrap_all(statistics: Mapping[Key, Statistic], resamples: int = RESAMPLES) -> dict[Key, Estimate]:
    """The bootstrap of each statistic; those over equally many samples share their resamples, which saves time."""
    found: dict[Key, Estimate] = {}
    for size in {statistic.n for statistic in statistics.values()}:
        alike = {key: statistic for key, statistic in statistics.items() if statistic.n == size}
        found |= bootstrap(alike, rng=SEED, resamples=resamples)
    return found


def scores_of(run: Run, baseline: Run) -> Paired | None:
    """The scores of both (`paired["run"]`, `paired["baseline"]`); None where no sample is scored in both."""
    return _paired(run, baseline, "score", lambda sample: sample.score)


def paired_scores(runs: Iterable[Run], baseline: Run) -> dict[Path, Paired]:
    """`scores_of` each run, by its folder, where any sample is scored in both."""
    pairs = ((run.path, scores_of(run, baseline)) for run in runs)
    return {path: paired for path, paired in pairs if paired is not None}


def mean_scores(runs: Iterable[Run], resamples: int = RESAMPLES) -> dict[Path, Estimate]:
    """The mean score of each run that has any, with its 95% interval, by the run's folder."""
    statistics = {run.path: Statistic.mean(run.scores) for run in runs if run.scores.size}
    return score_intervals(statistics, rng=SEED, resamples=resamples)


def _paired(run: Run, baseline: Run, what: str, of: Callable[[SampleSummary], float | None]) -> Paired | None:
    """The values of the samples that have one in both; None where there are none."""
    same = run.samples.keys() == baseline.samples.keys()  # otherwise `pair` says which are missing
    if same and all(of(ours) is None or of(baseline.samples[name]) is None for name, ours in run.samples.items()):
        return None
    both = {"run": run, "baseline": baseline} if same else {str(run.path): run, str(baseline.path): baseline}
    if not same and (run.repeats or baseline.repeats):  # runs of different seeds have only the problems in common
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
    """The mean of each problem's samples that have a value, for runs of different seeds."""
    columns = {name: _problem_means(each, of) for name, each in (("run", run), ("baseline", baseline))}
    ours, theirs = columns.values()
    if ours.keys() == theirs.keys() and all(math.isnan(ours[problem] + theirs[problem]) for problem in ours):
        return None
    named = {name: (list(means), list(means.values())) for name, means in columns.items()}
    return pair(named, what=what, incomplete="leave_out")


def _problem_means(run: Run, of: Callable[[SampleSummary], float | None]) -> dict[str, float]:
    """The mean value of every problem; NaN where none of its samples has a value."""
    values: dict[str, list[float]] = {}
    for name, sample in run.samples.items():
        value = of(sample)
        values.setdefault(run.problem_of(name), []).extend([] if value is None else [value])
    return {problem: math.fsum(own) / len(own) if own else math.nan for problem, own in values.items()}
