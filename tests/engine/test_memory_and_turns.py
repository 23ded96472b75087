"""Running out of memory costs a budget and no sample; groups that take turns change no token."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import UserError
from dlm_length.engine import Generation, Step

POLICY = build_policy("smartcrop", length=40, tau=0.5)


def prompts(*lengths: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(4, 700, length).tolist() for length in lengths]


PROMPTS = prompts(10, 30, 20, 42, 5, 12, 33, 8)


def answers(done: list[Generation]) -> dict[int, tuple]:
    return {g.index: (g.canvas_ids, g.trajectory, g.ledger.total.nfe, g.ledger.total.head_rows) for g in done}


def cramped(model: MaskPredictor, room: int, error: Exception) -> MaskPredictor:
    class Cramped(type(model)):
        def hidden(self, token_ids: Tensor, positions: Tensor, attend: Callable[..., Tensor]) -> Tensor:
            if len(token_ids) > room:
                raise error
            return super().hidden(token_ids, positions, attend)

    return Cramped(**vars(model))


@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_forward_that_runs_out_of_memory_halves_the_budget(tiny_model: MaskPredictor, error: Exception, turns: int):
    engine = Engine(cramped(tiny_model, 150, error), 1000, turns=turns)
    done = list(engine.generate(PROMPTS, POLICY))
    assert answers(done) == answers(list(Engine(tiny_model).generate(PROMPTS, POLICY)))
    assert engine.max_batch_tokens < 1000
    assert engine.notes
    assert engine.notes[0].startswith("out of memory in a forward of ")
    assert engine.notes[-1].endswith(f"max_batch_tokens was lowered to {engine.max_batch_tokens}")


def test_a_sample_that_does_not_fit_alone_fails_alone(tiny_model: MaskPredictor):
    error = torch.OutOfMemoryError("CUDA out of memory.")
    done = list(Engine(cramped(tiny_model, 60, error), 500).generate(PROMPTS, POLICY))
    failed = {g.index: g.error for g in done if g.error}
    assert failed == {
        index: f"out of memory in a forward of its {len(prompt) + 40} tokens alone"
        for index, prompt in enumerate(PROMPTS)
        if len(prompt) > 20
    }
    whole = answers(list(Engine(tiny_model).generate(PROMPTS, POLICY)))
    assert all(answers([g])[g.index] == whole[g.index] for g in done if not g.error)


def test_other_errors_are_not_taken_for_it(tiny_model: MaskPredictor):
    engine = Engine(cramped(tiny_model, 10, RuntimeError("CUDA error: an illegal memory access was encountered")))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        list(engine.generate(PROMPTS, POLICY))


def test_a_head_that_runs_out_of_memory_takes_smaller_chunks(tiny_model: MaskPredictor):
    class Narrow(type(tiny_model)):
        def logits(self, hidden: Tensor) -> Tensor:
            if len(hidden) > 40:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().logits(hidden)

    engine = Engine(Narrow(**vars(tiny_model)), chunk_bytes=2**26)
    # A logit takes 4 bytes: below 40 rows of the vocabulary only the least chunk will do.
    with pytest.raises(UserError, match=r"out of memory in the vocabulary head; lower max_batch_tokens"):
        list(engine.generate(PROMPTS, POLICY))
    assert all("its chunk was lowered to" in note for note in engine.notes)


@pytest.mark.parametrize("budget", [60, 120, 1000])
def test_groups_that_take_turns_change_no_answer(tiny_model: MaskPredictor, budget: int):
    alone = answers(list(Engine(tiny_model, budget).generate(PROMPTS, POLICY)))
    steps: list[Step] = []
    turned = list(Engine(tiny_model, budget, turns=2).generate(PROMPTS, POLICY, on_step=steps.append))
    assert answers(turned) == alone
    assert sum(step.samples for step in steps) == sum(g.ledger.total.nfe for g in turned)
    assert all(step.tokens <= budget // 2 or step.samples == 1 for step in steps)
    assert all(step.seconds >= 0 for step in steps)


def test_two_forwards_are_under_way_before_the_first_lands(tiny_model: MaskPredictor, monkeypatch):
    events: list[str] = []
    launch, land = Engine._launch, Engine._land
    monkeypatch.setattr(Engine, "_launch", lambda *a: (events.append("launch"), launch(*a))[1])
    monkeypatch.setattr(Engine, "_land", lambda *a: (events.append("land"), land(*a))[1])
    list(Engine(tiny_model, 100, turns=2).generate(PROMPTS, POLICY))
    assert events[:4] == ["launch", "launch", "land", "launch"]
