"""Check on one GPU that the engine is exact, batch-invariant and fast: six minutes on an H100.

    python scripts/gpu_check.py                              # every part
    python scripts/gpu_check.py --part exact,forward --out check.json

Needs the package and its dependencies, and no checkpoint: a LLaDA with 8 B random weights is created on the device.
Without a GPU every part runs at a small size on the CPU, which tests the script alone.

    exact      golden cases of the reference implementations in float32 and half precision
    invariant  64 mixed prompts with several budgets and orders: the samples with equal tokens
    forward    FLOP/s at LLaDA-8B's shape, relative to matrix products alone, and a profile
    engine     speed relative to a straightforward padded sampler with the same weights, batch 1 and 8
    memory     estimate and measured peak; recovery from an induced lack of memory
    study      study_mini on the device and on the CPU: equal tokens, scores, time
"""

import argparse
import json
import platform
import random
import statistics as summary
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from padded_samplers import PaddedDaedal, PaddedFixed, PaddedModel
from random_llada import LLADA_8B, SMALL, random_llada
from torch import Tensor
from torch.nn import functional

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.denoising import Canvas, Decoder, DenoiseCoroutine, Denoiser, Query, Stat, StatSpec
from dlm_length.engine import Generation, Step
from dlm_length.engine.attention import ATTENTIONS, attention_name, best_attention
from dlm_length.engine.budget import activation_bytes, automatic_budget
from dlm_length.engine.machine import describe_machine, library_versions
from dlm_length.models import Architecture
from dlm_length.models.backbone import Attend
from dlm_length.models.fixed_rows import fixed_rows_linear
from dlm_length.models.fused import FusedBackbone
from dlm_length.policies.daedal import Daedal

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "cases.jsonl"
POLICY_OF = {"llada_fixed": "fixed", "fast_dllm_threshold": "fixed"}
SAMPLE_LENGTH = 356
"""Prompt and canvas of a GSM8K sample: 100 and 256 tokens."""
TOKENS_PER_STEP = 8
"""For both samplers in the comparison: a forward costs the same however many tokens it commits, and with fewer forwards
the check takes minutes."""

Found = dict[str, Any]


@dataclass
class Check:
    """What the parts share: the device, sizes that suit it, and the large model."""

    device: torch.device
    _large: MaskPredictor | None = None

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def half(self) -> torch.dtype:
        """The half-precision dtype that the device supports."""
        if self.on_gpu and torch.cuda.get_device_capability(self.device) < (8, 0):
            return torch.float16
        return torch.bfloat16

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the large model: half precision is slow on a CPU."""
        return self.half if self.on_gpu else torch.float32

    @property
    def shape(self) -> Architecture:
        return LLADA_8B if self.on_gpu else SMALL

    def scaled(self, on_gpu: int, on_cpu: int) -> int:
        return on_gpu if self.on_gpu else on_cpu

    def large(self) -> MaskPredictor:
        """The model of LLaDA-8B's shape, created once."""
        if self._large is None:
            say(f"creating {self.shape.parameters / 1e9:.2f} B random weights")
            self._large = random_llada(self.shape, self.device, self.dtype)
        return self._large

    def invariant(self, model: MaskPredictor) -> MaskPredictor:
        """The model in batch-invariant mode, with the same weights."""
        fused = (model.fused or FusedBackbone(model.backbone)).with_linear(fixed_rows_linear)
        return replace(model, fused=fused, linear=fixed_rows_linear)

    def wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, run: Callable[[], object], *, rounds: int = 5) -> float:
        """Median duration of `run`, after one call that is not timed."""
        run()
        taken = []
        for _ in range(rounds):
            self.wait()
            start = time.perf_counter()
            run()
            self.wait()
            taken.append(time.perf_counter() - start)
        return summary.median(taken)


def say(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", flush=True)


# exact


def exact(check: Check) -> Found:
    """Golden cases of the reference implementations, all in one batch."""
    cases = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    cases = cases if check.on_gpu else cases[::19]
    found: Found = {"cases": len(cases)}
    half = str(check.half).removeprefix("torch.")
    dtypes = {"float32": {}, "float32, not fused": {"fused": False}, half: {}, f"{half}, not fused": {"fused": False}}
    answers: dict[str, list[list[int]]] = {}
    for name, options in dtypes.items():
        model = load_model("embedded:llada-tiny", device=str(check.device), dtype=name.partition(",")[0], **options)
        done = generate(Engine(model), cases)
        same = [g.canvas_ids == case["canvas_ids"] for g, case in zip(done, cases, strict=True)]
        counted = [
            g.ledger.total.nfe == case["nfe"] and g.trajectory == case["lengths"]
            for g, case in zip(done, cases, strict=True)
        ]
        share = [agreement(g.canvas_ids, case["canvas_ids"]) for g, case in zip(done, cases, strict=True)]
        found[name] = {
            "equal_canvas": sum(same),
            "equal_forwards": sum(counted),
            "equal_tokens": round(summary.fmean(share), 4),
            "different": [case["id"] for case, equal in zip(cases, same, strict=True) if not equal][:10],
        }
        answers[name] = [g.canvas_ids for g in done]
        say(f"{name}: {sum(same)} of {len(cases)} canvases equal, forwards of {sum(counted)}")
    pairs = list(zip(answers[half], answers[f"{half}, not fused"], strict=True))
    found[f"{half}, fused against not"] = {
        "equal_canvas": sum(one == other for one, other in pairs),
        "equal_tokens": round(summary.fmean(agreement(*pair) for pair in pairs), 4),
    }
    return found


def generate(engine: Engine, cases: Sequence[Found]) -> list[Generation]:
    policies = [build_policy(POLICY_OF.get(case["method"], case["method"]), **case["params"]) for case in cases]
    done = engine.generate([case["prompt_ids"] for case in cases], policies, sample_ids=[case["id"] for case in cases])
    return sorted(done, key=lambda g: g.index)


def agreement(one: Sequence[int], other: Sequence[int]) -> float:
    """Share of positions with equal tokens, relative to the longer of two canvases."""
    equal = sum(a == b for a, b in zip(one, other, strict=False))
    return equal / max(len(one), len(other), 1)


# invariant


def invariant(check: Check) -> Found:
    """Mixed prompts with budgets of one sample, of three and of all, and in shuffled order."""
    count = check.scaled(64, 4)
    prompts, policies = mixed(count)
    ids = [str(index) for index in range(count)]
    longest = max(map(len, prompts)) + 128
    found: Found = {"samples": count}
    for dtype in ("float32", str(check.half).removeprefix("torch.")):
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
            say(f"{name}: {equal} of {count} samples equal under every budget and order")
    found["logits"] = {mode: equal_logits(check, model) for mode, model in modes(check).items()}
    say(f"logits of {check.shape.parameters / 1e9:.1f} B equal alone and together: {found['logits']}")
    return found


def modes(check: Check) -> dict[str, MaskPredictor]:
    return {"default": check.large(), "batch_invariant": check.invariant(check.large())}


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


def forward(check: Check) -> Found:
    """FLOP/s of the backbone, absolute and relative to its matrix products alone."""
    model, found = check.large(), {}
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
        say(f"{tokens} tokens: {row}")
    found["head"] = head_cost(check)
    found["profile"] = profile(check, model, check.scaled(16_384, 256))
    return found


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
    say(f"head: {found}")
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


def engine(check: Check) -> Found:
    """Wall-clock of the engine and of the padded sampler, one after the other, with the same weights."""
    model = check.large()
    canvas, budget = check.scaled(256, 32), check.scaled(16_384, 512)
    found: Found = {"budget": budget, "tokens_per_step": TOKENS_PER_STEP}
    rng = np.random.default_rng(0)
    count = check.scaled(96, 8)
    prompts = [rng.integers(2, check.shape.vocabulary, n).tolist() for n in rng.integers(70, 160, count)]
    crops = np.exp(rng.uniform(np.log(canvas / 16), np.log(canvas), count)).round().astype(int).tolist()

    some = prompts[: check.scaled(46, 8)]
    full = PresetCrops(canvas=canvas, crops={}, probe=False, tokens_per_step=TOKENS_PER_STEP)
    for batch in (8, 1):
        few = some[: check.scaled(24, 8)] if batch > 1 else some[: check.scaled(4, 2)]
        padded = PaddedFixed(
            model, canvas, [canvas] * len(few), probe=False, tokens_per_step=TOKENS_PER_STEP, batch=batch
        )
        found[f"fixed, batch {batch}"] = race(check, model, budget, some, full, padded.generate, few)

    cropped = PresetCrops(
        canvas=canvas, crops={str(i): crop for i, crop in enumerate(crops)}, probe=True, tokens_per_step=TOKENS_PER_STEP
    )
    padded = PaddedFixed(model, canvas, crops, probe=True, tokens_per_step=TOKENS_PER_STEP)
    found["smartcrop, batch 8"] = race(check, model, budget, prompts, cropped, padded.generate, prompts)
    found["daedal, batch 8"] = daedal_race(check, model, budget, prompts, crops)
    found["llada-mini"] = {f"turns {turns}": mini(check, turns) for turns in (1, 2)}
    return found


def race(
    check: Check,
    model: MaskPredictor,
    budget: int,
    prompts: list[list[int]],
    policy: Denoiser,
    padded: Callable[[list[list[int]]], list[list[int]]],
    few: list[list[int]],
) -> Found:
    """Time the engine on `prompts` and the padded sampler on `few` of them; seconds, and the ratio per sample."""
    list(Engine(model, budget).generate(prompts[:2], policy))  # warm-up: compiles kernels
    steps: list[Step] = []
    check.wait()
    start = time.perf_counter()
    done = sorted(Engine(model, budget).generate(prompts, policy, on_step=steps.append), key=lambda g: g.index)
    seconds = time.perf_counter() - start
    check.wait()
    start = time.perf_counter()
    answers = padded(few)
    check.wait()
    other = time.perf_counter() - start
    outside = 1 - sum(step.seconds for step in steps) / seconds
    row = {
        "samples": len(prompts),
        "seconds": round(seconds, 2),
        "tokens_per_second": round(sum(g.n_token for g in done) / seconds, 1),
        "padded_samples": len(few),
        "padded_seconds": round(other, 2),
        "ratio": round((other / len(few)) / (seconds / len(prompts)), 2),
        "outside_forward": round(outside, 4),
        "equal_samples": sum(g.canvas_ids == a for g, a in zip(done, answers, strict=False)),
        "tflops": round(sum(g.ledger.total.flops_executed for g in done) / seconds / 1e12, 1),
        "insertions": sum(change.kind == "insert" for g in done for change in g.changes),
        "forwards": len(steps),
    }
    say(str(row))
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
    prompts = prompts[: check.scaled(32, 8)]  # the same for both, as their lengths differ
    return race(check, planted_model, budget, prompts, policy, padded.generate, prompts)


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
    say(f"llada-mini, {turns} turns: {row}")
    return row


# memory


def memory(check: Check) -> Found:
    """Peak memory of a forward with its head over every row, and the estimate that the automatic budget uses."""
    model, found = check.large(), {}
    budgets = (4096, 16_384, 32_768) if check.on_gpu else (128, 256)
    for tokens in budgets:
        engine = Engine(model, tokens)
        length = SAMPLE_LENGTH if check.on_gpu else 64
        count = tokens // length
        prompts = [[2 + i % 50 for i in range(8)] for _ in range(count)]
        if check.on_gpu:
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
        row = {"estimate_mib": round(estimate / 2**20), "weights_mib": round(before / 2**20)}
        if check.on_gpu:
            peak = torch.cuda.max_memory_allocated()
            row |= {
                "peak_beside_weights_mib": round((peak - before) / 2**20),
                "estimate_of_peak": round((before + estimate) / peak, 3),
                "estimate_beside_weights_of_peak": round(estimate / (peak - before), 3),
            }
        found[str(tokens)] = row
        say(f"memory at {tokens} tokens: {row}")
    found["recovery"] = recovery(check, model)
    return found


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


def recovery(check: Check, model: MaskPredictor) -> Found:
    """A budget that does not fit into memory: it must be halved, and every sample must finish."""
    budget = check.scaled(32_768, 512)
    prompts = [[2 + i % 50 for i in range(100)] for _ in range(check.scaled(160, 8))]
    policy = PresetCrops(canvas=check.scaled(128, 16), crops={}, probe=False, tokens_per_step=64)
    plain = {g.index: g.canvas_ids for g in Engine(model, budget // 4).generate(prompts, policy)}
    engine = Engine(model, budget)
    if check.on_gpu:
        torch.cuda.empty_cache()
        room = activation_bytes(
            model.architecture, budget // 2, model.dtype.itemsize, device="cuda", fused=model.fused is not None
        )
        share = (torch.cuda.memory_allocated() + room) / torch.cuda.get_device_properties(check.device).total_memory
        torch.cuda.set_per_process_memory_fraction(share)
    else:
        engine.model = LimitedModel(**vars(model))
    try:
        done = list(engine.generate(prompts, policy))
    finally:
        if check.on_gpu:
            torch.cuda.set_per_process_memory_fraction(1.0)
    row = {
        "samples": len(prompts),
        "finished": sum(g.error is None for g in done),
        "equal_samples": sum(g.canvas_ids == plain[g.index] for g in done),
        "notes": engine.notes,
    }
    say(f"induced lack of memory: {row}")
    return row


# study


def study(check: Check) -> Found:
    """The mini study on the device and on the CPU, run by the command line."""
    limit = check.scaled(20, 1)
    name = "study_mini" if check.on_gpu else "mini_gsm8k_smartcrop"
    with tempfile.TemporaryDirectory() as folder:
        found: Found = {"config": name, "limit": limit}
        devices = ("cpu", "cuda") if check.on_gpu else ("cpu", "auto")
        folders = {hardware: Path(folder) / hardware for hardware in devices}
        start = time.perf_counter()
        # Both at the same time, to save minutes: the seconds of each include the load of the other.
        running = {hardware: study_process(name, limit, hardware, where) for hardware, where in folders.items()}
        for hardware, process in reversed(running.items()):
            output, _ = process.communicate()
            found[hardware] = {"seconds": round(time.perf_counter() - start, 1), "exit": process.returncode}
            if process.returncode:
                found[hardware]["error"] = output[-2000:]
            say(f"{name} on {hardware}: {found[hardware]}")
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
        say(f"study: {equal} of {samples} samples equal, {found['runs_with_equal_score']} of {len(scores)} scores")
    return found


def study_process(name: str, limit: int, hardware: str, output: Path) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-c", "from dlm_length.cli.main import run; run()", "run", "--config", name,
        "--limit", str(limit), f"hardware={hardware}", "hardware.dtype=float32", f"output.directory={output}",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read(file: Path) -> dict[str, Found]:
    return {row["id"]: row for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}


PARTS: dict[str, Callable[[Check], Found]] = {
    "exact": exact,
    "invariant": invariant,
    "forward": forward,
    "engine": engine,
    "memory": memory,
    "study": study,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--part", default=",".join(PARTS), help="parts, separated by commas (default: %(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="JSON file to write all results to")
    options = parser.parse_args()
    unknown = [name for name in options.part.split(",") if name not in PARTS]
    if unknown:
        parser.error(f"--part: found {', '.join(unknown)}; there are {', '.join(PARTS)}")
    torch.backends.cuda.matmul.allow_tf32 = False
    check = Check(torch.device(options.device))
    machine = describe_machine(check.device)
    found: Found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": machine.name,
        "memory_gib": round(machine.memory / 2**30, 1),
        "cpu": platform.processor() or platform.machine(),
        "threads": machine.threads,
        **library_versions(),
    }
    if check.on_gpu:
        found["driver"] = driver()
        probe = load_model(
            "embedded:llada-tiny", device=str(check.device), dtype=str(check.half).removeprefix("torch.")
        )
        found["attention"] = attention_name(probe, best_attention(probe))
    print(json.dumps(found, indent=1), flush=True)
    for name in options.part.split(","):
        say(f"== {name}")
        start = time.perf_counter()
        try:
            result = PARTS[name](check)
        except Exception as error:  # noqa: BLE001 - the other parts are run nevertheless
            import traceback

            result = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
            print(result["traceback"], flush=True)
        result["part_seconds"] = round(time.perf_counter() - start, 1)
        found[name] = result
        if options.out:
            options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\n{machine.name}, torch {torch.__version__}")
    for line in table(found):
        print(line)
    if any("error" in found.get(part, {}) for part in PARTS):
        sys.exit(1)


def driver() -> str | None:
    """Version of the NVIDIA driver; None if nvidia-smi fails."""
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def table(found: Found) -> list[str]:
    """The results, a line each, without the profile."""
    lines = []
    for part in PARTS:
        result = found.get(part)
        if result is None:
            continue
        lines.append(f"{part} ({result['part_seconds']} s)")
        if "error" in result:
            lines.append(f"  FAILED: {result['error']}")
            continue
        lines += [
            f"  {name}: {brief(value)}" for name, value in result.items() if name not in ("profile", "part_seconds")
        ]
    return lines


def brief(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {brief(entry)}" for name, entry in value.items() if name != "different_scores")
    return str(value)[:200]


if __name__ == "__main__":
    main()
