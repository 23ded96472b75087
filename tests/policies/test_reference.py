"""Beyond the golden cases: samplers written plainly over whole-sequence logits, on prompts the model never saw."""

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.engine.attention import ATTENTIONS


class Plain:
    """One sample, no batch, logits of every position in every step."""

    def __init__(self, model: MaskPredictor, prompt: list[int], length: int) -> None:
        self.model, self.start = model, len(prompt)
        self.ids = torch.tensor(prompt + [model.tokens.mask] * length)
        self.forwards = 0

    def logits(self) -> Tensor:
        self.forwards += 1
        size = len(self.ids)
        attend = ATTENTIONS["padded"]([size], torch.device("cpu"))
        return self.model.logits(self.model.hidden(self.ids, torch.arange(size), attend)).clone()

    @torch.inference_mode()
    def llada(self, block: int, steps: int, *, logits_eos_inf: bool, confidence_eos_eot_inf: bool) -> list[int]:
        eos, mask = self.model.tokens.eos, self.model.tokens.mask
        blocks = (len(self.ids) - self.start) // block
        for index in range(blocks):
            first = self.start + index * block
            count, remainder = divmod(block, steps // blocks)
            for step in range(steps // blocks):
                logits = self.logits()
                if logits_eos_inf:
                    logits[:, eos] = -torch.inf
                prediction = logits.argmax(-1)
                if confidence_eos_eot_inf:
                    logits[:, eos] = -torch.inf
                confidence = logits.double().softmax(-1).gather(1, prediction[:, None])[:, 0]
                outside = torch.ones(len(self.ids), dtype=torch.bool)
                outside[first : first + block] = False
                confidence[outside | (self.ids != mask)] = -torch.inf
                chosen = confidence.topk(count + (step < remainder)).indices
                self.ids[chosen] = prediction[chosen]
        return self.ids[self.start :].tolist()

    @torch.inference_mode()
    def fast_dllm(self, block: int, threshold: float) -> list[int]:
        mask = self.model.tokens.mask
        for first in range(self.start, len(self.ids), block):
            while (self.ids[first : first + block] == mask).any():
                p, prediction = self.logits().double().softmax(-1).max(-1)
                p[:first] = -1
                p[first + block :] = -1
                p[self.ids != mask] = -1
                chosen = p >= threshold
                chosen[p.argmax()] = True
                self.ids[chosen] = prediction[chosen]
        return self.ids[self.start :].tolist()


def random_case(seed: int) -> tuple[list[int], int, int]:
    """(prompt, canvas, block): words in no order, so that the model is unsure and every confidence counts."""
    rng = random.Random(seed)
    length = rng.choice([8, 16, 24, 32])
    block = rng.choice([b for b in (4, 8, 16, length) if length % b == 0])
    return [2, *(rng.randrange(4, 760) for _ in range(rng.randrange(0, 60))), 3], length, block


@pytest.mark.parametrize("seed", range(12))
def test_llada_s_sampler_on_new_prompts(tiny_model: MaskPredictor, seed: int):
    prompt, length, block = random_case(seed)
    steps = length // block * random.Random(seed).choice([1, 3, block])
    switches = {"logits_eos_inf": seed % 4 == 1, "confidence_eos_eot_inf": seed % 3 == 1}
    expected = Plain(tiny_model, prompt, length).llada(block, steps, **switches)
    policy = build_policy("fixed", length=length, block_length=block, steps=steps, **switches)
    (generation,) = Engine(tiny_model).generate([prompt], policy)
    assert generation.canvas_ids == expected
    assert generation.ledger.total.nfe == steps


@pytest.mark.parametrize("seed", range(100, 108))
def test_threshold_decoding_on_new_prompts(tiny_model: MaskPredictor, seed: int):
    prompt, length, block = random_case(seed)
    threshold = random.Random(seed).choice([0.3, 0.6, 0.9])
    expected = Plain(tiny_model, prompt, length).fast_dllm(block, threshold)
    policy = build_policy("fixed", length=length, block_length=block, threshold=threshold)
    (generation,) = Engine(tiny_model).generate([prompt], policy)
    assert generation.canvas_ids == expected


@pytest.fixture(scope="module")
def confident(tiny_model: MaskPredictor) -> MaskPredictor:
    """Many of its predictions have probability 1 in float32, as those of large models have after an answer."""
    return replace(tiny_model, head_weight=tiny_model.head_weight * 4)


@pytest.mark.parametrize("seed", [206, 213])
def test_confidences_that_float32_does_not_tell_apart_are_ranked_as_in_float64(confident: MaskPredictor, seed: int):
    prompt, length, _ = random_case(seed)
    steps = length // 2
    expected = Plain(confident, prompt, length).llada(length, steps, logits_eos_inf=False, confidence_eos_eot_inf=False)
    (generation,) = Engine(confident).generate([prompt], build_policy("fixed", length=length, steps=steps))
    assert generation.canvas_ids == expected


def test_a_threshold_of_1_commits_what_is_certain_in_float64(confident: MaskPredictor):
    prompt, length, block = random_case(201)
    plain = Plain(confident, prompt, length)
    expected = plain.fast_dllm(block, 1.0)
    policy = build_policy("fixed", length=length, block_length=block, threshold=1.0)
    (generation,) = Engine(confident).generate([prompt], policy)
    assert (generation.canvas_ids, generation.ledger.total.nfe) == (expected, plain.forwards)
