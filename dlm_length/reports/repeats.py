"""The note that says what a row of several seeds is."""

from collections.abc import Iterable, Iterator

from dlm_length.analysis.repeats import seeds_told
from dlm_length.analysis.runs import Run


def repeat_notes(runs: Iterable[Run]) -> Iterator[str]:
    """What a row of several seeds is; nothing where there is none."""
    rows = [run for run in runs if run.repeats]
    if not rows:
        return
    seeds = "; ".join(dict.fromkeys(map(seeds_told, rows)))
    yield (
        f"Rows of several runs ({seeds}): means over all of them; sd, where it is shown: standard deviation of the"
        " score over the seeds. Tests and intervals take the mean of a problem's samples as one observation."
    )
    if fixed := sum(not _draws(run) for run in rows):
        yield f"In {fixed} of {len(rows)} such rows nothing is drawn (temperature 0): all seeds give the same answers."


def _draws(run: Run) -> bool:
    """Whether random numbers decide anything, by the run's config; see `Policy.draws`."""
    policy = run.config["policy"]
    return bool(policy.get("temperature")) or policy.get("remasking") == "random"
