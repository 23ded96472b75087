"""Early stopping: after which block, and that it is the fixed canvas until then."""

from collections.abc import Callable

import numpy as np
import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.denoising import Answer, Canvas

EOS, EOT, WORD = 1, 2, 9


@pytest.fixture
def stopped(play: Callable) -> Callable:
    """The course over ten positions in blocks of three, where the model predicts these tokens."""

    def stopped(token: list[int], confidence: object = 0.5, **parameters: object) -> object:
        def forward(canvas: Canvas) -> Answer:
            return Answer(token=np.array(token), confidence=np.broadcast_to(confidence, (len(token),)))

        return play(build_policy("stop_at_eos", length=10, **({"block_length": 3} | parameters)).denoise, forward)

    return stopped


LAST = {"stop": "block_last", "include_eot": True}


def test_an_end_anywhere_in_a_finished_block_makes_the_rest_eos(stopped: Callable):
    course = stopped([WORD, WORD, WORD, WORD, EOS, WORD, WORD, WORD, EOS, EOS])
    assert course.ids == [WORD] * 4 + [EOS, WORD] + [EOS] * 4
    assert course.lengths == [10] * 6, "the third and fourth block are never forwarded"
    assert [(c.kind, c.after) for c in course.canvas.changes] == [("append", 10)]


def test_a_block_is_tested_when_it_has_no_mask_left(stopped: Callable):
    """The end is committed first here, and the block's other masks still are denoised."""
    course = stopped([WORD, WORD, EOS] + [WORD] * 7, confidence=[0.1, 0.2, 0.9] + [0.5] * 7)
    assert course.ids == [WORD, WORD] + [EOS] * 8
    assert course.lengths == [10] * 3


@pytest.mark.parametrize(("include_eot", "length"), [(False, 10), (True, 3)])
def test_the_end_of_the_turn_counts_only_if_configured(stopped: Callable, include_eot: bool, length: int):
    course = stopped([EOT] + [WORD] * 9, include_eot=include_eot)
    assert len(course.lengths) == length
    assert course.ids == [EOT, WORD, WORD] + ([EOS] * 7 if include_eot else [WORD] * 7)


@pytest.mark.parametrize("end", [EOS, EOT])
def test_block_last_stops_behind_the_first_block_that_ends_in_an_end(stopped: Callable, end: int):
    course = stopped([WORD, WORD, WORD, WORD, WORD, end, WORD, WORD, end, end], **LAST)
    assert course.ids == [WORD] * 5 + [end]
    assert course.lengths == [10] * 6
    assert [(c.kind, c.position, c.after) for c in course.canvas.changes] == [("append", 0, 10), ("crop", 6, 6)]


def test_under_block_last_an_end_inside_a_block_stops_nothing(stopped: Callable):
    course = stopped([EOS, EOS, WORD, WORD, EOS, WORD, EOS, EOS, WORD, WORD], **LAST)
    assert len(course.lengths) == 10


@pytest.mark.parametrize("stop", ["block_any", "block_last"])
def test_an_end_at_the_very_end_changes_no_length(stopped: Callable, stop: str):
    course = stopped([WORD] * 9 + [EOS], stop=stop)
    assert (course.lengths, len(course.canvas.changes)) == ([10] * 10, 1)


def test_steps_are_those_of_the_full_canvas(stopped: Callable):
    course = stopped([WORD] * 2 + [EOS] + [WORD] * 7, steps=5)
    assert course.lengths == [10], "5 steps over 10 tokens leave the first three one"
    by_threshold = stopped([WORD] * 5 + [EOS] + [WORD] * 4, threshold=0.4)
    assert by_threshold.lengths == [10, 10]


@pytest.mark.parametrize(("block_length", "temperature"), [(4, 0.0), (4, 0.7), (7, 0.7)])
@pytest.mark.parametrize("stop", ["block_any", "block_last"])
def test_its_tokens_are_the_beginning_of_the_fixed_canvas(
    tiny_model: MaskPredictor, ask: Callable, block_length: int, temperature: float, stop: str
):
    prompts = [ask("What is a lamp? Explain in one sentence."), ask("Write f4(x): take x, add 7, and return it.")]
    settings = {"length": 28, "block_length": block_length, "temperature": temperature}
    eos, any_block = tiny_model.tokens.eos, stop == "block_any"
    fixed, stopped = (
        {g.index: g for g in Engine(tiny_model).generate(prompts, build_policy(name, **settings, **own))}
        for name, own in (("fixed", {}), ("stop_at_eos", {"stop": stop}))
    )
    for index, whole in fixed.items():
        blocks = {end: whole.canvas_ids[end - block_length : end] for end in range(block_length, 28, block_length)}
        found = [end for end, ids in blocks.items() if eos in (ids if any_block else ids[-1:])]
        length = min(found, default=28)
        assert stopped[index].canvas_ids == whole.canvas_ids[:length] + [eos] * (28 - length if any_block else 0)
        assert stopped[index].ledger.total.nfe == length
    assert any(g.ledger.total.nfe < 28 for g in stopped.values())


def test_block_extend_with_cut_ends_behind_the_first_end(play: Callable):
    def forward(canvas: Canvas) -> Answer:
        token = np.array([WORD, WORD, WORD, WORD, EOS, WORD, WORD, WORD, WORD])[: len(canvas)]
        return Answer(token=token, confidence=np.linspace(0.9, 0.2, len(canvas)))

    for own, ids, made in (({}, [WORD] * 4 + [EOS, WORD], 6), ({"stop": "cut"}, [WORD] * 4 + [EOS], 5)):
        done = play(build_policy("block_extend", length=9, block_length=3, **own).denoise, forward)
        assert (done.ids, len(done.seen)) == (ids, made)
