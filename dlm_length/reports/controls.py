"""Policies that are held against the others, and are no method of their own."""

from collections.abc import Iterable, Iterator

from dlm_length.analysis.runs import Run

UNCHARGED = ("oracle", "random_length")
"""Their lengths were found by forwards that are charged to no sample: what they cost is no method's cost."""
CONTROLS = (*UNCHARGED, "perturbed")
"""Their lengths are another policy's, or were known beforehand."""


def uncharged_notes(runs: Iterable[Run]) -> Iterator[str]:
    """A sentence where any of the runs found its lengths at no charge."""
    policies = {run.metrics.policy for run in runs}
    if named := [policy for policy in UNCHARGED if policy in policies]:
        yield f"{' and '.join(named)}: controls; the forwards that found their lengths are charged to no sample."
