"""How long a policy takes: only from runs that had a clock of their own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dlm_length.analysis.runs import Run


@dataclass(frozen=True)
class Pace:
    """Wall-clock of one policy, nothing beside it."""

    seconds_per_sample: float
    tokens_per_second: float | None
    """Tokens that are neither EOS nor EOT; None where no time passed."""
    timed: int | None
    """Samples that were measured after the run; None: it is the whole run's clock."""
    where: str
    """Device, where it was measured after the run."""


def pace_of(run: Run) -> Pace | None:
    """As measured by `--time-alone`, or else the clock of a run that was made by itself; None without either."""
    timings = [member.timing for member in run.members if member.timing is not None]
    if len(timings) == len(run.members):
        n, seconds = sum(timing.n for timing in timings), sum(timing.seconds for timing in timings)
        tokens = sum(timing.e_token for timing in timings)
        where = " and ".join(dict.fromkeys(str(timing.environment.get("device_name")) for timing in timings))
        return Pace(seconds / n, tokens / seconds if seconds else None, n, where)
    ran = run.metrics.samples - run.metrics.failed
    if run.metrics.runs_together > 1 or not ran:
        return None
    return Pace(run.metrics.wall_clock_seconds / ran, run.metrics.tokens_per_second, None, "")


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
    if shared := [run for run, pace in paces if pace is None and run.metrics.runs_together > 1]:
        together = max(run.metrics.runs_together for run in shared)
        yield (
            f"{len(shared)} of {len(paces)} rows have no wall-clock: up to {together} runs were made together, on one"
            " clock, which is no policy's own. The same command with --time-alone measures each by itself."
        )
