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

    def stopped(token: list[int], **parameters: object) -> object:
        def forward(canvas: Canvas) -> Answer:
            return Answer(token=np.array(token), confidence=np.full(len(token), 0.5))

        return play(build_policy("stop_at_eos", length=10, **({"block_length": 3} | parameters)).denoise, forward)

    return stopped


@pytest.mark.parametrize("end", [EOS, EOT])
def test_stops_behind_the_first_block_that_ends_in_an_end(stopped: Callable, end: int):
    course = stopped([WORD, WORD, WORD, WORD, WORD, end, WORD, WORD, end, end])
    assert course.ids == [WORD] * 5 + [end]
    assert course.lengths == [10] * 6
    assert [(c.kind, c.position, c.after) for c in course.canvas.changes] == [("append", 0, 10), ("crop", 6, 6)]


def test_an_end_inside_a_block_stops_nothing(stopped: Callable):
    course = stopped([EOS, EOS, WORD, WORD, EOS, WORD, EOS, EOS, WORD, WORD])
    assert len(course.canvas) == 10


def test_an_end_at_the_very_end_changes_no_length(stopped: Callable):
    course = stopped([WORD] * 9 + [EOS])
    assert (course.lengths, len(course.canvas.changes)) == ([10] * 10, 1)


def test_steps_are_those_of_the_full_canvas(stopped: Callable):
    course = stopped([WORD] * 2 + [EOS] + [WORD] * 7, steps=5)
    assert course.lengths == [10], "5 steps over 10 tokens leave the first three one"
    by_threshold = stopped([WORD] * 5 + [EOS] + [WORD] * 4, threshold=0.4)
    assert by_threshold.lengths == [10, 10]


@pytest.mark.parametrize(("block_length", "temperature"), [(4, 0.0), (4, 0.7), (7, 0.7)])
def test_its_tokens_are_the_beginning_of_the_fixed_canvas(
    tiny_model: MaskPredictor, ask: Callable, block_length: int, temperature: float
):
    prompts = [ask("What is a lamp? Explain in one sentence."), ask("Write f4(x): take x, add 7, and return it.")]
    settings = {"length": 28, "block_length": block_length, "temperature": temperature}
    ends = tiny_model.tokens.ends
    fixed, stopped = (
        {g.index: g for g in Engine(tiny_model).generate(prompts, build_policy(name, **settings))}
        for name in ("fixed", "stop_at_eos")
    )
    for index, whole in fixed.items():
        found = [end for end in range(block_length, 28, block_length) if whole.canvas_ids[end - 1] in ends]
        length = min(found, default=28)
        assert stopped[index].canvas_ids == whole.canvas_ids[:length]
        assert stopped[index].ledger.total.nfe == length
    assert any(g.n_token < 28 for g in stopped.values())
