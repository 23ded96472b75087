"""Length search on forwards made by hand: which lengths are tried, and which one wins."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import linregress

from dlm_length import build_policy
from dlm_length.common import ConfigError
from dlm_length.denoising import Answer, Canvas
from dlm_length.engine.estimate import upper_bound
from dlm_length.policies.length_search import length_bias, without_length

WORD = 9
FLAT = (0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="session")
def course(play: Callable) -> Callable:
    """The course of a search where canvases of these lengths have these means; all others `other`."""

    def course(means: dict[int, float], other: float = 0.0, **parameters: object) -> object:
        def forward(canvas: Canvas) -> Answer:
            mean = np.full(len(canvas), means.get(len(canvas), other))
            return Answer(token=np.full(len(canvas), WORD), confidence=mean, entropy=mean)

        return play(build_policy("length_search", **parameters).denoise, forward)

    return course


def probed(done: object) -> list[int]:
    return [length for length, questions in zip(done.lengths, done.questions, strict=True) if questions[0].probe]


def test_cal_climbs_and_gives_up_after_so_many_misses(course: Callable):
    done = course({5: 0.5, 6: 0.6, 8: 0.7}, initial_length=5, length=20, patience=2, bias=FLAT)
    assert probed(done) == [5, 6, 7, 8, 9, 10, 4, 3]
    assert len(done.ids) == 8


def test_cal_goes_down_against_the_best_score_of_the_way_up(course: Callable):
    means = {5: 0.3, 6: 0.6, 4: 0.5, 3: 0.7}
    done = course(means, initial_length=5, length=20, patience=2, bias=FLAT)
    assert probed(done) == [5, 6, 7, 8, 4, 3, 2, 1]
    assert len(done.ids) == 3


def test_an_equal_score_is_no_better(course: Callable):
    done = course({}, other=0.4, initial_length=3, length=9, patience=2, bias=FLAT)
    assert probed(done) == [3, 4, 5, 2, 1]
    assert len(done.ids) == 3


def test_the_span_and_both_ends_bound_the_climb(course: Callable):
    done = course({}, initial_length=5, length=10, span=3, patience=9, bias=FLAT)
    assert probed(done) == [5, 8, 2]
    assert probed(course({}, initial_length=1, length=1, bias=FLAT)) == [1]


def test_cal_divides_by_the_curve(course: Callable):
    """A confidence that falls exactly as the curve says is a flat score: no length is better than the first."""
    curve = {
        length: float(length_bias(np.array([length]), (1.0, 1.77, 0.56, 0.06, 0.24))[0]) for length in range(1, 65)
    }
    raised = curve | {11: curve[11] * 1.01}
    assert len(course(raised, patience=4).ids) == 11
    assert curve[64] == pytest.approx(np.exp(-1.77 * 64) + 0.56 * np.exp(-0.06 * 64) + 0.24)


@pytest.mark.parametrize(
    ("criterion", "means", "found"),
    [
        ("entropy", {1: 0.5, 2: 0.2, 4: 0.2, 8: 0.4}, 2),
        ("lr", {length: np.log(length) for length in (1, 2, 8)} | {4: 1.0}, 4),
    ],
)
def test_candidates_are_the_powers_of_two_and_the_shortest_of_equals_wins(
    course: Callable, criterion: str, means: dict, found: int
):
    done = course(means, criterion=criterion, length=11)
    assert probed(done) == [1, 2, 4, 8]
    assert len(done.ids) == found


def test_given_candidates_are_tried_once_from_the_shortest(course: Callable):
    done = course({3: 0.4, 7: 0.1}, criterion="entropy", candidates=[7, 3, 7])
    assert (probed(done), len(done.ids)) == ([3, 7], 7)
    assert len(course({}, criterion="lr", candidates=[5]).ids) == 5, "one length has no line through it"


def test_the_part_that_grows_with_the_logarithm_is_taken_out_by_least_squares():
    lengths, scores = [1, 2, 4, 8, 16], np.array([-0.1, -0.9, -1.2, -2.5, -2.6])
    slope = linregress(np.log(lengths), scores).slope
    np.testing.assert_allclose(without_length(lengths, scores), scores - slope * np.log(lengths), rtol=1e-12)


@pytest.mark.parametrize(
    "parameters",
    [{"initial_length": 5, "length": 20, "span": 2}, {"criterion": "lr", "length": 20}, {"criterion": "entropy"}],
)
def test_no_sample_costs_more_than_the_worst_case(course: Callable, parameters: dict):
    most = upper_bound(build_policy("length_search", **parameters).worst_case())
    rng = np.random.default_rng(3)
    for _ in range(20):
        done = course(dict(enumerate(rng.random(65))), **parameters)
        assert len(done.ids) <= most.canvas_length
        assert len(probed(done)) <= sum(probe for *_, probe in most.forwards)
        assert sum(done.lengths) <= sum(length for length, *_ in most.forwards)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"initial_length": 65}, "initial_length must be at most length, found 65 and 64"),
        ({"candidates": [4]}, "candidates has no effect with criterion: cal"),
        ({"criterion": "lr", "patience": 2}, "patience has no effect with criterion: lr"),
        ({"criterion": "lr", "bias": FLAT}, "bias has no effect with criterion: lr"),
        ({"criterion": "entropy", "candidates": [4, 65]}, "candidates must be at most length, found 65 and 64"),
        ({"bias": (1.0, 20.0, 0.0, 0.0, 0.0)}, "bias must be above 0 up to length 64"),
        ({"bias": (1.0, -1.0, 0.0, 0.0, 0.0)}, "greater than or equal to 0"),
    ],
)
def test_what_does_not_fit_is_refused(parameters: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build_policy("length_search", **parameters)
