"""A sweep's losses and FLOPs, split into calibration and held-out units."""

import math

import numpy as np
import pytest

from dlm_length.stats import KnobSweep, Outcomes, StatisticsError, calibrate, is_for_calibration

IDS = [f"p{number}" for number in range(8)]
FIXED = Outcomes(IDS, [1, 1, 1, 0, 1, None, 1, 0], [10.0] * 8)


def sweep(**scores: list[float | None]) -> KnobSweep[str]:
    flops = {name: [8.0 - 2 * number] * 8 for number, name in enumerate(scores)}
    return KnobSweep.of({name: Outcomes(IDS, own, flops[name]) for name, own in scores.items()}, FIXED)


def test_a_missing_score_counts_as_the_lowest_except_on_the_fixed_canvas() -> None:
    """p4 and p3 have no score in b, and p3 has nothing to lose; p5 has no score on the fixed canvas."""
    found = sweep(a=[1, 0, 1, 1, 1, 1, 1, 0], b=[1, 0, 0, None, math.nan, 1, 1, 0])
    assert found.units == ("p0", "p1", "p2", "p3", "p4", "p6", "p7")
    assert (found.left_out, found.unscored) == (1, 2)
    assert found.losses.tolist() == [[0, 1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 1, 0, 0]]
    assert found.is_binary
    assert found.saving == pytest.approx({"a": 0.2, "b": 0.4})
    assert found.risk["b"].value == pytest.approx(3 / 7)


def test_the_lowest_score_is_the_low_end_of_the_scale() -> None:
    runs = {"a": Outcomes(["p0", "p1"], [None, 3.0], [1.0, 1.0])}
    found = KnobSweep.of(runs, Outcomes(["p0", "p1"], [4.0, 3.0], [2.0, 2.0]), low=1, high=5)
    assert found.losses.tolist() == [[0.75, 0.0]]


def test_the_unit_of_several_samples_is_their_problem() -> None:
    """One lost and one gained answer are half a loss, as a gain does not compensate a loss."""
    ids = ["p0#0", "p0#1", "p1#0", "p1#1"]
    runs = {"a": Outcomes(ids, [0, 1, 1, 1], [1.0, 3.0, 2.0, 2.0])}
    found = KnobSweep.of(runs, Outcomes(ids, [1, 0, 1, 1], [4.0] * 4), unit_of=lambda name: name.partition("#")[0])
    assert found.units == ("p0", "p1")
    assert found.losses.tolist() == [[0.5, 0.0]]
    assert not found.is_binary
    assert found.saving["a"] == pytest.approx(0.5)
    assert calibrate(found, None, risk=0.5, confidence=0.5).certificate.test == "Hoeffding-Bentkus"


def test_losses_that_happen_to_be_0_or_1_are_graded_where_scores_are() -> None:
    assert not sweep(a=[1, 1, 1, 0.5, 1, 1, 1, 0]).is_binary


def test_scores_of_another_range_are_scaled_by_it() -> None:
    ids = ["p0", "p1"]
    runs = {"a": Outcomes(ids, [80.0, 0.0], [1.0, 1.0])}
    found = KnobSweep.of(runs, Outcomes(ids, [100.0, 0.0], [2.0, 2.0]), low=0, high=100)
    assert found.losses.tolist() == [[0.2, 0.0]]
    assert not found.is_binary


def test_runs_of_other_samples_are_refused() -> None:
    with pytest.raises(StatisticsError, match=r"do not cover the same samples: 'a' \(7 samples\) lacks 1"):
        KnobSweep.of({"a": Outcomes(IDS[1:], [1] * 7, [1.0] * 7)}, FIXED)
    with pytest.raises(StatisticsError, match="calibration: a has no score at all"):
        sweep(a=[None] * 8)
    with pytest.raises(StatisticsError, match="outside 0 to 1"):
        sweep(a=[87.5] * 8)


def test_the_split_depends_on_names_only() -> None:
    names = [f"gsm8k/{number}" for number in range(2000)]
    chosen = [name for name in names if is_for_calibration(name, 0.3, 7)]
    assert 0.26 < len(chosen) / len(names) < 0.34
    assert [name for name in reversed(names[:50]) if is_for_calibration(name, 0.3, 7)] == [
        name for name in reversed(chosen) if name in names[:50]
    ]
    assert chosen != [name for name in names if is_for_calibration(name, 0.3, 8)]
    assert set(chosen) <= {name for name in names if is_for_calibration(name, 0.5, 7)}, "a larger share only adds"
    assert all(is_for_calibration(name, 1.0, 7) for name in names)


def test_a_split_has_every_unit_once() -> None:
    found = sweep(a=[1, 0, 1, 1, 1, 1, 1, 0])
    first, second = found.split(0.5, 0)
    assert sorted((*first.units, *second.units)) == list(found.units)
    whole = dict(zip(found.units, found.losses[0], strict=True))
    for part in (first, second):
        assert {unit: whole[unit] for unit in part.units} == dict(zip(part.units, part.losses[0], strict=True))


def test_held_out_costs_order_the_sequence_and_held_out_losses_are_not_used() -> None:
    n = 200
    ids = [f"p{number}" for number in range(n)]
    fixed = Outcomes(ids, [1.0] * n, [10.0] * n)
    fine, poor = [1.0] * n, [0.0] * n

    def runs(scores: list[float], one: float, other: float) -> KnobSweep[str]:
        flops = {"one": one, "other": other}
        return KnobSweep.of({name: Outcomes(ids, scores, [cost] * n) for name, cost in flops.items()}, fixed)

    found = calibrate(runs(fine, 2.0, 5.0), runs(poor, 6.0, 3.0), risk=0.02, confidence=0.95)
    assert [test.knob for test in found.certificate.sequence] == ["one", "other"]
    assert all(test.certified for test in found.certificate.sequence)
    assert found.certificate.chosen is not None
    assert found.certificate.chosen.knob == "other"
    assert found.held_out is not None
    assert found.held_out.risk["other"].value == 1
    alone = calibrate(runs(fine, 2.0, 5.0), None, risk=0.02, confidence=0.95)
    assert [test.knob for test in alone.certificate.sequence] == ["other", "one"]


def test_a_split_with_an_empty_side_is_refused() -> None:
    found = sweep(a=[1, 0, 1, 1, 1, 1, 1, 0])
    none, every = found.split(0.0, 0)
    assert np.array_equal(every.losses, found.losses)
    with pytest.raises(StatisticsError, match="no sample or problem is left to calibrate on"):
        calibrate(none, every, risk=0.1, confidence=0.9)
    with pytest.raises(StatisticsError, match="none of the 7 samples or problems is held out"):
        calibrate(every, none, risk=0.1, confidence=0.9)
