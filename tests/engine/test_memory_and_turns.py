"""Running out of memory lowers the budget and loses no sample; alternating groups change no token."""

import weakref
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


def test_other_errors_are_not_taken_for_lack_of_memory(tiny_model: MaskPredictor):
    engine = Engine(cramped(tiny_model, 10, RuntimeError("CUDA error: an illegal memory access was encountered")))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        list(engine.generate(PROMPTS, POLICY))


def narrow(model: MaskPredictor, room: int) -> MaskPredictor:
    class Narrow(type(model)):
        def logits(self, hidden: Tensor) -> Tensor:
            if len(hidden) > room:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().logits(hidden)

    return Narrow(**vars(model))


def test_a_head_that_runs_out_of_memory_takes_smaller_chunks(tiny_model: MaskPredictor):
    prompts = PROMPTS * 12  # more rows than fit, at 4 bytes for each of 768 logits
    engine = Engine(narrow(tiny_model, 2000), chunk_bytes=2**24)
    done = list(engine.generate(prompts, POLICY))
    assert answers(done) == answers(list(Engine(tiny_model).generate(prompts, POLICY)))
    assert engine.notes
    assert all("out of memory in the vocabulary head: its chunk was lowered to" in note for note in engine.notes)


def test_a_head_too_small_for_anything_ends_the_run(tiny_model: MaskPredictor):
    with pytest.raises(UserError, match=r"out of memory in the vocabulary head; lower max_batch_tokens"):
        list(Engine(narrow(tiny_model, 40)).generate(PROMPTS, POLICY))


@pytest.mark.parametrize("turns", [1, 2])
def test_arms_that_do_not_fit_together_go_one_by_one(tiny_model: MaskPredictor, turns: int):
    lengths = (30, 40, 50)
    arms = [[build_policy("fixed", length=length) for length in lengths] for _ in PROMPTS[:2]]
    error = torch.OutOfMemoryError("CUDA out of memory.")
    engine = Engine(cramped(tiny_model, 100, error), turns=turns)
    done = list(engine.generate_arms(PROMPTS[:2], arms, ["a", "b"]))
    plain = list(Engine(tiny_model).generate_arms(PROMPTS[:2], arms, ["a", "b"]))
    assert {(g.index, g.arm): g.canvas_ids for g in done} == {(g.index, g.arm): g.canvas_ids for g in plain}
    assert all(g.error is None for g in done)


def test_a_sample_is_given_up_only_with_the_device_to_itself(tiny_model: MaskPredictor):
    """Hidden states that are kept count as memory: with two forwards under way less fits."""
    kept: weakref.WeakSet[Tensor] = weakref.WeakSet()

    class Counting(type(tiny_model)):
        def hidden(self, token_ids: Tensor, positions: Tensor, attend: Callable[..., Tensor]) -> Tensor:
            if len(token_ids) + sum(map(len, kept)) > 100:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            states = super().hidden(token_ids, positions, attend)
            kept.add(states)
            return states

    for turns in (1, 2):
        done = list(Engine(Counting(**vars(tiny_model)), turns=turns).generate(PROMPTS, POLICY))
        assert answers(done) == answers(list(Engine(tiny_model).generate(PROMPTS, POLICY)))


@pytest.mark.parametrize("turns", [0, -1])
def test_turns_are_at_least_one(tiny_model: MaskPredictor, turns: int):
    with pytest.raises(UserError, match=f"turns must be at least 1, found {turns}"):
        Engine(tiny_model, turns=turns)


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
    monkeypatch.setattr(Engine, "_launch", lambda *a, **b: (events.append("launch"), launch(*a, **b))[1])
    monkeypatch.setattr(Engine, "_land", lambda *a: (events.append("land"), land(*a))[1])
    list(Engine(tiny_model, 100, turns=2).generate(PROMPTS, POLICY))
    assert events[:4] == ["launch", "launch", "land", "launch"]
