"""rho-EOS on forwards made by hand: the signal, how far the length changes, and when it no longer does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlm_length import build_policy
from dlm_length.denoising import Answer, Canvas, FollowUp, Stat

MASK, EOS, WORD = 0, 1, 9


@pytest.fixture(scope="session")
def course(play: Callable) -> Callable:
    """The course of rho-EOS where that is what each forward finds."""

    def course(forwards: object, **parameters: object) -> object:
        given = {"initial_length": 10, "max_length": 100, "unit": 1} | parameters
        return play(build_policy("rho_eos", **given).denoise, forwards)

    return course


def dense(length: int, eos: int, confidence: float = 0.5) -> Answer:
    """A forward that predicts EOS at the last so many positions."""
    token = np.where(np.arange(length) >= length - eos, EOS, WORD)
    return Answer(token=token, eos=(token == EOS) * 1.0, confidence=np.full(length, confidence))


def first_change(course: Callable, eos: int, length: int = 10, **parameters: object) -> int:
    """How the length changes after a first forward over so many masks of which `eos` predict EOS."""

    def forward(canvas: Canvas) -> Answer:
        return dense(len(canvas), eos) if canvas.forwards == 0 else dense(len(canvas), 0, 0.95)

    band = {"rho_low": 0.0, "rho_high": 1.0}
    done = course(forward, initial_length=length, **(band | parameters))
    changes = [change.after - change.before for change in done.canvas.changes if change.forward == 1]
    return sum(changes)


def units_by_torch(signal: float, low: float, high: float, scheduler: str) -> int:
    """docs/methods.md section 5 in torch's float32, the dtype of the reference implementation; negative to shorten."""
    gaps = torch.tensor([low, signal]) - torch.tensor([signal, high])
    if (gaps <= 0).all():
        return 0
    n = int((gaps.max() / 0.1).ceil())
    units = {"const": 1, "linear": n, "exp": 2 ** (n - 1)}[scheduler]
    return min(units, 8) * (1 if gaps[0] > 0 else -1)


@pytest.mark.parametrize(
    ("scheduler", "units"), [("const", [1] * 9), ("linear", [1, 2, 3, 4, 5, 6, 7, 8, 8]), ("exp", [1, 2, 4, *[8] * 6])]
)
def test_units_grow_with_the_distance_from_the_band_up_to_eight(course: Callable, scheduler: str, units: list[int]):
    """In the middle of each tenth, where no rounding matters."""
    for tenth, expected in enumerate(units):
        distance = (tenth + 0.5) / 10
        assert first_change(course, 0, rho_low=distance, scheduler=scheduler) == expected
        assert first_change(course, 10, rho_high=1 - distance, scheduler=scheduler) == -expected


def test_on_whole_tenths_the_units_are_those_of_float32(course: Callable):
    """There its float32 decides: 1 - 0.7 is three tenths of its making, 1 - 0.9 is a little more than one."""
    for tenths in range(11):
        for edge in range(11):
            for low, high in ((edge / 10, 1.0), (0.0, edge / 10)):
                changed = first_change(course, tenths, rho_low=low, rho_high=high, scheduler="linear")
                assert changed == units_by_torch(tenths / 10, low, high, "linear")
    assert first_change(course, 10, rho_high=0.7, scheduler="linear") == -3
    assert first_change(course, 0, rho_low=0.3, scheduler="linear") == 3
    assert first_change(course, 10, rho_high=0.9, scheduler="linear") == -2


@given(
    length=st.integers(1, 40),
    share=st.floats(0, 1),
    low=st.floats(0, 1),
    high=st.floats(0, 1),
    scheduler=st.sampled_from(["const", "linear", "exp"]),
)
def test_any_density_gives_the_change_of_the_reference_implementation(
    course: Callable, length: int, share: float, low: float, high: float, scheduler: str
):
    eos, low, high = round(share * length), min(low, high), max(low, high)
    expected = units_by_torch(eos / length, low, high, scheduler)
    band = {"rho_low": low, "rho_high": high}
    changed = first_change(course, eos, length=length, scheduler=scheduler, **band)
    assert changed == max(expected, -length)


def test_a_signal_on_the_edge_of_the_band_keeps_the_length(course: Callable):
    for edge in range(1, 10):
        assert first_change(course, edge, rho_low=edge / 10) == 0
        assert first_change(course, edge, rho_high=edge / 10) == 0


def test_the_unit_multiplies(course: Callable):
    assert first_change(course, 0, rho_low=0.2, unit=5) == 10
    assert first_change(course, 10, rho_high=0.95, unit=4) == -4


def test_density_is_over_the_masks_of_the_whole_canvas_before_the_fill(course: Callable):
    """Four of ten predict EOS, all of them outside the window; then three of the nine masks that are left."""
    done = course(
        lambda canvas: dense(len(canvas), 4 if canvas.forwards == 0 else 3),
        rho_low=0.4,
        rho_high=1.0,
        max_length=11,
        block_length=2,
        scheduler="const",
    )
    assert done.lengths[:3] == [10, 10, 11], "4/10 keeps, 3/9 lengthens"
    query, others = done.questions[0]
    assert isinstance(others, FollowUp)
    assert query.positions.tolist() == [0, 1]
    assert others.positions.tolist() == [2, 3, 4, 5, 6, 7, 8, 9], "the window's own predictions are known"
    assert others.head.want == Stat.TOKEN


def test_committed_positions_do_not_count_for_the_density(course: Callable):
    """The nine left of ten masks: 5 / 9 is above a band that ends at 0.55, 5 / 10 would not be."""

    def forward(canvas: Canvas) -> Answer:
        token = np.where(np.arange(len(canvas)) < 5, WORD, EOS)
        return Answer(token=token, confidence=np.where(np.arange(len(canvas)) == 0, 0.95, 0.5))

    done = course(forward, rho_low=0.0, rho_high=0.55, scheduler="const")
    assert done.lengths[:3] == [10, 10, 9]


def test_the_confidence_signal_is_daedals(course: Callable):
    """Two certain ends of a window of four are 0.5; of the masks they are a fifth."""
    by_confidence = course(lambda c: dense(len(c), 2, 0.95), signal="confidence", eos_window=4)
    assert by_confidence.lengths == [10]
    by_density = course(lambda c: dense(len(c), 2 * (len(c) == 10), 0.95), max_length=12)
    assert by_density.lengths[1] == 12


def test_committed_positions_count_for_the_confidence(course: Callable):
    done = course(lambda c: dense(len(c), 4), signal="confidence", eos_window=8, block_length=10)
    assert done.lengths == [10] * 10, "0.5 from the first to the last forward, whatever is committed"


def test_a_window_without_masks_after_a_contraction_still_costs_its_forward(course: Callable):
    """The first forward commits the first five and drops the other five."""

    def forward(canvas: Canvas) -> Answer:
        confidence = np.where(np.arange(len(canvas)) < 5, 0.95, 0.5)
        return Answer(token=np.full(len(canvas), EOS), confidence=confidence)

    done = course(forward, rho_high=0.6, scheduler="const", unit=5)
    assert done.lengths == [10, 5]
    assert done.rows[1] == [[]], "nothing is left to ask about"
    assert done.ids == [EOS] * 5


@pytest.mark.parametrize("unit", [10, 50])
def test_a_contraction_may_leave_nothing(course: Callable, unit: int):
    done = course([dense(10, 10)], unit=unit)
    assert (done.ids, done.lengths) == ([], [10])
    assert done.canvas.changes[-1].after == 0


def test_an_expansion_ends_at_the_longest_canvas_and_is_the_last(course: Callable):
    done = course(lambda c: dense(len(c), 0 if len(c) < 13 else len(c)), max_length=13)
    assert done.lengths == [10, *[13] * 12]
    assert all(len(questions) == 1 for questions in done.questions[1:]), "no signal is requested once it cannot matter"


def test_the_longest_canvas_stays_even_where_the_signal_would_shorten_it(course: Callable):
    done = course(lambda c: dense(len(c), 10), initial_length=10, max_length=10)
    assert done.lengths == [10] * 10


def test_the_length_changes_after_the_first_64_forwards_only(course: Callable):
    """Each forward commits one token and is in the band, until one that is not comes as the 64th, or the 65th."""
    for turn, final in ((64, 81), (65, 80)):

        def forward(canvas: Canvas, turn: int = turn) -> Answer:
            masks = canvas.masked()
            eos = masks[: len(masks) // 2] if canvas.forwards != turn - 1 else masks[:0]
            token = np.full(len(canvas), WORD)
            token[eos] = EOS
            return Answer(token=token, confidence=np.full(len(canvas), 0.5))

        done = course(forward, initial_length=80, rho_low=0.3, rho_high=0.7, scheduler="const", block_length=80)
        assert len(done.canvas) == final


def test_no_more_forwards_than_the_longest_canvas_has_tokens(course: Callable):
    """Lengthened and shortened in turn, so that forwards are spent on what is dropped again."""
    done = course(_see_saw, initial_length=6, max_length=8, unit=2, scheduler="const")
    assert done.canvas.forwards == 8
    assert MASK not in done.ids


def _see_saw(canvas: Canvas) -> Answer:
    """Lengthen after every other forward, shorten after the others; the surest position is the last."""
    size = len(canvas)
    token = np.full(size, EOS if canvas.forwards % 2 else WORD)
    confidence = np.linspace(0.1, 0.5, size)
    return Answer(token=token, confidence=confidence, unmasked_token=np.full(size, 7), unmasked_confidence=confidence)


@given(st.integers(2, 9), st.integers(0, 1), st.integers(1, 3))
def test_what_the_last_forward_left_is_filled_from_that_forward_alone(
    course: Callable, longest: int, parity: int, unit: int
):
    """Masks appended after the last forward would be predicted by none: the harness refuses to answer for them."""

    def forward(canvas: Canvas) -> Answer:
        answer = _see_saw(canvas)
        return answer if parity else Answer(**(vars(answer) | {"token": np.where(answer.token == EOS, WORD, EOS)}))

    done = course(forward, initial_length=longest - 1, max_length=longest, unit=unit, scheduler="const")
    assert MASK not in done.ids
    assert done.canvas.forwards <= longest


def test_at_a_temperature_the_signal_has_no_noise(course: Callable):
    done = course(lambda c: dense(len(c), len(c) // 2, 0.95), temperature=0.7, rho_low=0.1, rho_high=0.9)
    query, others = done.questions[0]
    assert query.head.temperature == 0.7
    assert others.head.temperature == 0
    assert others.positions.tolist() == list(range(10)), "the window's own predictions were noised"
