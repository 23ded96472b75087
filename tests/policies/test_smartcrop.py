import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, Query, Stat
from dlm_length.policies import build_policy
from dlm_length.policies.smartcrop import first_crossing, termination_cdf

TOKENS = SpecialTokens(mask=0, eos=1, eot=2)
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)


def crop(end: list[float], *, eot: list[float] | None = None, **parameters: object) -> int:
    """Canvas length after a hand-made probe."""
    policy = build_policy("smartcrop", length=len(end), **parameters)
    canvas = Canvas(5, TOKENS)
    coroutine = policy.denoise(canvas)
    probe = next(coroutine)
    assert isinstance(probe, Query)
    assert probe.probe
    assert probe.head.want == Stat.EOS | Stat.EOT
    assert probe.positions.tolist() == list(range(len(end)))
    assert (canvas.ids == TOKENS.mask).all()
    coroutine.send(Answer(eos=np.array(end), eot=np.array(eot or [0.0] * len(end))))
    return len(canvas)


def test_crops_at_the_first_position_where_the_cdf_reaches_tau():
    # F = 0.5, 0.75, 0.875, 0.9375
    end = [0.5, 0.5, 0.5, 0.5]
    assert crop(end, tau=0.5) == 1
    assert crop(end, tau=0.51) == 2
    assert crop(end, tau=0.875) == 3
    assert crop(end, tau=0.9) == 4


def test_keeps_the_whole_canvas_where_tau_is_never_reached():
    assert crop([0.01] * 10, tau=0.9) == 10


def test_a_certain_end_crops_at_any_tau():
    assert crop([0.0, 0.0, 1.0, 0.0], tau=1.0) == 3


def test_rounds_up_but_never_above_the_canvas():
    end = [0.0] * 4 + [1.0] + [0.0] * 5
    assert crop(end, round_to=4) == 8
    assert crop(end, round_to=32) == 10


def test_end_of_turn_counts_only_if_configured():
    eos, eot = [0.0, 0.0, 0.0, 1.0], [0.0, 0.95, 0.0, 0.0]
    assert crop(eos, eot=eot) == 4
    assert crop(eos, eot=eot, include_eot=True) == 2


@pytest.mark.parametrize(("steps", "end", "forwards"), [(8, 4, 4), (4, 4, 2), (2, 3, 1), (1, 1, 1), (5, 3, 2)])
def test_steps_of_the_full_canvas_are_shared_by_the_crop(steps: int, end: int, forwards: int):
    policy = build_policy("smartcrop", length=8, steps=steps)
    canvas = Canvas(0, TOKENS)
    coroutine = policy.denoise(canvas)
    next(coroutine)
    question = coroutine.send(Answer(eos=np.eye(8)[end - 1], eot=np.zeros(8)))
    queries = 0
    while True:
        queries += 1
        count = len(question.positions)
        try:
            question = coroutine.send(Answer(token=np.full(count, 9), confidence=np.linspace(1, 0.5, count)))
        except StopIteration:
            break
    assert (len(canvas), queries) == (end, forwards)
    assert not (canvas.ids == TOKENS.mask).any()


@given(probabilities)
def test_cdf_is_one_minus_the_product_of_survivals(end: np.ndarray):
    direct = 1 - np.cumprod(1 - end)
    np.testing.assert_allclose(termination_cdf(end), direct, atol=1e-12)


@given(probabilities)
def test_cdf_never_falls_and_stays_in_the_unit_interval(end: np.ndarray):
    cdf = termination_cdf(end)
    assert (np.diff(cdf) >= 0).all()
    assert ((cdf >= 0) & (cdf <= 1)).all()


@given(probabilities, st.floats(0, 1), st.floats(0, 1))
def test_crop_grows_with_tau(end: np.ndarray, one: float, other: float):
    cdf = termination_cdf(end)
    assert first_crossing(cdf, min(one, other)) <= first_crossing(cdf, max(one, other))


def test_cdf_keeps_tiny_probabilities_that_a_product_of_floats_loses():
    assert termination_cdf(np.full(1000, 1e-18))[-1] == pytest.approx(1e-15)


def test_float32_sums_above_one_are_certain_ends():
    assert termination_cdf(np.array([1.0000001]))[0] == 1.0
