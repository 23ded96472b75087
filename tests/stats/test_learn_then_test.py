"""Learn then Test: its p values against exact sums and full enumeration, and its guarantee by simulation."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_length.stats import (
    RiskTest,
    StatisticsError,
    binomial_p,
    certify,
    hoeffding_bentkus_p,
    losses,
    units_at_no_loss,
)


def lost(count: int, n: int) -> np.ndarray:
    """Losses of `n` units, `count` of which are 1."""
    return np.repeat([1.0, 0.0], [count, n - count])


def binomial_sum(most: int, n: int, share: float) -> float:
    """P(Binomial(n, share) <= most), in fractions."""
    up, down = Fraction(share), 1 - Fraction(share)
    return float(sum(math.comb(n, k) * up**k * down ** (n - k) for k in range(min(most, n) + 1)))


@pytest.mark.parametrize(("count", "n"), [(0, 1), (1, 1), (0, 149), (3, 160), (40, 50), (12, 3000), (3000, 3000)])
@pytest.mark.parametrize("risk", [0.001, 0.02, 0.5, 0.97])
def test_the_binomial_p_is_the_binomial_sum(count: int, n: int, risk: float) -> None:
    expected = 1.0 if count == n else binomial_sum(count, n, risk)
    assert binomial_p(lost(count, n), risk) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("values", "risk"),
    [([0.0] * 149, 0.02), ([0.25, 0.5, 0.0, 0.0], 0.3), ([0.01] * 400, 0.05), ([1 / 3] * 300, 0.4), ([0.9] * 20, 0.1)],
)
def test_hoeffding_bentkus_is_the_smaller_of_its_two_p_values(values: list[float], risk: float) -> None:
    n, mean = len(values), math.fsum(values) / len(values)
    share = min(mean, risk)
    kl = (share * math.log(share / risk) if share else 0.0) + (1 - share) * math.log((1 - share) / (1 - risk))
    bentkus = math.e * binomial_sum(math.ceil(round(n * mean, 9)), n, risk)
    assert hoeffding_bentkus_p(values, risk) == pytest.approx(min(1.0, math.exp(-n * kl), bentkus), rel=1e-9)


def test_an_integer_sum_of_losses_is_that_integer_despite_rounding() -> None:
    values = [0.1 + 0.2] * 10  # 3 losses, and in floating point a little more
    assert math.fsum(values) > 3
    kl = 0.3 * math.log(0.3 / 0.9) + 0.7 * math.log(0.7 / 0.1)
    assert math.e * binomial_sum(3, 10, 0.9) < math.exp(-10 * kl) < math.e * binomial_sum(4, 10, 0.9)
    assert hoeffding_bentkus_p(values, 0.9) == pytest.approx(math.e * binomial_sum(3, 10, 0.9))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 30),
    risk=st.floats(0.01, 0.99),
    excess=st.floats(0.0, 1.0),
    level=st.floats(0.001, 0.5),
)
def test_the_binomial_p_is_super_uniform(n: int, risk: float, excess: float, level: float) -> None:
    """By full enumeration: P(p <= level) <= level where the expected loss is the risk or more."""
    true = risk + excess * (1 - risk)
    rejected = [count for count in range(n + 1) if binomial_p(lost(count, n), risk) <= level]
    chances = (math.comb(n, count) * true**count * (1 - true) ** (n - count) for count in rejected)
    assert math.fsum(chances) <= level + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 6),
    middle=st.floats(0.01, 0.99),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1)),
    below=st.floats(0.05, 1.0),
    level=st.floats(0.001, 0.5),
)
def test_hoeffding_bentkus_is_super_uniform(
    n: int, middle: float, shares: tuple[float, float, float], below: float, level: float
) -> None:
    """By full enumeration of losses with three values in any proportion, where the risk is at most their mean."""
    values = np.array([0.0, middle, 1.0])
    weights = np.array(shares) / sum(shares)
    risk = min(0.99, max(1e-6, below * float(values @ weights)))
    total = 0.0
    for outcome in product(range(3), repeat=n):
        if hoeffding_bentkus_p(values[list(outcome)], risk) <= level:
            total += float(np.prod(weights[list(outcome)]))
    assert total <= level + 1e-9


SAVINGS = {"safe": 0.1, "mild": 0.3, "bold": 0.5, "bolder": 0.6, "reckless": 0.8}
TRUE = {"safe": 0.002, "mild": 0.01, "bold": 0.045, "bolder": 0.0505, "reckless": 0.2}
"""Expected losses: at a risk of 0.05 the last two knobs are above it, one of them barely."""


def draw(rng: np.random.Generator, n: int, *, graded: bool) -> dict[str, np.ndarray]:
    """Losses of every knob on the same units: a unit lost under one knob is lost under every bolder one."""
    hardness = rng.random(n)
    size = rng.beta(0.5, 0.5, n) if graded else np.ones(n)  # of mean one half
    scale = 2 if graded else 1
    return {knob: np.where(hardness < scale * true, size, 0.0) for knob, true in TRUE.items()}


@pytest.mark.parametrize("graded", [False, True], ids=["binomial", "hoeffding_bentkus"])
def test_a_knob_above_the_risk_is_rarely_certified(graded: bool) -> None:
    """At confidence 0.9, at most one sweep in ten certifies a knob whose expected loss is above the risk."""
    rng = np.random.default_rng(5)
    test: RiskTest = "Hoeffding-Bentkus" if graded else "exact binomial"
    sweeps, broken, found = 1500, 0, 0
    for _ in range(sweeps):
        certificate = certify(draw(rng, 400, graded=graded), SAVINGS, risk=0.05, confidence=0.9, test=test)
        chosen = certificate.chosen
        broken += chosen is not None and TRUE[chosen.knob] > 0.05
        found += chosen is not None
    assert found > sweeps / 2
    # Up to three standard errors above 0.1 may be chance.
    assert broken / sweeps <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / sweeps)
    if not graded:
        assert broken > sweeps / 50, "a promise that is kept by certifying nothing would show nothing"


def test_testing_each_knob_by_itself_would_break_the_guarantee() -> None:
    """Why there is a sequence: of twenty knobs at the risk, one passes by itself in far more than one sweep in ten."""
    rng = np.random.default_rng(6)
    saving = {knob: knob / 20 for knob in range(20)}
    alone = sequence = 0
    for _ in range(400):
        columns = {knob: (rng.random(200) < 0.05).astype(float) for knob in saving}
        certificate = certify(columns, saving, risk=0.05, confidence=0.9)
        alone += any(test.p <= 0.1 for test in certificate.sequence)
        sequence += any(test.certified for test in certificate.sequence)
    assert alone > 160
    assert sequence <= 40 + 3 * math.sqrt(400 * 0.09)


@pytest.mark.parametrize("graded", [False, True], ids=["binomial", "hoeffding_bentkus"])
def test_more_units_certify_more(graded: bool) -> None:
    rng = np.random.default_rng(7)
    means = []
    for n in (40, 120, 400, 4000):
        found = [certify(draw(rng, n, graded=graded), SAVINGS, risk=0.05, confidence=0.9).chosen for _ in range(200)]
        means.append(np.mean([0.0 if each is None else each.saving for each in found]))
    assert means == sorted(means)
    assert means[0] < 0.12
    assert means[-1] > (0.3 if graded else 0.35)


def test_the_first_hypothesis_that_is_not_rejected_ends_the_sequence() -> None:
    columns = {"c": lost(0, 200), "a": lost(0, 200), "b": lost(30, 200)}
    certificate = certify(columns, {"a": 0.1, "b": 0.2, "c": 0.3}, risk=0.02, confidence=0.95)
    assert [(test.knob, test.certified) for test in certificate.sequence] == [("a", True), ("b", False), ("c", False)]
    assert certificate.sequence[2].p < 0.05
    assert certificate.chosen is certificate.sequence[0]
    assert certificate.test == "exact binomial"
    assert (certificate.chosen.n, certificate.chosen.empirical_risk) == (200, 0.0)
    assert certificate.chosen.p == pytest.approx(0.98**200)


def test_n_at_no_loss_is_the_smallest_n_that_certifies() -> None:
    assert units_at_no_loss(0.02, 0.95) == 149
    for risk, confidence in ((0.02, 0.95), (0.05, 0.9), (0.5, 0.5), (0.1, 0.99), (0.9, 0.2), (1e-4, 0.95)):
        n = units_at_no_loss(risk, confidence)
        for count, certified in ((n, True), (n - 1, False)):
            if count:
                for test in ("exact binomial", "Hoeffding-Bentkus"):
                    (only,) = certify(
                        {"knob": np.zeros(count)}, {"knob": 0.5}, risk=risk, confidence=confidence, test=test
                    ).sequence
                    assert only.certified is certified


def test_equal_savings_keep_the_order_and_the_smallest_loss_is_chosen() -> None:
    columns = {"first": lost(1, 900), "second": lost(0, 900), "third": lost(0, 900)}
    certificate = certify(columns, dict.fromkeys(columns, 0.4), risk=0.02, confidence=0.95)
    assert [test.knob for test in certificate.sequence] == ["first", "second", "third"]
    assert certificate.chosen is not None
    assert certificate.chosen.knob == "second"


def test_a_knob_that_saves_nothing_is_not_chosen() -> None:
    certificate = certify({"longer": np.zeros(300)}, {"longer": -0.1}, risk=0.02, confidence=0.95)
    assert certificate.sequence[0].certified
    assert certificate.chosen is None


def test_a_loss_is_the_drop_relative_to_the_fixed_canvas() -> None:
    assert losses([1, 0, 1, 0], [1, 1, 0, 0]).tolist() == [0, 1, 0, 0]
    assert losses([0.3, 0.5], [0.1 + 0.2, 0.75]).tolist() == [0.0, 0.25]
    assert losses([20.0, 40.0], [45.0, 10.0], low=-50, high=50).tolist() == [0.25, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risk": 0.0}, "risk must be above 0 and below 1"),
        ({"risk": 1.0}, "risk must be above 0 and below 1"),
        ({"risk": math.nan}, "risk must be above 0"),
        ({"confidence": 1.0}, "confidence must be above 0 and below 1"),
        ({"confidence": 95.0}, "but is 95"),
        ({"losses": {}}, "no knob"),
        ({"losses": {"a": []}, "saving": {"a": 0.1}}, "no sample"),
        ({"losses": {"a": [0.0], "b": [0.0, 1.0]}}, "1 to 2 units"),
        ({"losses": {"a": [0.0, math.nan], "b": [0.0, 0.0]}}, "loss of a: 1 of 2 values are NaN"),
        ({"losses": {"a": [0.0, 1.5], "b": [0.0, 0.0]}}, r"from 0 to 1.5, but must be in \[0, 1\]"),
        ({"losses": {"a": [0.0, 0.5], "b": [0.0, 0.0]}, "test": "exact binomial"}, "needs losses of 0 or 1"),
        ({"saving": {"a": 0.1, "b": math.nan}}, "saving of b is nan"),
    ],
)
def test_what_cannot_be_certified_is_refused(change: dict[str, object], message: str) -> None:
    usual = {"losses": {"a": [0.0, 1.0], "b": [0.0, 0.0]}, "saving": {"a": 0.1, "b": 0.2}}
    arguments = usual | {"risk": 0.02, "confidence": 0.95} | change
    with pytest.raises(StatisticsError, match=message):
        certify(arguments.pop("losses"), arguments.pop("saving"), **arguments)


def test_scores_off_their_scale_are_refused() -> None:
    with pytest.raises(StatisticsError, match=r"1 of 2 scores are outside 0 to 1 \(the first: 45"):
        losses([0.5, 45.0], [0.5, 0.5])
    with pytest.raises(StatisticsError, match="the lower first"):
        losses([0.5], [0.5], low=1, high=0)
    with pytest.raises(StatisticsError, match="NaN"):
        losses([0.5, math.nan], [0.5, 0.5])
