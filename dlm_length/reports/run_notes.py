"""What a reader of a table must know of the runs behind it."""

from collections.abc import Iterable, Iterator

from dlm_length.analysis.runs import Run
from dlm_length.reports.isolation import isolation_notes, isolations
from dlm_length.reports.repeats import repeat_notes


def run_notes(runs: Iterable[Run]) -> Iterator[str]:
    """Failures, samples without a score, weak isolation; nothing where all is well."""
    found = list(runs)
    if failed := sum(run.metrics.failed for run in found):
        yield f"{failed:,} samples could not be run; their runs' samples.jsonl says why."
    if unscored := sum(run.metrics.samples - run.metrics.scored - run.metrics.failed for run in found):
        yield f"{unscored:,} samples were not scored; means and tests leave them out."
    yield from repeat_notes(found)
    yield from isolation_notes(isolations(sample.details for run in found for sample in run.samples.values()))
