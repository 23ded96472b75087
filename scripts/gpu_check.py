"""Check on one GPU that the engine is exact, batch-invariant and fast: at most six minutes.

    python scripts/gpu_check.py                              # every part
    python scripts/gpu_check.py --part exact,forward --out check.json

Needs the package and its dependencies, and no checkpoint: a LLaDA with 8 B random weights is created on the device.
Without a GPU every part runs at a small size on the CPU, which tests the script alone.

    exact      golden cases of the reference implementations in float32 and half precision
    families   the same for the other model families, and adapters merged on the device
    caches     the same with kept keys and values; the batch's influence on them; their speed
    sampling   the head's statistics and draws relative to the CPU's, alone and together
    options    energy by NVML; `hardware.compile`
    memory     estimate and measured peak; recovery from an induced lack of memory
    invariant  64 mixed prompts with several budgets and orders: the samples with equal tokens
    tests      tests/engine/test_gpu.py, where pytest is installed
    forward    FLOP/s at LLaDA-8B's shape, relative to matrix products alone, and a profile
    engine     speed relative to a straightforward padded sampler with the same weights, batch 1 and 8
    study      study_mini on the device and on the CPU: equal tokens, scores, time

A part that fails or takes longer than it may leaves what it has measured, and the others run. Results are written to
`--out` as they come, so that a call that is ended early (Ctrl-C, `timeout`) still prints its table.
"""

import argparse
import json
import platform
import random
import re
import signal
import statistics as summary
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from check_device import Check, Found, limited
from gpu_golden import TESTS, caches, exact, families, generate, lines, sampling
from padded_samplers import PaddedDaedal, PaddedFixed, PaddedModel
from random_llada import random_llada
from torch import Tensor
from torch.nn import functional

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.common.program import git_commit
from dlm_length.denoising import Canvas, Decoder, DenoiseCoroutine, Denoiser, Query, Stat, StatSpec
from dlm_length.engine import Generation, Step
from dlm_length.engine.attention import ATTENTIONS, attention_name, best_attention, masked_attention
from dlm_length.engine.budget import activation_bytes, automatic_budget
from dlm_length.engine.energy import find_meter
from dlm_length.engine.machine import describe_machine, library_versions
from dlm_length.engine.ragged import without_cudnn
from dlm_length.models.backbone import Attend
from dlm_length.models.fused import triton_kernels
from dlm_length.policies.daedal import Daedal

SAMPLE_LENGTH = 356
"""Prompt and canvas of a GSM8K sample: 100 and 256 tokens."""
TOKENS_PER_STEP = 8
"""For both samplers in the comparison: a forward costs the same however many tokens it commits, and with fewer forwards
the check takes minutes."""


# invariant


def invariant(check: Check, found: Found) -> None:
    """Mixed prompts with budgets of one sample, of three and of all, and in shuffled order."""
    count = check.scaled(64, 4)
    prompts, policies = mixed(count)
    ids = [str(index) for index in range(count)]
    longest = max(map(len, prompts)) + 128
    found["samples"] = count
    for dtype in ("float32", *check.halves):
        for mode in (False, True):
            model = load_model("embedded:llada-mini", device=str(check.device), dtype=dtype, batch_invariant=mode)
            answers = []
            order = list(range(count))
            for budget, shuffled in (
                (longest, False),
                (3 * longest, False),
                (count * longest, False),
                (6 * longest, True),
            ):
                places = random.Random(0).sample(order, count) if shuffled else order
                done = Engine(model, budget).generate(
                    [prompts[i] for i in places], [policies[i] for i in places], sample_ids=[ids[i] for i in places]
                )
                answers.append({g.sample_id: (g.canvas_ids, g.ledger.total.nfe) for g in done})
            equal = sum(all(answer[name] == answers[0][name] for answer in answers) for name in ids)
            name = f"{dtype}, {'batch_invariant' if mode else 'default'}"
            found[name] = {"equal": equal, "of": count}
            check.say(f"{name}: {equal} of {count} samples equal under every budget and order")
    found["logits"] = both_modes(check, check.large())
    check.say(f"logits of {check.shape.parameters / 1e9:.1f} B equal alone and together: {found['logits']}")
    found["logits, float32"] = both_modes(check, random_llada(check.shallow, check.device, torch.float32))
    check.say(f"logits of {check.shallow.layers} layers in float32: {found['logits, float32']}")


def both_modes(check: Check, model: MaskPredictor) -> dict[str, str]:
    both = {"default": model, "batch_invariant": check.invariant(model)}
    return {mode: equal_logits(check, own) for mode, own in both.items()}


def mixed(count: int) -> tuple[list[list[int]], list[Denoiser]]:
    """Prompts of 8 to 160 tokens, with four policies in turn."""
    rng = np.random.default_rng(0)
    prompts = [rng.integers(4, 700, rng.integers(8, 161)).tolist() for _ in range(count)]
    kinds = [
        build_policy("fixed", length=48, tokens_per_step=4),
        build_policy("smartcrop", length=96, tau=0.5, tokens_per_step=4),
        build_policy("daedal", initial_length=32, max_length=96, block_length=16),
        build_policy("fixed", length=32, threshold=0.6, block_length=16),
    ]
    return prompts, [kinds[index % len(kinds)] for index in range(count)]


def equal_logits(check: Check, model: MaskPredictor) -> str:
    """How many samples of mixed lengths have bitwise equal logits alone and in a batch."""
    rng = np.random.default_rng(1)
    lengths = [int(n) for n in rng.integers(20, check.scaled(700, 60), check.scaled(24, 6))]
    samples = [torch.from_numpy(rng.integers(2, check.shape.vocabulary, n)).to(check.device) for n in lengths]
    last = torch.tensor(lengths, device=check.device).cumsum(0) - 1
    together = model.logits(hidden(model, samples)[last])
    alone = [model.logits(hidden(model, [sample])[-1:])[0] for sample in samples]
    return f"{sum(torch.equal(a, b) for a, b in zip(together, alone, strict=True))} of {len(lengths)}"


def hidden(model: MaskPredictor, samples: Sequence[Tensor]) -> Tensor:
    lengths = [len(sample) for sample in samples]
    positions = torch.cat([torch.arange(n, device=model.device) for n in lengths])
    attend = ATTENTIONS[best_attention(model)](lengths, model.device)
    return model.hidden(torch.cat(list(samples)), positions, attend)


# forward


def forward(check: Check, found: Found) -> None:
    """FLOP/s of the backbone, absolute and relative to its matrix products alone."""
    model = check.large()
    kinds = {"fused": model, "batch_invariant": check.invariant(model), "not fused": replace(model, fused=None)}
    # Including sizes that are not multiples of the batch-invariant mode's rows.
    for tokens in (356, 1024, 4096, 10_000, 16_384, 32_768) if check.on_gpu else (128, 256):
        matrix = matrix_rate(check, tokens)
        row: Found = {"matrix_tflops": round(matrix / 1e12, 2)}
        for name, kind in kinds.items():
            if name == "not fused" and tokens > 16_384:
                continue
            seconds, flops = timed_forward(check, kind, tokens)
            row[name] = {
                "ms": round(seconds * 1e3, 2),
                "tflops": round(flops / seconds / 1e12, 2),
                "of_matrix": round(flops / seconds / matrix, 3),
            }
        found[str(tokens)] = row
        check.say(f"{tokens} tokens: {row}")
    found["masked"] = masked_cost(check)
    found["head"] = head_cost(check)
    found["profile"] = profile(check, model, check.scaled(16_384, 256))


def timed_forward(check: Check, model: MaskPredictor, tokens: int) -> tuple[float, int]:
    count = max(1, tokens // SAMPLE_LENGTH)
    lengths = [tokens // count + (i < tokens % count) for i in range(count)]
    ids = torch.randint(2, check.shape.vocabulary, (tokens,), device=check.device)
    positions = torch.cat([torch.arange(n, device=check.device) for n in lengths])
    attend = ATTENTIONS[best_attention(model)](lengths, check.device)
    seconds = check.seconds(lambda: model.hidden(ids, positions, attend))
    return seconds, sum(check.shape.forward_flops(n) for n in lengths)


def matrix_rate(check: Check, tokens: int) -> float:
    """FLOP/s of a block's matrix products alone, on random data, for several blocks in a row."""
    d, f, kv = check.shape.width, check.shape.mlp_width, check.shape.kv_width
    dtype, device = check.dtype, check.device

    def random_matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, device=device, dtype=dtype) * columns**-0.5

    x, y = random_matrix(tokens, d), random_matrix(tokens, f)
    weights = [random_matrix(d + 2 * kv, d), random_matrix(d, d), random_matrix(2 * f, d)]
    down = random_matrix(d, f)

    def block() -> None:
        for _ in range(4):
            for weight in weights:
                functional.linear(x, weight)
            functional.linear(y, down)

    flops = 4 * 2 * tokens * (sum(weight.numel() for weight in weights) + down.numel())
    return flops / check.seconds(block)


def masked_cost(check: Check) -> Found:
    """Duration of a forward with block-causal masks, one SDPA call per sample; and what cuDNN's plans would add, in ms.

    cuDNN is kept out of the engine's forwards, as it builds a plan for each new length.
    """
    model = check.large()

    def once(lengths: list[int], attend: Attend | None = None) -> None:
        blocks = [np.arange(n) // 32 for n in lengths]
        masks = [block[:, None] >= block for block in blocks]
        ids = torch.randint(2, check.shape.vocabulary, (sum(lengths),), device=check.device)
        positions = torch.cat([torch.arange(n, device=check.device) for n in lengths])
        model.hidden(ids, positions, attend or masked_attention(lengths, masks, check.device))
        check.wait()

    lengths = [check.scaled(200, 40) + 7 * i for i in range(check.scaled(24, 3))]
    few = [length + 1 for length in lengths[:3]]
    plain = ATTENTIONS[best_attention(model)](lengths, check.device)
    with without_cudnn(check.device):
        row = {"tokens": sum(lengths), "ms": check.seconds(lambda: once(lengths), rounds=3)}
        row["without_masks_ms"] = check.seconds(lambda: once(lengths, plain), rounds=3)
        row["three_samples_ms"] = check.seconds(lambda: once(few), rounds=3)
    start = time.perf_counter()
    once(few)
    row["three_samples_first_with_cudnn_ms"] = time.perf_counter() - start
    row["three_samples_with_cudnn_ms"] = check.seconds(lambda: once(few), rounds=3)
    row = {name: round(value * 1e3, 2) if name.endswith("ms") else value for name, value in row.items()}
    check.say(f"masked: {row}")
    return row


def head_cost(check: Check) -> Found:
    """Duration of the vocabulary head and of its statistics over as many rows as a forward has masks, in ms."""
    from dlm_length.engine.head import chunk_bytes_for, statistics

    model = check.large()
    rows = check.scaled(8192, 64)
    states = torch.randn(rows, check.shape.width, device=check.device, dtype=check.dtype)
    places, keys = torch.arange(rows, device=check.device), np.arange(rows, dtype=np.uint64)

    def run(want: Stat, chunk: int) -> float:
        return check.seconds(
            lambda: statistics(
                model.logits, states, places, StatSpec(want), model.tokens, keys,
                vocabulary=check.shape.vocabulary, chunk_bytes=chunk,
            ).answer()
        )  # fmt: skip

    chunk = chunk_bytes_for(check.device)
    product = check.seconds(lambda: [model.logits(part) for part in states.split(2048)])
    found = {
        "rows": rows,
        "product_ms": round(product * 1e3, 2),
        "confidence_ms": round(run(Stat.TOKEN | Stat.CONFIDENCE, chunk) * 1e3, 2),
        "margin_entropy_ms": round(run(Stat.TOKEN | Stat.MARGIN | Stat.ENTROPY, chunk) * 1e3, 2),
        "confidence_quarter_chunk_ms": round(run(Stat.TOKEN | Stat.CONFIDENCE, chunk // 4) * 1e3, 2),
    }
    check.say(f"head: {found}")
    return found


def profile(check: Check, model: MaskPredictor, tokens: int) -> list[str]:
    """The fifteen operations that take the most time in a forward."""
    from torch.profiler import ProfilerActivity

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if check.on_gpu else [])
    with torch.profiler.profile(activities=activities) as profiled:
        timed_forward(check, model, tokens)
    clock = "self_device_time_total" if check.on_gpu else "self_cpu_time_total"
    events = sorted(profiled.key_averages(), key=lambda event: -getattr(event, clock))
    total = sum(getattr(event, clock) for event in events) or 1
    lines = [f"{getattr(e, clock) / total:6.1%}  {e.count:6d}x  {e.key[:80]}" for e in events[:15]]
    print("\n".join(lines), flush=True)
    return lines


# engine


class PresetCrops(Decoder):
    """SmartCrop's forwards with given crops, as random weights do not predict where an answer ends."""

    canvas: int
    crops: dict[str, int]
    probe: bool

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.canvas)
        if self.probe:
            yield Query(canvas, canvas.all, StatSpec(Stat.EOS), probe=True)
            canvas.crop(self.crops[canvas.sample_id])
        yield from self.decode(canvas)


class Planted:
    """Hidden states with given predictions, as random weights would never predict the end of an answer.

    The first two tokens of a prompt are the lengths of the answer and of the prompt. After the answer EOS is predicted,
    within it a word, with more confidence if its left neighbour is committed.
    """

    def __init__(self, model: MaskPredictor) -> None:
        self._mask = model.tokens.mask
        self._eos = model.tokens.eos
        self._head = model.head_weight
        self._scale = torch.linalg.vector_norm(model.head_weight.float(), dim=1).square()
        self._others = float(np.log(model.architecture.vocabulary))

    def __call__(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        """Hidden states of concatenated samples, (tokens, width)."""
        rows = torch.arange(len(token_ids), device=token_ids.device)
        start = torch.where(positions == 0, rows, 0).cummax(0).values
        place = rows - start - token_ids[(start + 1).clamp(max=len(rows) - 1)]
        seed = (token_ids[start] * 7919 + place * 104_729) % 1009
        left = token_ids[(rows - 1).clamp(min=0)] != self._mask
        # Once the first token is committed, the answer becomes longer, so that DAEDAL inserts masks.
        begun = token_ids[start + token_ids[(start + 1).clamp(max=len(rows) - 1)]] != self._mask
        length = torch.where(begun, token_ids[start] * 3 // 2, token_ids[start])
        target = torch.where(place < length, 2 + seed % 2000, self._eos)
        odds = torch.where(left, 3.2, 0.5) - torch.where(seed % 7 == 0, 3.5, 0.0) + seed / 2000
        odds = torch.where(target == self._eos, 5.0, odds)
        return (self._head[target] * ((odds + self._others) / self._scale[target])[:, None]).to(self._head.dtype)


class PlantedModel(MaskPredictor):
    """A model that computes its forward and then returns the planted predictions."""

    planted: Planted

    def hidden(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        super().hidden(token_ids, positions, attend)
        with torch.inference_mode():
            return self.planted(token_ids, positions)


class PlantedPadded(PaddedModel):
    """`PlantedModel` for the padded sampler."""

    planted: Planted

    def hidden(self, ids: Tensor, real: Tensor) -> Tensor:
        states = super().hidden(ids, real)
        positions = (real.cumsum(-1) - 1).clamp(min=0)
        states[real] = self.planted(ids[real], positions[real])
        return states


def engine(check: Check, found: Found) -> None:
    """Wall-clock of the engine and of the padded sampler, one after the other, with the same weights."""
    model = check.large()
    canvas, budget = check.scaled(256, 32), check.scaled(16_384, 512)
    found |= {"budget": budget, "tokens_per_step": TOKENS_PER_STEP}
    rng = np.random.default_rng(0)
    count = check.scaled(96, 8)
    prompts = [rng.integers(2, check.shape.vocabulary, n).tolist() for n in rng.integers(70, 160, count)]
    crops = np.exp(rng.uniform(np.log(canvas / 16), np.log(canvas), count)).round().astype(int).tolist()

    some = prompts[: check.scaled(46, 8)]
    full = PresetCrops(canvas=canvas, crops={}, probe=False, tokens_per_step=TOKENS_PER_STEP)
    once = timed(check, model, budget, some, full)
    for batch in (8, 1):
        few = some[: check.scaled(24, 8)] if batch > 1 else some[: check.scaled(4, 2)]
        padded = PaddedFixed(
            model, canvas, [canvas] * len(few), probe=False, tokens_per_step=TOKENS_PER_STEP, batch=batch
        )
        found[f"fixed, batch {batch}"] = race(check, once, padded.generate, few)

    cropped = PresetCrops(
        canvas=canvas, crops={str(i): crop for i, crop in enumerate(crops)}, probe=True, tokens_per_step=TOKENS_PER_STEP
    )
    padded = PaddedFixed(model, canvas, crops, probe=True, tokens_per_step=TOKENS_PER_STEP)
    few = prompts[: check.scaled(48, 8)]
    once = timed(check, model, budget, few, cropped)  # the same samples, as their lengths differ
    found["smartcrop, batch 8"] = race(check, once, padded.generate, few)
    found["llada-mini"] = {f"turns {turns}": mini(check, turns) for turns in (1, 2)}
    found["daedal, batch 8"] = daedal_race(check, model, budget, prompts, crops)


@dataclass(frozen=True)
class Run:
    """A run of the engine: its samples, its forwards and its wall-clock."""

    done: list[Generation]
    steps: list[Step]
    seconds: float


def timed(check: Check, model: MaskPredictor, budget: int, prompts: list[list[int]], policy: Denoiser) -> Run:
    """Run the engine on prompts, once more than is timed on two of them."""
    list(Engine(model, budget).generate(prompts[:2], policy))  # warm-up: compiles kernels
    steps: list[Step] = []
    check.wait()
    start = time.perf_counter()
    done = sorted(Engine(model, budget).generate(prompts, policy, on_step=steps.append), key=lambda g: g.index)
    return Run(done, steps, time.perf_counter() - start)


def race(check: Check, run: Run, padded: Callable[[list[list[int]]], list[list[int]]], few: list[list[int]]) -> Found:
    """Time the padded sampler on `few` of the run's prompts, the first ones; seconds, and the ratio per sample."""
    check.wait()
    start = time.perf_counter()
    answers = padded(few)
    check.wait()
    other = time.perf_counter() - start
    done, seconds = run.done, run.seconds
    row = {
        "samples": len(done),
        "seconds": round(seconds, 2),
        "tokens_per_second": round(sum(g.n_token for g in done) / seconds, 1),
        "padded_samples": len(few),
        "padded_seconds": round(other, 2),
        "ratio": round((other / len(few)) / (seconds / len(done)), 2),
        "outside_forward": round(1 - sum(step.seconds for step in run.steps) / seconds, 4),
        "equal_samples": sum(g.canvas_ids == a for g, a in zip(done, answers, strict=False)),
        "tflops": round(sum(g.ledger.total.flops_executed for g in done) / seconds / 1e12, 1),
        "insertions": sum(change.kind == "insert" for g in done for change in g.changes),
        "forwards": len(run.steps),
    }
    check.say(str(row))
    return row


def daedal_race(check: Check, model: MaskPredictor, budget: int, prompts: list[list[int]], answers: list[int]) -> Found:
    """`race` with DAEDAL and planted predictions. `answers`: length of each answer, in tokens."""
    planted = Planted(model)
    prompts = [[n, len(prompt), *prompt[2:]] for n, prompt in zip(answers, prompts, strict=True)]
    planted_model = PlantedModel(**vars(model))
    object.__setattr__(planted_model, "planted", planted)
    policy = Daedal(initial_length=check.scaled(64, 8), max_length=check.scaled(512, 64))
    padded = PaddedDaedal(model, policy)
    padded.model = PlantedPadded(model)
    padded.model.planted = planted
    prompts = prompts[: check.scaled(16, 8)]  # the same for both, as their lengths differ
    return race(check, timed(check, planted_model, budget, prompts, policy), padded.generate, prompts)


def mini(check: Check, turns: int) -> Found:
    """Share of time outside the forward for the small model that ships with the package."""
    model = load_model("embedded:llada-mini", device=str(check.device), dtype="float32")
    prompts, policies = mixed(check.scaled(192, 4))
    budget = automatic_budget(
        model.architecture, device=check.device.type, bytes_each=4, fused=model.fused is not None, free=None
    )
    budget = min(budget, check.scaled(16_384, 2048))
    engine = Engine(model, budget, turns=turns)
    list(engine.generate(prompts[:4], policies[:4]))
    steps: list[Step] = []
    start = time.perf_counter()
    done = list(engine.generate(prompts, policies, on_step=steps.append))
    seconds = time.perf_counter() - start
    row = {
        "seconds": round(seconds, 3),
        "outside_forward": round(1 - sum(step.seconds for step in steps) / seconds, 3),
        "forwards": len(steps),
        "tokens_per_second": round(sum(g.n_token for g in done) / seconds, 1),
    }
    check.say(f"llada-mini, {turns} turns: {row}")
    return row


# memory


def memory(check: Check, found: Found) -> None:
    """Peak memory of a forward with its head over every row, and the estimate that the automatic budget uses."""
    large = check.large()
    for tokens in (4096, 16_384, 32_768) if check.on_gpu else (128, 256):
        found[str(tokens)] = peak(check, large, tokens)
    tokens = check.scaled(16_384, 128)
    found[f"{tokens}, not fused"] = peak(check, replace(large, fused=None), tokens)
    single = random_llada(check.shallow, check.device, torch.float32)
    found[f"{tokens}, float32"] = peak(check, single, tokens)
    found[f"{tokens}, float32, not fused"] = peak(check, replace(single, fused=None), tokens)
    del single
    found["recovery"] = recovery(check, large)
    found["recovery in two groups"] = recovery(check, large, turns=2)
    found["recovery of arms"] = recovery(check, large, arms=check.scaled(120, 3))


def peak(check: Check, model: MaskPredictor, tokens: int) -> Found:
    """Estimate and measured peak of a forward of so many tokens."""
    engine = Engine(model, tokens)
    length = SAMPLE_LENGTH if check.on_gpu else 64
    count = tokens // length
    prompts = [[2 + i % 50 for i in range(8)] for _ in range(count)]
    if check.on_gpu:
        list(engine.generate(prompts[:1], OneProbe(length - 8)))  # what libraries allocate once and keep
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if check.on_gpu else 0
    list(engine.generate(prompts, OneProbe(length - 8)))
    estimate = activation_bytes(
        model.architecture,
        count * length,
        model.dtype.itemsize,
        device=check.device.type,
        fused=model.fused is not None,
    )
    row: Found = {"estimate_mib": round(estimate / 2**20), "weights_mib": round(before / 2**20)}
    if check.on_gpu:
        most = torch.cuda.max_memory_allocated()
        row |= {
            "peak_beside_weights_mib": round((most - before) / 2**20),
            "estimate_of_peak": round((before + estimate) / most, 3),
            "estimate_beside_weights_of_peak": round(estimate / max(1, most - before), 3),
        }
    check.say(f"memory at {tokens} tokens, {model.dtype}, {'' if model.fused else 'not '}fused: {row}")
    return row


class OneProbe:
    """One forward of a full canvas, every position through the head."""

    def __init__(self, length: int) -> None:
        self.length = length

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length)
        yield Query(canvas, canvas.all, StatSpec(Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS), probe=True)
        canvas.crop(0)


class LimitedModel(MaskPredictor):
    """A model that runs out of memory in forwards of more than 300 tokens."""

    def hidden(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        if len(token_ids) > 300:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().hidden(token_ids, positions, attend)


def recovery(check: Check, model: MaskPredictor, *, turns: int | None = None, arms: int = 1) -> Found:
    """A budget that does not fit into memory: it must be halved, and every sample must finish.

    `turns`: groups of samples that alternate. `arms`: policies of one prompt, which go one by one as they do not fit
    together; 1: many prompts with one policy.
    """
    fits = check.scaled(16_384, 256)
    # In two groups each forward fits alone, and on a GPU not beside the hidden states of the other.
    budget = check.scaled(2 * fits, 2 * fits * (turns or 1))
    count = 1 if arms > 1 else check.scaled(160, 8)
    prompts = [[2 + i % 50 for i in range(100)] for _ in range(count)]
    shortest = check.scaled(128 if arms == 1 else 80, 16)
    policies = [PresetCrops(canvas=shortest + arm, crops={}, probe=False, tokens_per_step=64) for arm in range(arms)]
    ids = [str(index) for index in range(count)]

    def answers(engine: Engine) -> dict[tuple[int, int], Generation]:
        return {(g.index, g.arm): g for g in engine.generate_arms(prompts, [policies] * count, ids)}

    plain = answers(Engine(model, fits // 2))
    engine = Engine(model, budget, turns=turns)
    if check.on_gpu:
        torch.cuda.empty_cache()
        room = activation_bytes(
            model.architecture, fits, model.dtype.itemsize, device="cuda", fused=model.fused is not None
        )
        share = (torch.cuda.memory_allocated() + room) / torch.cuda.get_device_properties(check.device).total_memory
        torch.cuda.set_per_process_memory_fraction(share)
    else:
        engine.model = LimitedModel(**vars(model))
    try:
        done = answers(engine)
    finally:
        if check.on_gpu:
            torch.cuda.set_per_process_memory_fraction(1.0)
    row = {
        "samples": len(plain),
        "finished": sum(g.error is None for g in done.values()),
        "equal_samples": sum(g.canvas_ids == plain[key].canvas_ids for key, g in done.items()),
        "notes": engine.notes,
    }
    check.say(f"induced lack of memory, {turns or 'default'} turns, {arms} arms: {row}")
    return row


# options


def options(check: Check, found: Found) -> None:
    """Energy by NVML relative to the card's own reading of its power, and compiled layers."""
    found["energy"] = energy(check)
    check.say(f"energy: {found['energy']}")
    if check.on_gpu:  # on a CPU it takes minutes, and tests/models/test_compiled.py does it
        found["compile"] = compiled(check)
        check.say(f"compile: {found['compile']}")


def energy(check: Check) -> Found:
    """The ledgers' joules over some seconds of full forwards; the mean power, the card's own reading at their end, and
    how long its counter takes to be read.
    """
    if (meter := find_meter(check.device)) is None:
        return {"joules": None, "reason": "no counter: a CPU, no nvidia-ml-py, an older card, or one in MIG mode"}
    model = check.large()
    prompts = [[2 + i % 50 for i in range(100)] for _ in range(46)]
    policy = PresetCrops(canvas=256, crops={}, probe=False, tokens_per_step=16)
    start = time.perf_counter()
    done = list(Engine(model, 16_384).generate(prompts, policy))
    seconds = time.perf_counter() - start
    try:
        reading = torch.cuda.power_draw(check.device) / 1e3
    except Exception as error:  # noqa: BLE001 - NVML's own errors
        reading = f"{type(error).__name__}: {error}"
    reading_ms = check.seconds(meter.since) * 1e3  # once per forward
    each = [g.ledger.total.joules for g in done]
    if None in each:
        return {"joules": None, "reason": f"{each.count(None)} of {len(each)} samples have none"}
    joules = sum(filter(None, each))
    return {
        "joules": round(joules, 1),
        "seconds": round(seconds, 2),
        "mean_watts": round(joules / seconds, 1),
        "watts_read_at_the_end": reading,
        "counter_ms": round(reading_ms, 3),
    }


def compiled(check: Check) -> Found:
    """Golden cases with compiled layers, and the duration of the first and of the second run."""
    cases = lines(TESTS / "golden" / "cases.jsonl")[::9]
    policies = [build_policy("fixed", length=len(case["canvas_ids"]), tokens_per_step=4) for case in cases]
    answers, row = [], Found(cases=len(cases))
    for how in (False, True):
        model = load_model("embedded:llada-tiny", device=str(check.device), dtype="float32", compiled=how)
        start = time.perf_counter()
        answers.append([g.canvas_ids for g in generate(Engine(model, 2000), cases, policies)])
        if how:
            row["first_seconds"] = round(time.perf_counter() - start, 1)
            start = time.perf_counter()
            generate(Engine(model, 2000), cases, policies)
            row["second_seconds"] = round(time.perf_counter() - start, 1)
    row["equal"] = sum(a == b for a, b in zip(*answers, strict=True))
    return row


# tests


def tests(check: Check, found: Found) -> None:
    """The tests that need a GPU, by pytest where it is installed."""
    if find_spec("pytest") is None:
        found["skipped"] = "pytest is not installed"
        return
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        str(TESTS / "engine" / "test_gpu.py"),
    ]
    output, code = output_of(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    found |= {
        "passed": len(re.findall(r"^PASSED ", output, re.MULTILINE)),
        "not passed": re.findall(r"^(?:FAILED|ERROR) .*", output, re.MULTILINE),
        "summary": output.strip().rpartition("\n")[2],
    }
    if code:
        found |= {"error": f"pytest ended with {code}", "output": output[-6000:]}
    check.say(f"tests: {found['summary']}")


def output_of(process: "subprocess.Popen[str]") -> tuple[str, int]:
    """A process's output and exit code; it is ended if this is interrupted."""
    try:
        output, _ = process.communicate()
    finally:
        process.kill()
    return output, process.wait()


# study


def study(check: Check, found: Found) -> None:
    """The mini study on the device and on the CPU, run by the command line."""
    limit = check.scaled(6, 1)
    name = "study_mini" if check.on_gpu else "mini_gsm8k_smartcrop"
    found |= {"config": name, "limit": limit}
    with tempfile.TemporaryDirectory() as folder:
        devices = ("cpu", "cuda") if check.on_gpu else ("cpu", "auto")
        folders = {hardware: Path(folder) / hardware for hardware in devices}
        start = time.perf_counter()
        # Both at the same time, to save minutes: the seconds of each include the load of the other.
        running = {hardware: study_process(name, limit, hardware, where) for hardware, where in folders.items()}
        try:
            for hardware, process in reversed(running.items()):
                output, code = output_of(process)
                found[hardware] = {"seconds": round(time.perf_counter() - start, 1), "exit": code}
                if code:
                    found[hardware]["error"] = output[-2000:]
                check.say(f"{name} on {hardware}: {found[hardware]}")
        finally:
            for process in running.values():
                process.kill()
                process.wait()
        first, second = (
            {path.parent.name: path for path in where.rglob("samples.jsonl")} for where in folders.values()
        )
        samples = equal = 0
        scores: dict[str, list[float]] = {}
        for run in sorted(set(first) & set(second)):
            one, other = (read(files[run]) for files in (first, second))
            shared = one.keys() & other.keys()
            samples += len(shared)
            equal += sum(one[i]["canvas_ids"] == other[i]["canvas_ids"] for i in shared)
            scores[run] = [round(summary.fmean(r["score"] or 0.0 for r in rows.values()), 3) for rows in (one, other)]
        found |= {"samples": samples, "equal_samples": equal, "runs": len(scores)}
        found["runs_with_equal_score"] = sum(a == b for a, b in scores.values())
        found["different_scores"] = {run: pair for run, pair in scores.items() if pair[0] != pair[1]}
        check.say(
            f"study: {equal} of {samples} samples equal, {found['runs_with_equal_score']} of {len(scores)} scores"
        )


def study_process(name: str, limit: int, hardware: str, output: Path) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-c", "from dlm_length.cli.main import run; run()", "run", "--config", name,
        "--limit", str(limit), f"hardware={hardware}", "hardware.dtype=float32", f"output.directory={output}",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read(file: Path) -> dict[str, Found]:
    return {row["id"]: row for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}


PARTS: dict[str, tuple[Callable[[Check, Found], None], float]] = {
    "exact": (exact, 45),
    "families": (families, 45),
    "caches": (caches, 60),
    "sampling": (sampling, 30),
    "options": (options, 60),
    "memory": (memory, 45),
    "invariant": (invariant, 60),
    "tests": (tests, 90),
    "forward": (forward, 50),
    "engine": (engine, 180),
    "study": (study, 120),
}
"""The parts, and the seconds that each may take on a GPU."""
SECONDS = 355
"""For all parts on a GPU. The last are those that were measured before."""


def main() -> None:
    check, names, seconds = arguments()
    signal.signal(signal.SIGTERM, interrupted)
    machine = describe_machine(check.device)
    check.found |= {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git_commit(),
        "device": machine.name,
        "memory_gib": round(machine.memory / 2**30, 1),
        "cpu": platform.processor() or platform.machine(),
        "threads": machine.threads,
        **library_versions(),
    }
    if check.on_gpu:
        check.found["driver"] = driver()
        probe = load_model("embedded:llada-tiny", device=str(check.device), dtype=check.half_name)
        check.found["attention"] = attention_name(probe, best_attention(probe))
        check.found["kernels"] = "torch" if triton_kernels(probe.device) is None else "triton"
    print(json.dumps(check.found, indent=1), flush=True)
    ended = run_parts(check, names, seconds)
    print(f"\n{machine.name}, torch {torch.__version__}")
    for line in table(check.found):
        print(line)
    if ended or any("error" in check.found.get(part, {}) for part in PARTS):
        sys.exit(1)


def arguments() -> tuple[Check, list[str], float | None]:
    """The device with its results, the parts' names, and the seconds for all of them; None: without limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--part", default=",".join(PARTS), help="parts, separated by commas (default: %(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="JSON file to write all results to")
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"stop after so many; 0: no limit, of any part (default: {SECONDS} on a GPU, no limit on a CPU)",
    )
    options = parser.parse_args()
    names = options.part.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"--part: found {', '.join(unknown)}; there are {', '.join(PARTS)}")
    check = Check(torch.device(options.device), options.out)
    seconds = options.seconds if options.seconds is not None else SECONDS if check.on_gpu else 0
    return check, names, seconds or None


def interrupted(_number: int, _frame: object) -> None:
    """End as by Ctrl-C."""
    raise KeyboardInterrupt


def run_parts(check: Check, names: Sequence[str], seconds: float | None) -> bool:
    """Run the parts in order; returns whether the call was ended before the last was over."""
    end = None if seconds is None else time.perf_counter() + seconds
    for name in names:
        part, most = PARTS[name]
        result = check.found[name] = {}
        check.say(f"== {name}")
        start = time.perf_counter()
        try:
            with limited(None if end is None else min(most, end - start)):
                part(check, result)
        except KeyboardInterrupt:
            result["error"] = "ended from outside"
            return True
        except Exception as error:  # noqa: BLE001 - the other parts are run nevertheless
            result["error"] = f"{type(error).__name__}: {error}"
            result["traceback"] = traceback.format_exc()
            print(result["traceback"], flush=True)
        finally:
            result["part_seconds"] = round(time.perf_counter() - start, 1)
            check.save()
            if check.on_gpu:
                torch.cuda.empty_cache()
    return False


def driver() -> str | None:
    """Version of the NVIDIA driver; None if nvidia-smi fails."""
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def table(found: Found) -> list[str]:
    """The results, a line each, without profile and tracebacks."""
    lines = []
    for part in PARTS:
        result = found.get(part)
        if result is None:
            continue
        lines.append(f"{part} ({result['part_seconds']} s)")
        if "error" in result:
            lines.append(f"  FAILED: {result['error']}")
        shown = {name: value for name, value in result.items() if name not in _UNSHOWN}
        lines += [f"  {name}: {brief(value)}" for name, value in shown.items()]
    return lines


_UNSHOWN = ("profile", "part_seconds", "error", "traceback", "output")


def brief(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {brief(entry)}" for name, entry in value.items() if name != "different_scores")
    return str(value)[:200]


if __name__ == "__main__":
    main()
