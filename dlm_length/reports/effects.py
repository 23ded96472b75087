"""Effects, intervals and tests within a margin: as cells, and the notes that say what they are."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dlm_length.analysis.effects import Effect, EffectName, Testing
from dlm_length.analysis.margins import POWER, Judged
from dlm_length.records import IntervalRecord
from dlm_length.reports.table import MISSING, Cell, Column, Number, number, p_text, p_value, percent
from dlm_length.stats import LEVEL, MARGIN_LEVEL, Estimate, FamilyTest

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
            f"{of}: {len(for_pairs):,} of {len(tests):,} tests could have no star whatever the data, as there are too"
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


def interval(low: float, high: float, digits: int = 4) -> str:
    """`[0.8211, 0.9345]`; nothing where there is none."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    return f"[{number(low, digits)}, {number(high, digits)}]"


def interval_of(estimate: Estimate | None, digits: int = 4) -> str:
    """The same of an estimate, if there is one."""
    return MISSING if estimate is None else interval(estimate.low, estimate.high, digits)


def kinds_of_interval(found: Iterable[Estimate | IntervalRecord]) -> str:
    """How they were computed: `Wilson`, `percentile bootstrap, 10,000 resamples`, or both."""
    return " or ".join(dict.fromkeys(_kind(each) for each in found if not math.isnan(each.low)))


def interval_notes(found: Iterable[Estimate | IntervalRecord]) -> Iterator[str]:
    """What the intervals of a table's scores are, if there are any."""
    if kinds := kinds_of_interval(found):
        yield f"Scores have 95% intervals: {kinds}."


def _kind(found: Estimate | IntervalRecord) -> str:
    method = found.interval if isinstance(found, Estimate) else found.method
    return "Wilson" if method == "wilson" else f"{method} bootstrap, {found.resamples:,} resamples"


MARGIN_COLUMNS = (
    Column("difference (points)", higher_is_better=True, own_columns=("low", "high")),
    Column("low"),
    Column("high"),
    Column("n"),
    Column("p not worse"),
    Column("p not worse (Holm)"),
    Column("p equivalent"),
    Column("p equivalent (Holm)"),
    Column("n for not worse"),
    Column("n for equivalent"),
    Column("verdict", numeric=False),
)
"""Of `margin_cells`."""


def margin_cells(judged: Judged | None) -> tuple[Cell, ...]:
    """One run's; without a value where no sample was scored in both."""
    if judged is None:
        return (*(Number(math.nan) for _ in MARGIN_COLUMNS[1:]), "no score")
    test = judged.test
    difference, low, high = (100 * value for value in (test.difference, test.low, test.high))
    drawn = test.resamples
    return (
        Number(difference, 2, low, high),
        Number(low, 2),
        Number(high, 2),
        Number(test.n, 0),
        p_value(test.p_not_worse, resamples=drawn),
        p_value(judged.not_worse, resamples=drawn),
        p_value(test.p_equivalent, resamples=drawn),
        p_value(judged.equivalent, resamples=drawn),
        _count(judged.needed),
        _count(judged.needed_equivalent),
        margin_verdict(judged),
    )


def margin_verdict(judged: Judged) -> str:
    """`non-inferior within 2 points`, or what it would take."""
    margin = points(judged.test.margin)
    match judged.outcome:
        case "equivalent":
            return f"equivalent within {margin}"
        case "non_inferior":
            return f"non-inferior within {margin}"
        case "worse":
            return f"worse by more than {margin}"
        case "not_shown":
            if judged.needed is None or judged.needed <= judged.test.n:
                return f"not shown within {margin}"
            least = "" if judged.differences_vary else "at least "
            return f"not shown within {margin}: takes {least}n = {judged.needed:,}"


def points(margin: float) -> str:
    """`2 points`, of a margin as a share."""
    number = f"{100 * margin:g}"
    return f"{number} point{'' if number == '1' else 's'}"


def _count(n: int | None) -> Number:
    return Number(math.nan if n is None else n, 0)


def margin_notes(margin: float, judged: Iterable[Judged], testing: Testing) -> Iterator[str]:
    """What these tests are; nothing where there are none."""
    tests = [each.test for each in judged]
    if not tests:
        return
    deciding = "Holm's p over the runs of a group" if testing.adjust == "holm" else "each test's own p, unadjusted"
    yield (
        f"Margin: {points(margin)} of the score, chosen beforehand. not worse: one-sided test against being worse by"
        f" the margin or more; equivalent: two one-sided tests, against differing by it either way. Each at"
        f" {MARGIN_LEVEL:g}, by {deciding}; low and high: 90% interval of the difference, paired by sample."
    )
    described = "; ".join(dict.fromkeys(test.description for test in tests))
    yield (
        f"{described}. Exact unconditional: 0/1 scores, ordered by Nam's and Tango's score statistic, whose interval"
        " is shown. Studentised bootstrap: graded scores, means of several answers to a problem, and very many flips."
    )
    yield (
        f"n for ...: how many samples (problems, where they have several) would show it with probability {POWER:g} if"
        " the true difference were 0, from the observed variance of the paired differences, by a test's own p,"
        " unadjusted; where the differences do not vary, the least n that could show it. worse by more than: the"
        " interval, which is not adjusted, is below the margin."
    )
