"""Effects as cells, and the notes without which no star may stand."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dlm_length.analysis.effects import Effect, EffectName
from dlm_length.reports.table import MISSING, Number, p_text, p_value, percent
from dlm_length.stats import LEVEL, FamilyTest

STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001, two-sided"
"""What they mean."""


def starred(effect: Effect | None) -> str:
    """The effect in per cent with the stars of its test."""
    if effect is None or math.isnan(effect.value):
        return MISSING
    return f"{percent(effect.value)}{effect.stars}"


def p_cells(test: FamilyTest, stars: str = "") -> tuple[Number, Number]:
    """A test's own p, and the adjusted one; `stars` go to the one that sets them."""
    drawn = test.result.resamples
    holm = test.adjust == "holm"
    return (
        p_value(test.result.p, "" if holm else stars, resamples=drawn),
        p_value(test.adjusted_p, stars if holm else "", resamples=drawn),
    )


_KINDS: Mapping[EffectName, str] = {"flops_saved": "FLOPs saved", "performance_delta": "performance delta"}
"""What notes call them."""


def effect_notes(effects: Collection[Effect]) -> Iterator[str]:
    """What the stars of these effects mean: which p sets them, and test, n and resamples of each kind of effect."""
    tests: dict[str, list[Effect]] = {}
    for name, kind in _KINDS.items():
        if own := [effect for effect in effects if effect.name == name]:
            tests[kind] = own
    if not tests:
        return
    described = "; ".join(f"{kind}: {_described(each)}" for kind, each in tests.items())
    yield f"{STARS}, over the samples that both runs have. {described}."
    yield from family_notes(tests)
    if any(math.isnan(effect.value) for effect in tests.get("performance delta", ())):
        yield "performance delta is undefined where the baseline's mean is 0."


def family_notes(tests: Mapping[str, Sequence[FamilyTest]]) -> Iterator[str]:
    """Which p sets the stars, and where none could; `tests`: those of each family of a group, by what it is called."""
    sizes = {of: sorted({test.family for test in each}) for of, each in tests.items() if each}
    if not sizes:
        return
    families = "; ".join(f"{of}: {' or '.join(f'{size:,}' for size in each)}" for of, each in sizes.items())
    family = f"a family is the tests of one kind of effect within a group ({families})"
    if any(test.adjust == "none" for each in tests.values() for test in each):
        yield f"Stars are by each test's own p, unadjusted, as in the papers. Holm's p: {family}."
    elif max(size for each in sizes.values() for size in each) > 1:
        yield f"Stars are by Holm's p: {family}."
    for of, each in tests.items():
        yield from _without_stars(of, each)


def unbounded_notes(bounds: Iterable[float]) -> Iterator[str]:
    """A sentence where any of these ends of intervals is infinite."""
    if any(map(math.isinf, bounds)):
        yield "A bound of inf: the baseline's mean is 0 in so many resamples that there is no bound on that side."


def _without_stars(of: str, tests: Sequence[FamilyTest]) -> Iterator[str]:
    """Which of these tests no data could have given a star, and what would change that."""
    hopeless = [test for test in tests if not test.can_be_starred]
    for_draws = [test for test in hopeless if _draws_limit(test)]
    yield from dict.fromkeys(_too_few_draws(of, test) for test in for_draws)
    if for_pairs := [test for test in hopeless if not _draws_limit(test)]:
        least = sorted({p_text(test.result.least_p) for test in for_pairs})
        adjusted = f", before Holm's factor of up to {test.factor:,}" if (test := for_pairs[0]).factor > 1 else ""
        yield (
            f"{of}: {len(for_pairs):,} of {len(tests):,} tests could have no star whatever was found, as there are too"
            f" few pairs, or too few that differ: the least p is {' or '.join(least)}{adjusted}."
        )


def _draws_limit(test: FamilyTest) -> bool:
    """Whether more resamples would make a star possible."""
    result = test.result
    return result.resamples is not None and result.least_p <= 2 / (result.resamples + 1)


def _too_few_draws(of: str, test: FamilyTest) -> str:
    result = test.result
    assert result.resamples is not None, "draws limit what is drawn"
    least = f"no p can be below {p_text(result.least_p, resamples=result.resamples)}"
    if test.factor > 1:
        least += f", which in a family of {test.family:,} is {p_text(test.least_p)} by Holm's adjustment"
    enough = math.floor(result.least_p * (result.resamples + 1) * test.factor / LEVEL + 1e-9)
    return (
        f"{of}: with {result.resamples:,} resamples {least}, so that none could have a star; --resamples {enough} or an"
        " exact test could give one."
    )


def _described(tests: Sequence[FamilyTest]) -> str:
    return " or ".join(dict.fromkeys(test.result.description for test in tests))
