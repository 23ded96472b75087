"""Notes below tables: what a reader must know about the runs, the effects and the intervals."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm_length.analysis.decodings import COLLAPSE, AgainstPlain
from dlm_length.analysis.effects import Effect, EffectName
from dlm_length.analysis.pace import devices_of, pace_of
from dlm_length.analysis.repeats import draws, seeds_label
from dlm_length.analysis.runs import Run, mean_score
from dlm_length.common import counted
from dlm_length.records import IntervalRecord
from dlm_length.reports.table import p_text
from dlm_length.stats import LEVEL, Estimate, FamilyTest

STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001, two-sided"
"""What stars mean."""


def run_notes(runs: Iterable[Run]) -> Iterator[str]:
    """Sentences about failed, unscored and uncached samples, masks left, repeats and weak isolation, if any."""
    found = list(runs)
    if failed := sum(run.metrics.failed for run in found):
        yield f"{counted(failed, 'sample')} could not be run; their runs' samples.jsonl says why."
    if unscored := sum(run.metrics.samples - run.metrics.scored - run.metrics.failed for run in found):
        yield f"{counted(unscored, 'sample was', 'samples were')} not scored; means and tests leave them out."
    if uncached := sum(run.metrics.uncached for run in found):
        yield f"{counted(uncached, 'sample')} ran without the cache of their policy, for which there was no memory."
    yield from unfilled_notes(found)
    yield from repeat_notes(found)
    yield from isolation_notes(isolations(sample.details for run in found for sample in run.samples.values()))


def unfilled_notes(runs: Iterable[Run]) -> Iterator[str]:
    """That policies left masks on their canvases, if any did."""
    if unfilled := sum(run.metrics.with_masks_left for run in runs):
        yield (
            f"{counted(unfilled, 'sample')} ended with [MASK] tokens on the canvas, which the policy did"
            f" not fill: these are"
            " left out of the answers, and count as effective tokens."
        )


def repeat_notes(runs: Iterable[Run]) -> Iterator[str]:
    """How a row of several seeds is made, where there is one."""
    rows = [run for run in runs if run.repeats]
    if not rows:
        return
    seeds = "; ".join(dict.fromkeys(map(seeds_label, rows)))
    yield (
        f"Rows of several runs ({seeds}): means over all of them; sd, where it is shown: standard deviation of the"
        " score over the seeds. Tests and intervals take the mean of a problem's samples as one observation."
    )
    if fixed := sum(not draws(run) for run in rows):
        yield f"In {fixed} of {len(rows)} such rows nothing is random (temperature 0): all seeds give the same answers."


def pace_notes(runs: Iterable[Run]) -> Iterator[str]:
    """How the times of these runs were measured, and why some have none."""
    paces = [(run, pace_of(run)) for run in runs]
    timed = [pace for _, pace in paces if pace is not None and pace.timed is not None]
    if timed:
        counts = sorted({pace.timed for pace in timed if pace.timed is not None})
        n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
        where = "; ".join(dict.fromkeys(pace.where for pace in timed))
        yield f"Wall-clock and tokens/s were measured by themselves, after the run, on {n} of its samples ({where})."
        if own := sum(pace is not None and pace.timed is None for _, pace in paces):
            yield f"In {own} of {len(paces)} rows it is the wall-clock of the whole run, in larger batches."
    if several := [pace.devices for _, pace in paces if pace is not None and pace.devices > 1]:
        yield (
            f"In {len(several)} of {len(paces)} rows wall-clock and tokens/s are of {_numbers(several)} devices"
            " together: the time from the start of the run to its last sample, not the sum over devices."
        )
    if len(counts := devices_of(run for run, _ in paces)) > 1:
        yield (
            f"Warning: wall-clock and tokens/s of runs on {_numbers(counts)} devices are next to each other; they"
            " compare numbers of devices, not policies. The same commands with --time-alone measure each on one device."
        )
    if shared := [run for run, pace in paces if pace is None and run.metrics.runs_together > 1]:
        together = max(run.metrics.runs_together for run in shared)
        yield (
            f"{len(shared)} of {len(paces)} rows have no wall-clock: up to {together} runs were made together, so"
            " that no time belongs to a single policy. The same command with --time-alone measures each by itself."
        )


def _numbers(counts: Iterable[int]) -> str:
    """`8`, or `1 and 8`."""
    return " and ".join(str(count) for count in sorted(set(counts)))


def termination_notes(runs: Iterable[Run]) -> Iterator[str]:
    """Which token ends an answer, where it was recorded; by model and policy where these differ."""
    by_ends: dict[tuple[str, ...], set[str]] = {}
    for run in runs:
        if run.metrics.termination is not None:
            by_ends.setdefault(run.metrics.termination, set()).add(f"{run.metrics.model}, {run.metrics.policy}")
    for ends, whose in by_ends.items():
        of = f" ({'; '.join(sorted(whose))})" if len(by_ends) > 1 else ""
        yield f"Termination token: {' or '.join(ends)}{of}."


def isolations(details: Iterable[Mapping[str, Any]]) -> list[str]:
    """The kinds of sandbox isolation in the details of samples, sorted; empty where no program was run."""
    return sorted({each["isolation"] for each in details if isinstance(each.get("isolation"), str)})


def isolation_notes(kinds: Iterable[str]) -> Iterator[str]:
    """A sentence where any of them is not bubblewrap."""
    if weak := [kind for kind in kinds if not kind.startswith("bubblewrap")]:
        yield f"Generated code ran outside bubblewrap, under {' or '.join(weak)}."


def uncharged(runs: Iterable[Run]) -> list[str]:
    """The policies that are not charged for finding their lengths, sorted: their cost is not that of a method."""
    return sorted({run.metrics.policy for run in runs if not run.declared.lengths_charged})


def uncharged_notes(runs: Iterable[Run], name_of: Callable[[str], str] = str) -> Iterator[str]:
    """A sentence where any run is not charged for finding its lengths. `name_of`: gives a policy's name."""
    if named := [name_of(policy) for policy in uncharged(runs)]:
        kind, whose = ("control", "its") if len(named) == 1 else ("controls", "their")
        yield (
            f"{' and '.join(named)}: {kind}; the forwards that determined {whose} lengths are not charged to any"
            " sample."
        )


def collapse_notes(arms: Iterable[AgainstPlain], labels: Mapping[Path, str]) -> Iterator[str]:
    """A sentence for each arm that has collapsed; `labels`: those of all runs, by folder."""
    for arm in arms:
        if arm.has_collapsed and arm.delta is not None:
            before, after = 100 * mean_score(arm.plain), 100 * mean_score(arm.run)
            yield (
                f"Collapse: {labels[arm.run.path]} scores {after:.1f} where {labels[arm.plain.path]}, the same length"
                f" policy in plain decoding, scores {before:.1f}: more than {100 * COLLAPSE:.0f} points lower"
                f" ({arm.delta.stars}, paired). Its savings are no savings at equal quality."
            )


def early_stop_note(label: str, tests: int, where: str = "") -> str:
    """What the column compares with; `where`: the section, where there are several."""
    return (
        f"FLOPs saved vs early stop{f' in {where}' if where else ''}: against {label}, the same canvas with a stop"
        " rule: what a length policy saves in addition to one. Stars as for FLOPs saved, in a family of its own"
        f" ({tests:,} test{'s' * (tests != 1)})."
    )


_KINDS: Mapping[EffectName, str] = {"flops_saved": "FLOPs saved", "performance_delta": "performance delta"}
"""The names of effects in notes."""


def effect_notes(effects: Collection[Effect]) -> Iterator[str]:
    """What the stars of these effects mean: which p sets them, and the test, n and resamples of each kind of effect."""
    tests: dict[str, list[Effect]] = {}
    for name, kind in _KINDS.items():
        if own := [effect for effect in effects if effect.name == name]:
            tests[kind] = own
    if not tests:
        return
    described = "; ".join(f"{kind}: {_described(each)}" for kind, each in tests.items())
    yield f"{STARS}, over the samples that both runs have. {described}."
    yield from family_notes(tests)
    if any(math.isnan(effect.value) for effect in tests.get("performance delta", ())):
        yield "performance delta is undefined where the baseline's mean is 0."


def family_notes(tests: Mapping[str, Sequence[FamilyTest]]) -> Iterator[str]:
    """Which p sets the stars, and which tests cannot have any; `tests`: those of all groups, by the family's name."""
    sizes = {of: sorted({test.family for test in each}) for of, each in tests.items() if each}
    if not sizes:
        return
    families = "; ".join(f"{of}: {' or '.join(f'{size:,}' for size in each)}" for of, each in sizes.items())
    family = f"a family is the tests of one kind of effect within a group ({families})"
    if any(test.adjust == "none" for each in tests.values() for test in each):
        yield f"Stars are by each test's own p, unadjusted, as in the papers. Holm's p: {family}."
    elif max(size for each in sizes.values() for size in each) > 1:
        yield f"Stars are by Holm's p: {family}."
    for of, each in tests.items():
        yield from _without_stars(of, each)


def unbounded_notes(bounds: Iterable[float]) -> Iterator[str]:
    """A sentence where any of these bounds of intervals is infinite."""
    if any(map(math.isinf, bounds)):
        yield "A bound of inf: the baseline's mean is 0 in so many resamples that there is no bound on that side."


def _without_stars(of: str, tests: Sequence[FamilyTest]) -> Iterator[str]:
    """Which of these tests could have no star however large the effect, and what would change that."""
    hopeless = [test for test in tests if not test.can_be_starred]
    for_draws = [test for test in hopeless if _draws_limit(test)]
    yield from dict.fromkeys(_too_few_draws(of, test) for test in for_draws)
    if for_pairs := [test for test in hopeless if not _draws_limit(test)]:
        every = sorted(test.result.least_p for test in for_pairs)
        least = " to ".join(dict.fromkeys((p_text(every[0]), p_text(every[-1]))))
        adjusted = f", before Holm's factor of up to {test.factor:,}" if (test := for_pairs[0]).factor > 1 else ""
        yield (
            f"{of}: {len(for_pairs):,} of {len(tests):,} tests could have no star, however large the effect: there are"
            f" too few pairs, or too few that differ. The smallest p that they could have is {least}{adjusted}."
        )


def _draws_limit(test: FamilyTest) -> bool:
    """Whether more resamples would make a star possible."""
    result = test.result
    return result.resamples is not None and result.least_p <= 2 / (result.resamples + 1)


def _too_few_draws(of: str, test: FamilyTest) -> str:
    result = test.result
    assert result.resamples is not None, "draws limit what is drawn"
    least = f"no p can be below {p_text(result.least_p, resamples=result.resamples)}"
    if test.factor > 1:
        least += f", which in a family of {test.family:,} is {p_text(test.least_p)} by Holm's adjustment"
    enough = math.floor(result.least_p * (result.resamples + 1) * test.factor / LEVEL + 1e-9)
    return (
        f"{of}: with {result.resamples:,} resamples {least}, so that none could have a star; --resamples {enough} or an"
        " exact test could give one."
    )


def _described(tests: Sequence[FamilyTest]) -> str:
    return " or ".join(dict.fromkeys(test.result.description for test in tests))


def kinds_of_interval(found: Iterable[Estimate | IntervalRecord]) -> str:
    """How intervals were computed: `Wilson`, `percentile bootstrap, 10,000 resamples`, or both."""
    return " or ".join(dict.fromkeys(_kind(each) for each in found if not math.isnan(each.low)))


def interval_notes(found: Iterable[Estimate | IntervalRecord]) -> Iterator[str]:
    """How the intervals of a table's scores were computed, if there are any."""
    if kinds := kinds_of_interval(found):
        yield f"Scores have 95% intervals: {kinds}."


def _kind(found: Estimate | IntervalRecord) -> str:
    method = found.interval if isinstance(found, Estimate) else found.method
    return "Wilson" if method == "wilson" else f"{method} bootstrap, {found.resamples:,} resamples"
