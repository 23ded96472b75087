"""A hand-made model: a test gives the statistics of each forward, and gets the questions of the coroutine."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from dlm_length import MaskPredictor, load_model
from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, FollowUp, Positions, Query, Stat

TOKENS = SpecialTokens(mask=0, eos=1, eot=2)
_FIELDS = {
    Stat.TOKEN: ["token"],
    Stat.CONFIDENCE: ["confidence"],
    Stat.EOS: ["eos"],
    Stat.EOT: ["eot"],
    Stat.MARGIN: ["margin"],
    Stat.ENTROPY: ["entropy"],
    Stat.BEST_UNMASKED: ["unmasked_token", "unmasked_confidence"],
    Stat.LOGIT_GAP: ["logit_gap"],
    Stat.UNIFORM: ["uniform"],
    Stat.DIVERGENCE: ["divergence"],
}
_ENDLESS = 20_000


@dataclass
class Course:
    """The course of a coroutine: its final canvas, and every forward with its questions."""

    canvas: Canvas
    seen: list[list[int]] = field(default_factory=list)
    """The canvas at each forward."""
    questions: list[list[Query | FollowUp]] = field(default_factory=list)
    """The questions to each forward; the first is the query itself."""
    result: Any = None

    @property
    def ids(self) -> list[int]:
        return self.canvas.ids.tolist()

    @property
    def lengths(self) -> list[int]:
        return [len(canvas) for canvas in self.seen]

    @property
    def rows(self) -> list[list[list[int]]]:
        """Positions of each question to each forward."""
        return [[question.positions.tolist() for question in questions] for questions in self.questions]


@pytest.fixture(scope="session")
def ask(tiny_model: MaskPredictor) -> Callable[[str], list[int]]:
    """A question as the tiny model's prompt."""

    def ask(question: str) -> list[int]:
        text = tiny_model.tokenizer.chat_text([("user", question)], "")
        return tiny_model.tokenizer.encode(text, templated=True)

    return ask


Says = Callable[[Canvas], Answer]


@pytest.fixture(scope="session")
def says() -> Callable[..., Answer]:
    """The statistics of one forward, as lists over the canvas; a number applies to all positions."""

    def says(token: Any = None, confidence: Any = None, *, length: int | None = None, **others: Any) -> Answer:
        given = {"token": token, "confidence": confidence} | others
        given = {name: values for name, values in given.items() if values is not None}
        size = length or max(len(np.atleast_1d(values)) for values in given.values())
        arrays = {name: np.broadcast_to(np.asarray(values), (size,)).copy() for name, values in given.items()}
        return Answer(**arrays)

    return says


@pytest.fixture(scope="session")
def play() -> Callable[..., Course]:
    """Runs a coroutine, counting forwards as the engine does and refusing what the engine could not answer."""

    def play(
        denoise: Callable[[Canvas], Generator[Query | FollowUp, Answer, Any]],
        forwards: Says | Iterable[Answer],
        *,
        canvas: Canvas | None = None,
        latest: Answer | None = None,
    ) -> Course:
        """`forwards`: statistics of each forward, or a function that gives them. `latest`: of a forward before."""
        course = Course(Canvas(5, TOKENS) if canvas is None else canvas)
        by_turn = None if callable(forwards) else iter(forwards)
        found, length = latest, len(course.canvas)
        coroutine = denoise(course.canvas)
        question = _next(coroutine, None, course)
        for _ in range(_ENDLESS):
            if question is None:
                assert by_turn is None or next(by_turn, None) is None, "fewer forwards than this test gives"
                return course
            if isinstance(question, Query):
                assert question.canvas is course.canvas
                found, length = forwards(course.canvas) if by_turn is None else next(by_turn), len(course.canvas)
                course.canvas.forwards += 1
                course.seen.append(course.ids)
                course.questions.append([])
            if course.questions:
                course.questions[-1].append(question)
            assert found is not None, "a follow-up before any forward"
            computed = course.questions[-1][0].recompute if course.questions else None
            assert computed is None or np.isin(question.positions, computed).all(), (
                "a question about a position that was not computed"
            )
            question = _next(coroutine, _answer(found, question, length), course)
        pytest.fail("the coroutine does not end")

    return play


def _next(
    coroutine: Generator[Query | FollowUp, Answer, Any], answer: Answer | None, course: Course
) -> Query | FollowUp | None:
    try:
        return next(coroutine) if answer is None else coroutine.send(answer)
    except StopIteration as end:
        course.result = end.value
        return None


def _answer(found: Answer, question: Query | FollowUp, length: int) -> Answer:
    """The requested statistics of a forward, and no others."""
    positions: Positions = question.positions
    assert ((positions >= 0) & (positions < length)).all(), (
        f"{positions} requested of a forward over {length} positions"
    )
    names = [name for want in question.head.want for name in _FIELDS[want]]
    for name in names:
        assert len(getattr(found, name)) == length, f"this test must give {name} of {length} positions"
    return Answer(**{name: getattr(found, name)[positions] for name in names})


@pytest.fixture(scope="module")
def noise(write_checkpoint: Callable[..., Path]) -> MaskPredictor:
    """A random model that often predicts MASK, and at times EOS: so that the fallbacks are used."""

    def loud(weights: dict[str, Tensor]) -> None:
        head = weights["model.transformer.ff_out.weight"]
        head[0] *= 2
        head[1] *= 1.5
        head *= 1.5

    return load_model(
        str(write_checkpoint(seed=1, config={"max_sequence_length": 256}, edit=loud)), device="cpu", dtype="float32"
    )
