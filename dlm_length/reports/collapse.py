"""A warning where a decoding has cost a length policy its score."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dlm_length.analysis.decodings import COLLAPSE, AgainstPlain
from dlm_length.analysis.runs import mean_score


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
