"""The speed of a policy, from runs that were timed by themselves."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlm_length.analysis.runs import Run


@dataclass(frozen=True)
class Pace:
    """The wall-clock of a policy that ran by itself."""

    seconds_per_sample: float
    tokens_per_second: float | None
    """Tokens that are neither EOS nor EOT; None where no time passed."""
    timed: int | None
    """Number of samples that were timed after the run; None: it is the whole run's wall-clock."""
    where: str
    """The device, if it was timed after the run; else empty."""
    devices: int = 1
    """Number of devices that worked together."""


def pace_of(run: Run) -> Pace | None:
    """The pace measured by `--time-alone`, else the wall-clock of a run that was made by itself, else None."""
    timings = [member.timing for member in run.members if member.timing is not None]
    if len(timings) == len(run.members):
        n, seconds = sum(timing.n for timing in timings), sum(timing.seconds for timing in timings)
        tokens = sum(timing.e_token for timing in timings)
        where = " and ".join(dict.fromkeys(str(timing.environment.get("device_name")) for timing in timings))
        return Pace(seconds / n, tokens / seconds if seconds else None, n, where)
    ran = run.metrics.samples - run.metrics.failed
    if run.metrics.runs_together > 1 or not ran:
        return None
    return Pace(run.metrics.wall_clock_seconds / ran, run.metrics.tokens_per_second, None, "", run.metrics.devices)


def devices_of(runs: Iterable[Run]) -> list[int]:
    """The numbers of devices behind the runs' times, sorted; times on different numbers cannot be compared."""
    return sorted({pace.devices for run in runs if (pace := pace_of(run)) is not None})
