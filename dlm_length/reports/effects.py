"""Effects as cells, and the notes without which no star may stand."""

import math
from collections.abc import Iterable, Iterator, Sequence

from dlm_length.reports.comparison import Comparison, Effect
from dlm_length.reports.tables import NOTHING, percent

STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001, two-sided"
"""What they mean."""


def starred(effect: Effect | None) -> str:
    """The effect in per cent with the stars of its test."""
    if effect is None or math.isnan(effect.estimate.value):
        return NOTHING
    return f"{percent(effect.estimate.value)}{effect.test.stars}"


def effect_notes(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What the stars of these comparisons mean: test, n and resamples of each kind of effect."""
    kinds = {
        "FLOPs saved": [c.flops_saved for c in comparisons if c.flops_saved is not None],
        "performance delta": [c.performance_delta for c in comparisons if c.performance_delta is not None],
    }
    if not any(kinds.values()):
        return
    tests = "; ".join(f"{kind}: {_tests(effects)}" for kind, effects in kinds.items() if effects)
    yield f"{STARS}, over the samples that both runs have. {tests}."
    if any(effect.estimate.value != effect.estimate.value for effect in kinds["performance delta"]):
        yield "performance delta is undefined where the baseline's mean is 0."


def family_note(p_values: Iterable[float], of: str) -> str:
    """Which p Holm's adjustment takes together, `of` saying what of: another family would adjust them otherwise."""
    made = sum(not math.isnan(p) for p in p_values)
    return f"Holm's adjustment takes all {made:,} p of this table as one family: {of}."


def unbounded_notes(bounds: Iterable[float]) -> Iterator[str]:
    """A sentence where any of these ends of intervals is infinite."""
    if any(map(math.isinf, bounds)):
        yield "A bound of inf: the baseline's mean is 0 in so many resamples that there is no bound on that side."


def _tests(effects: Sequence[Effect]) -> str:
    return " or ".join(dict.fromkeys(effect.test.description for effect in effects))
