"""Learn then Test: certifying that the expected loss relative to the fixed canvas is at most a given risk.

A knob is a value of the policy's parameter that is being chosen, such as SmartCrop's tau.

Angelopoulos, Bates, Candès, Jordan and Lei, Learn then Test, 2021 (arXiv 2110.01052); docs/methods.md section 7. The
loss of a unit (a sample, or a problem with several samples) is the drop of its score relative to the fixed canvas, and
0 where the score rose: the expected loss bounds the drop of the mean score from above. The null hypothesis of a knob is
that its expected loss is above the risk. The knobs are tested in one sequence, from the one that saves least to the one
that saves most, each at level 1 - confidence, until a null hypothesis is not rejected. The probability of certifying
any knob whose expected loss is above the risk is then at most 1 - confidence, for any number of knobs and of units.

This holds for exchangeable units, for knobs that were chosen before the losses were seen, and for an order that does
not depend on the losses; preferably that of the savings on other samples.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from dlm_length.stats.arrays import TIE_TOLERANCE, FloatArray, finite, is_binary, paired_differences, require_samples
from dlm_length.stats.errors import StatisticsError

RISK = 0.02
"""Default risk: two points of the score."""
CONFIDENCE = 0.95
"""Default confidence."""

RiskTest = Literal["exact binomial", "Hoeffding-Bentkus"]

Key = TypeVar("Key")


@dataclass(frozen=True)
class KnobTest(Generic[Key]):
    """The test of one knob in the sequence."""

    knob: Key
    n: int
    """Number of units: samples, or problems where they have several samples."""
    empirical_risk: float
    """Mean loss over the units."""
    p: float
    """p value of the null hypothesis that the expected loss is above the risk."""
    saving: float
    """Share of FLOPs saved, by which the sequence is ordered; negative where the knob costs more."""
    certified: bool
    """Whether the null hypotheses of this knob and of all before it were rejected."""


@dataclass(frozen=True)
class Certificate(Generic[Key]):
    """The knobs of a sweep, tested at a risk and a confidence."""

    risk: float
    confidence: float
    test: RiskTest
    sequence: tuple[KnobTest[Key], ...]
    """In the order of the tests: from the smallest saving to the largest; equal savings in the order given."""
    n_at_no_loss: int
    """Number of units that certifies a knob on which no loss is observed; with fewer, no knob can be certified."""

    @property
    def chosen(self) -> KnobTest[Key] | None:
        """The certified knob that saves most; among equal savings the one with the smallest loss, then the first.

        None where no certified knob saves anything: the fixed canvas should then be kept.
        """
        saving = [each for each in self.sequence if each.certified and each.saving > 0]
        return min(saving, key=lambda each: (-each.saving, each.empirical_risk), default=None)


def losses(scores: ArrayLike, fixed: ArrayLike, *, low: float = 0.0, high: float = 1.0) -> FloatArray:
    """max(0, fixed - score) / (high - low), sample by sample: (samples,) in [0, 1].

    `scores`, `fixed`: (samples,), of a knob's run and of the fixed canvas, on a scale from `low` to `high`. For 0/1
    scores the loss is 1 where only the fixed canvas is correct. A rounding error is not a loss. Raises StatisticsError
    for a score outside the scale, for NaN, and for different n.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise StatisticsError(f"The range of the scores is {low:g} to {high:g}; allowed: two numbers, the lower first.")
    lost = paired_differences(fixed, scores, "loss").values
    for values in (scores, fixed):
        column = np.asarray(values, dtype=np.float64)
        outside = column[(column < low) | (column > high)]
        if outside.size:
            raise StatisticsError(
                f"loss: {outside.size:,} of {column.size:,} scores are outside {low:g} to {high:g} (the first:"
                f" {outside[0]:g}); the test needs the range that scores can have."
            )
    return np.maximum(lost, 0.0) / (high - low)


def certify(
    losses: Mapping[Key, ArrayLike],
    saving: Mapping[Key, float],
    *,
    risk: float,
    confidence: float,
    test: RiskTest | None = None,
) -> Certificate[Key]:
    """Test the knobs of a sweep in a fixed sequence, from the smallest saving; see the module's docstring.

    `losses`: knob -> (units,) in [0, 1]. `saving`: knob -> share of FLOPs saved, not computed from these losses.
    `test`: by default the exact binomial test where all losses are 0 or 1, else Hoeffding-Bentkus. The former is valid
    only for losses that cannot have other values, such as graded scores and means of several samples have.

    Raises StatisticsError for a risk or a confidence that is not between 0 and 1, for no knob or no unit, for knobs
    with different numbers of units, for NaN and losses outside [0, 1], and for an exact binomial test of losses other
    than 0 and 1.
    """
    check_risk(risk, confidence)
    if not losses:
        raise StatisticsError("certificate: there is no knob to test.")
    columns = {knob: _in_unit_range(values, knob) for knob, values in losses.items()}
    sizes = sorted({column.size for column in columns.values()})
    if len(sizes) > 1:
        raise StatisticsError(
            f"certificate: the knobs have {sizes[0]:,} to {sizes[-1]:,} units; all must have the same units."
        )
    if bad := [knob for knob in columns if not math.isfinite(saving[knob])]:
        raise StatisticsError(
            f"certificate: the saving of {bad[0]} is {saving[bad[0]]}, by which knobs cannot be ordered."
        )
    if test is None:
        test = "exact binomial" if all(map(is_binary, columns.values())) else "Hoeffding-Bentkus"
    p_of = binomial_p if test == "exact binomial" else hoeffding_bentkus_p
    sequence: list[KnobTest[Key]] = []
    certified = True
    for knob in sorted(columns, key=lambda knob: saving[knob]):
        column = columns[knob]
        p = p_of(column, risk)
        certified = certified and p <= 1 - confidence + TIE_TOLERANCE
        sequence.append(KnobTest(knob, column.size, _mean(column), p, saving[knob], certified))
    return Certificate(risk, confidence, test, tuple(sequence), units_at_no_loss(risk, confidence))


def check_risk(risk: float, confidence: float) -> None:
    """Raise StatisticsError for a risk or a confidence that is not between 0 and 1."""
    if not 0 < risk < 1:
        raise StatisticsError(
            f"The risk must be above 0 and below 1 (0.02: two points of the score), but is {risk:g}; no number of"
            " samples shows a loss of 0, and none is needed for 1."
        )
    if not 0 < confidence < 1:
        raise StatisticsError(f"The confidence must be above 0 and below 1, such as 0.95, but is {confidence:g}.")


def units_at_no_loss(risk: float, confidence: float) -> int:
    """The smallest n with (1 - risk)^n <= 1 - confidence: it certifies, by either test, where no loss is observed."""
    check_risk(risk, confidence)
    return max(1, math.ceil(math.log(1 - confidence) / math.log1p(-risk) - TIE_TOLERANCE))


def binomial_p(losses: ArrayLike, risk: float) -> float:
    """P(Binomial(n, risk) <= sum of the losses), exact. `losses`: (units,) of 0 and 1.

    Raises StatisticsError for other losses, NaN and no units.
    """
    column = _in_unit_range(losses, "a knob")
    if not is_binary(column):
        raise StatisticsError(
            "The exact binomial test needs losses of 0 or 1; for graded losses use the Hoeffding-Bentkus test."
        )
    return _binomial_tail(int(np.rint(column).sum()), column.size, risk)


def hoeffding_bentkus_p(losses: ArrayLike, risk: float) -> float:
    """The smaller of Hoeffding's and Bentkus' p (Bates et al., JACM 68, 2021; Learn then Test, section 2).

    `losses`: (units,) in [0, 1], with mean r. Hoeffding: exp(-n kl(min(r, risk), risk)), with the Kullback-Leibler
    divergence of two Bernoulli distributions. Bentkus: e P(Binomial(n, risk) <= ceil(n r)). Raises StatisticsError for
    losses outside [0, 1], NaN and no units.
    """
    column = _in_unit_range(losses, "a knob")
    n, total = column.size, math.fsum(column.tolist())
    hoeffding = math.exp(-n * _divergence(min(total / n, risk), risk))
    # Rounding may put a sum of thirds slightly above the integer that it is.
    bentkus = math.e * _binomial_tail(math.ceil(total * (1 - TIE_TOLERANCE)), n, risk)
    return min(1.0, hoeffding, bentkus)


def _in_unit_range(losses: ArrayLike, knob: object) -> FloatArray:
    column = finite(losses, f"loss of {knob}")
    require_samples(column.size, "certificate")
    if column.min() < 0 or column.max() > 1:
        raise StatisticsError(
            f"loss of {knob}: losses are from {column.min():g} to {column.max():g}, but must be in [0, 1]; divide them"
            " by the range that scores can have."
        )
    return column


def _mean(column: FloatArray) -> float:
    return math.fsum(column.tolist()) / column.size


def _divergence(share: float, other: float) -> float:
    """kl(share, other) of two Bernoulli distributions; 0 < other < 1."""
    first = share * math.log(share / other) if share > 0 else 0.0
    second = (1 - share) * (math.log1p(-share) - math.log1p(-other)) if share < 1 else 0.0
    return max(0.0, first + second)


def _binomial_tail(k: int, n: int, share: float) -> float:
    """P(Binomial(n, share) <= k), for 0 < share < 1."""
    from scipy.special import bdtr

    return float(bdtr(min(k, n), n, share))
