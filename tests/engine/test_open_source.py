"""Requests that arrive while others are in progress are batched with them, and give the same answers as alone."""

import threading
import time
from collections import deque

import numpy as np

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.engine import Generation, Request, Step

PROMPTS = [np.random.default_rng(place).integers(4, 700, 4 + 5 * place).tolist() for place in range(6)]
FIXED = build_policy("fixed", length=8)


def requests() -> list[Request]:
    return [Request(place, f"question {place}", prompt, [FIXED]) for place, prompt in enumerate(PROMPTS)]


def summary(g: Generation) -> tuple:
    return g.index, g.sample_id, g.canvas_ids, g.trajectory, g.ledger.total.nfe, g.ledger.total.flops_executed


def alone(model: MaskPredictor) -> list[tuple]:
    ids = [request.sample_id for request in requests()]
    return sorted(map(summary, Engine(model, seed=3).generate(PROMPTS, FIXED, sample_ids=ids)))


def test_later_requests_join_the_batch_in_progress(tiny_model: MaskPredictor):
    first, *later = requests()
    waiting, held = deque([first]), list[int]()

    def add(step: Step) -> None:
        held.append(step.samples)
        if later:
            waiting.append(later.pop(0))

    done = list(Engine(tiny_model, seed=3).generate_from(waiting, on_step=add))
    assert sorted(map(summary, done)) == alone(tiny_model)
    assert held[:6] == [1, 2, 3, 4, 5, 6], "one more joins at every forward"
    assert len(held) == 8 + 5


def test_requests_may_come_from_another_thread(tiny_model: MaskPredictor):
    waiting = deque(requests()[:1])
    late = requests()[1:]

    def add() -> None:
        for request in late:
            time.sleep(0.001)
            waiting.append(request)

    thread = threading.Thread(target=add)
    thread.start()
    engine, done = Engine(tiny_model, 60, seed=3), []
    while len(done) < len(PROMPTS):
        done += engine.generate_from(waiting)
    thread.join()
    assert sorted(map(summary, done)) == alone(tiny_model)


def test_an_empty_source_ends_at_once(tiny_model: MaskPredictor):
    assert list(Engine(tiny_model).generate_from(deque())) == []
    assert Engine(tiny_model, 100, turns=2).forward_tokens == 50
