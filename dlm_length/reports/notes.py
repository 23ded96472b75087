"""What a reader of a table must know of the runs behind it: failures, repeats, isolation, controls, collapses."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dlm_length.analysis.decodings import COLLAPSE, AgainstPlain
from dlm_length.analysis.pace import devices_of, pace_of
from dlm_length.analysis.repeats import draws, seeds_label
from dlm_length.analysis.runs import Run, mean_score


def run_notes(runs: Iterable[Run]) -> Iterator[str]:
    """Failures, samples without a score or their cache, weak isolation; nothing where all is well."""
    found = list(runs)
    if failed := sum(run.metrics.failed for run in found):
        yield f"{failed:,} samples could not be run; their runs' samples.jsonl says why."
    if unscored := sum(run.metrics.samples - run.metrics.scored - run.metrics.failed for run in found):
        yield f"{unscored:,} samples were not scored; means and tests leave them out."
    if uncached := sum(run.metrics.uncached for run in found):
        yield f"{uncached:,} samples ran without the cache of their policy, for which there was no memory."
    yield from repeat_notes(found)
    yield from isolation_notes(isolations(sample.details for run in found for sample in run.samples.values()))


def repeat_notes(runs: Iterable[Run]) -> Iterator[str]:
    """What a row of several seeds is; nothing where there is none."""
    rows = [run for run in runs if run.repeats]
    if not rows:
        return
    seeds = "; ".join(dict.fromkeys(map(seeds_label, rows)))
    yield (
        f"Rows of several runs ({seeds}): means over all of them; sd, where it is shown: standard deviation of the"
        " score over the seeds. Tests and intervals take the mean of a problem's samples as one observation."
    )
    if fixed := sum(not draws(run) for run in rows):
        yield f"In {fixed} of {len(rows)} such rows nothing is drawn (temperature 0): all seeds give the same answers."


def pace_notes(runs: Iterable[Run]) -> Iterator[str]:
    """Where the times of these rows come from, and why some have none."""
    paces = [(run, pace_of(run)) for run in runs]
    timed = [pace for _, pace in paces if pace is not None and pace.timed is not None]
    if timed:
        counts = sorted({pace.timed for pace in timed if pace.timed is not None})
        n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
        where = "; ".join(dict.fromkeys(pace.where for pace in timed))
        yield f"Wall-clock and tokens/s measured alone, after the run, on {n} of its samples ({where})."
        if own := sum(pace is not None and pace.timed is None for _, pace in paces):
            yield f"In {own} of {len(paces)} rows it is the clock of the whole run, made by itself in batches of more."
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
            f"{len(shared)} of {len(paces)} rows have no wall-clock: up to {together} runs were made together, on one"
            " clock, which is no policy's own. The same command with --time-alone measures each by itself."
        )


def _numbers(counts: Iterable[int]) -> str:
    """`8`, or `1 and 8`."""
    return " and ".join(str(count) for count in sorted(set(counts)))


def termination_notes(runs: Iterable[Run]) -> Iterator[str]:
    """Which token ends an answer, where it was recorded; by model where they differ."""
    by_ends: dict[tuple[str, ...], set[str]] = {}
    for run in runs:
        if run.metrics.termination is not None:
            by_ends.setdefault(run.metrics.termination, set()).add(f"{run.metrics.model}, {run.metrics.policy}")
    for ends, whose in by_ends.items():
        of = f" ({'; '.join(sorted(whose))})" if len(by_ends) > 1 else ""
        yield f"Termination token: {' or '.join(ends)}{of}."


def isolations(details: Iterable[Mapping[str, Any]]) -> list[str]:
    """The kinds named in the details of these samples, sorted; none where no program was run."""
    return sorted({told["isolation"] for told in details if isinstance(told.get("isolation"), str)})


def isolation_notes(kinds: Iterable[str]) -> Iterator[str]:
    """A sentence where any of them is not bubblewrap."""
    if weak := [kind for kind in kinds if not kind.startswith("bubblewrap")]:
        yield f"Generated code ran outside bubblewrap, under {' or '.join(weak)}."


def uncharged(runs: Iterable[Run]) -> list[str]:
    """The policies whose lengths were found at no charge, sorted: what they cost is no method's cost."""
    return sorted({run.metrics.policy for run in runs if not run.declared.lengths_charged})


def uncharged_notes(runs: Iterable[Run]) -> Iterator[str]:
    """A sentence where any of the runs found its lengths at no charge."""
    if named := uncharged(runs):
        yield f"{' and '.join(named)}: controls; the forwards that found their lengths are charged to no sample."


def collapse_notes(arms: Iterable[AgainstPlain], labels: Mapping[Path, str]) -> Iterator[str]:
    """A sentence for each arm that has collapsed; `labels`: of all runs, by folder."""
    for arm in arms:
        if arm.has_collapsed and arm.delta is not None:
            before, after = 100 * mean_score(arm.plain), 100 * mean_score(arm.run)
            yield (
                f"Collapse: {labels[arm.run.path]} scores {after:.1f} where {labels[arm.plain.path]}, the same length"
                f" policy in plain decoding, scores {before:.1f}: more than {100 * COLLAPSE:.0f} points lower"
                f" ({arm.delta.stars}, paired). Its savings are no savings at equal quality."
            )


def early_stop_note(label: str, tests: int, where: str = "") -> str:
    """What the column is against; `where`: the section, where there are several."""
    return (
        f"FLOPs saved vs early stop{f' in {where}' if where else ''}: against {label}, the same canvas left at its end"
        " token: what a length policy saves beyond a stop rule. Stars as those of FLOPs saved, in a family of its own"
        f" ({tests:,} test{'s' * (tests != 1)})."
    )
