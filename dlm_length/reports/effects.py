"""Effects as cells, and the notes without which no star may stand."""

import math
from collections.abc import Iterator, Sequence

from dlm_length.reports.comparison import Comparison, Effect
from dlm_length.reports.tables import NOTHING, percent


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
    yield f"* p < 0.05, ** p < 0.01, *** p < 0.001, two-sided, over the samples that both runs have. {tests}."
    if any(effect.estimate.value != effect.estimate.value for effect in kinds["performance delta"]):
        yield "performance delta is undefined where the baseline's mean is 0."


def _tests(effects: Sequence[Effect]) -> str:
    return " or ".join(dict.fromkeys(effect.test.description for effect in effects))
