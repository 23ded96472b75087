"""Policies that are held against the others, and are no method of their own."""

from collections.abc import Iterable, Iterator

from dlm_length.analysis.runs import Run


def uncharged(runs: Iterable[Run]) -> list[str]:
    """The policies whose lengths were found at no charge, sorted: what they cost is no method's cost."""
    return sorted({run.metrics.policy for run in runs if not run.declared.lengths_charged})


def uncharged_notes(runs: Iterable[Run]) -> Iterator[str]:
    """A sentence where any of the runs found its lengths at no charge."""
    if named := uncharged(runs):
        yield f"{' and '.join(named)}: controls; the forwards that found their lengths are charged to no sample."
