"""The EOS confidence: which positions count, by what it is divided, and how few are queried."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, FollowUp, Query
from dlm_length.policies.eos_confidence import EosConfidence

TOKENS = SpecialTokens(mask=0, eos=1, eot=2)
EOS, WORD = 1, 9


def canvas_of(length: int) -> Canvas:
    canvas = Canvas(5, TOKENS)
    canvas.append_masks(length)
    return canvas


@pytest.fixture(scope="session")
def measured(play: Callable) -> Callable:
    """(EOS confidence, course) of a forward that finds these tokens and p(EOS)."""

    def measured(token: list[int], eos: list[float], **parameters: object) -> tuple[float, object]:
        part = EosConfidence(**parameters)
        found = Answer(token=np.array(token), eos=np.array(eos))
        course = play(lambda c: part.eos_confidence(c, probe=True), [found], canvas=canvas_of(len(token)))
        return course.result, course

    return measured


def test_counts_from_the_end_and_only_what_is_predicted_to_be_eos(measured: Callable):
    token, eos = [EOS, EOS, WORD, EOS, WORD], [0.5, 0.6, 0.9, 0.7, 0.4]
    assert measured(token, eos, eos_window=1)[0] == pytest.approx(0.7)
    assert measured(token, eos, eos_window=2)[0] == pytest.approx((0.7 + 0.6) / 2)
    assert measured(token, eos, eos_window=3)[0] == pytest.approx((0.7 + 0.6 + 0.5) / 3)


def test_is_always_divided_by_the_window(measured: Callable):
    assert measured([WORD, EOS, EOS], [0.9, 0.8, 0.6], eos_window=8)[0] == pytest.approx(1.4 / 8)
    assert measured([WORD] * 3, [0.9] * 3, eos_window=8)[0] == 0


def test_the_papers_window_is_the_end_of_the_canvas_whatever_is_predicted(measured: Callable):
    token, eos = [EOS, EOS, WORD, EOS, WORD], [0.5, 0.6, 0.2, 0.7, 0.4]
    assert measured(token, eos, eos_window=3, eos_scan="window")[0] == pytest.approx((0.2 + 0.7 + 0.4) / 3)
    assert measured(token, eos, eos_window=10, eos_scan="window")[0] == pytest.approx(2.4 / 10)


def test_the_papers_window_is_queried_at_once_and_alone(measured: Callable):
    _, course = measured([WORD] * 50, [0.1] * 50, eos_window=7, eos_scan="window")
    assert course.rows == [[list(range(43, 50))]]


def test_a_probe_is_a_forward_and_its_further_questions_are_none(measured: Callable):
    _, course = measured([WORD] * 40, [0.1] * 40, eos_window=4)
    kinds = [type(question) for question in course.questions[0]]
    assert kinds == [Query, FollowUp, FollowUp]
    assert course.questions[0][0].probe
    assert course.canvas.forwards == 1


def test_it_uses_follow_ups_on_the_latest_forward_and_runs_none(play: Callable):
    found = Answer(token=np.full(20, EOS), eos=np.full(20, 0.5))
    course = play(EosConfidence(eos_window=4).eos_confidence, [], canvas=canvas_of(20), latest=found)
    assert course.result == pytest.approx(0.5)
    assert course.canvas.forwards == 0


@given(
    eos=st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=90),
    window=st.integers(1, 40),
)
def test_the_lazy_scan_finds_what_the_whole_one_does_and_stops_in_time(
    measured: Callable, eos: list[tuple[bool, float]], window: int
):
    token = [EOS if is_eos else WORD for is_eos, _ in eos]
    counted = [p for is_eos, p in reversed(eos) if is_eos][:window]
    confidence, course = measured(token, [p for _, p in eos], eos_window=window)
    assert confidence == pytest.approx(sum(counted) / window, abs=1e-6)
    queried = [position for positions in course.rows[0] for position in positions]
    assert sorted(queried) == list(range(min(queried), len(eos))), "from the end, each position once"
    places = [place for place, is_eos in enumerate(token) if is_eos == EOS]
    last_needed = places[-window] if len(places) >= window else 0
    last_question = course.rows[0][-1]
    assert last_needed in last_question, "the last question was needed"
    assert len(last_question) <= max(16, window), "and no larger than it had to be"


@pytest.mark.parametrize(("certain", "of", "threshold"), [(9, 10, 0.9), (7, 10, 0.7), (3, 5, 0.6), (16, 32, 0.5)])
def test_a_share_of_certainties_is_not_below_the_same_share(play: Callable, certain: int, of: int, threshold: float):
    """The reference implementation compares in float32; 0.9 there, read again as float64, would be below 0.9."""
    token = [WORD] * (of - certain) + [EOS] * certain
    found = Answer(token=np.array(token), eos=np.ones(of))
    part = EosConfidence(eos_window=of)
    course = play(lambda c: part.eos_confidence(c, probe=True), [found], canvas=canvas_of(of))
    assert not course.result < threshold
    assert not course.result > threshold
