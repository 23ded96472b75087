"""What a policy can cost at most, found by running its own coroutine on a model that is never sure. Free of torch."""

from dataclasses import dataclass

import numpy as np

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, Denoiser, Query
from dlm_length.engine.ledger import Ledger
from dlm_length.models import Architecture

_TOKENS = SpecialTokens(mask=0, eos=1)
_WORD = 2


@dataclass(frozen=True)
class Course:
    """The forwards of one sample, whatever its prompt."""

    canvas_length: int
    """At the end."""
    forwards: tuple[tuple[int, int, bool], ...]
    """(canvas length, head rows, probe) of each."""

    def ledger(self, architecture: Architecture, prompt_length: int) -> Ledger:
        """The cost of these forwards behind a prompt of that length, in tokens."""
        ledger = Ledger()
        for canvas, rows, probe in self.forwards:
            ledger.add_forward(architecture, prompt_length + canvas, probe=probe)
            ledger.add_rows(architecture, rows, probe=probe)
        return ledger


def upper_bound(policy: Denoiser) -> Course:
    """A sample's course when no probability is ever high: no crop, no commitment but the forced ones."""
    canvas = Canvas(0, _TOKENS)
    coroutine = policy.denoise(canvas)
    forwards: list[tuple[int, int, bool]] = []
    question = next(coroutine)
    while True:
        rows = len(question.positions)
        if isinstance(question, Query):
            canvas.forwards += 1
            forwards.append((len(canvas), rows, question.probe))
        else:
            length, before, probe = forwards[-1]
            forwards[-1] = length, before + rows, probe
        try:
            question = coroutine.send(_unsure(rows))
        except StopIteration:
            return Course(len(canvas), tuple(forwards))


def _unsure(rows: int) -> Answer:
    nothing, word = np.zeros(rows), np.full(rows, _WORD)
    return Answer(
        token=word,
        confidence=nothing,
        eos=nothing,
        eot=nothing,
        margin=nothing,
        entropy=nothing,
        unmasked_token=word,
        unmasked_confidence=nothing,
        uniform=nothing,
    )
