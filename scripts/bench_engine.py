"""Time the engine against a straightforward batched sampler: same weights, same prompts, one run.

The straightforward sampler does what the released ones do: prompts padded on the left to a common length, logits and
a full softmax at every position of every sample, and a batch that ends with its slowest sample. It is given the padding
mask, so that both compute the same thing, and its tokens are compared with the engine's.

    python scripts/bench_engine.py                      # every case
    python scripts/bench_engine.py --case fixed         # one of them

A case prints the ratio of the two wall-clocks (median over interleaved repetitions), the share of the engine's time
outside the forward, and its forward's rate of FLOPs beside that of bare matrix products of the same shapes.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel

from dlm_length import Engine, MaskPredictor, load_model
from dlm_length.denoising import Canvas, Decoder, Denoising, Head, Query, Want
from dlm_length.engine import Generation, Step
from dlm_length.models.backbone import Attend

BATCH = 8
CANVAS = 64
PROMPT_LENGTHS = (60, 200)


@dataclass(frozen=True)
class Shape:
    """A LLaDA-format model with random weights."""

    width: int
    layers: int
    heads: int
    mlp_width: int
    vocabulary: int


HEAD_HEAVY = Shape(width=256, layers=4, heads=8, mlp_width=672, vocabulary=32_000)
LLADA_LIKE = Shape(width=512, layers=6, heads=8, mlp_width=1536, vocabulary=2_560)
"""LLaDA-8B's proportions: the head is 6% of a full forward's FLOPs."""


class Dictated(Decoder):
    """SmartCrop's course with crops given beforehand: random weights do not know how long an answer is."""

    crops: dict[str, int]
    probe: bool

    def denoise(self, canvas: Canvas) -> Denoising:
        canvas.append_masks(CANVAS)
        if self.probe:
            yield Query(canvas, canvas.all, Head(Want.EOS), probe=True)
            canvas.crop(self.crops[canvas.sample_id])
        yield from self.decode(canvas)


@dataclass(frozen=True)
class Case:
    """What is timed, and what is expected of it on two cores."""

    shape: Shape
    crops: Literal["none", "uniform", "skewed"]
    """Crops of 8 to 64 tokens after a probe instead of the full canvas: all equally likely, or short ones more often
    than long ones (log-uniform), as answers are."""
    prompts: int
    target: float


CASES = {
    "head_heavy": Case(HEAD_HEAVY, crops="none", prompts=8, target=3.0),
    "fixed": Case(LLADA_LIKE, crops="none", prompts=8, target=1.4),
    "smartcrop": Case(LLADA_LIKE, crops="skewed", prompts=24, target=2.5),
    "smartcrop_uniform": Case(LLADA_LIKE, crops="uniform", prompts=24, target=1.8),
}


def random_model(shape: Shape, folder: Path) -> MaskPredictor:
    """Write a LLaDA checkpoint with random weights and load it as any other."""
    tiny = Path(str(files("dlm_length") / "models" / "embedded" / "llada-tiny"))
    config = json.loads((tiny / "config.json").read_text()) | {
        "d_model": shape.width,
        "n_layers": shape.layers,
        "n_heads": shape.heads,
        "n_kv_heads": shape.heads,
        "mlp_hidden_size": shape.mlp_width,
        "vocab_size": shape.vocabulary,
        "embedding_size": shape.vocabulary,
    }
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny / name, folder)
    generator = torch.Generator().manual_seed(0)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * 2.5 / columns**0.5

    weights = {
        "wte.weight": torch.randn(shape.vocabulary, shape.width, generator=generator),
        "ln_f.weight": torch.ones(shape.width),
        "ff_out.weight": matrix(shape.vocabulary, shape.width),
    }
    for layer in range(shape.layers):
        block = f"blocks.{layer}."
        for norm in ("attn_norm", "ff_norm"):
            weights[f"{block}{norm}.weight"] = torch.ones(shape.width)
        for square in ("q_proj", "k_proj", "v_proj", "attn_out"):
            weights[f"{block}{square}.weight"] = matrix(shape.width, shape.width)
        for up in ("ff_proj", "up_proj"):
            weights[f"{block}{up}.weight"] = matrix(shape.mlp_width, shape.width)
        weights[f"{block}ff_out.weight"] = matrix(shape.width, shape.mlp_width)
    save_file({f"model.transformer.{name}": weight for name, weight in weights.items()}, folder / "model.safetensors")
    return load_model(str(folder), device="cpu")


class Straightforward:
    """A padded batch sampler on transformers' plain backbone, greedy, one token a step, pure diffusion."""

    def __init__(self, model: MaskPredictor) -> None:
        config = LlamaConfig(**model.backbone.config.to_dict())
        config._attn_implementation = "sdpa"
        self.backbone = LlamaModel(config).eval()
        weights = {name: weight for name, weight in model.backbone.state_dict().items() if not name.startswith("head.")}
        self.backbone.load_state_dict(weights)
        self.model = model

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]], crops: Sequence[int], *, probe: bool) -> list[list[int]]:
        answers: list[list[int]] = []
        for start in range(0, len(prompts), BATCH):
            answers += self._batch(prompts[start : start + BATCH], crops[start : start + BATCH], probe=probe)
        return answers

    def _batch(self, prompts: Sequence[Sequence[int]], crops: Sequence[int], *, probe: bool) -> list[list[int]]:
        mask_id = self.model.tokens.mask
        if probe:
            ids, real = self._pad(prompts, [CANVAS] * len(prompts))
            self._logits(ids, real).softmax(-1)
        ids, real = self._pad(prompts, crops)
        while (masked := ids == mask_id).any():
            logits = self._logits(ids, real)
            prediction = logits.argmax(-1)
            confidence = logits.softmax(-1).gather(-1, prediction[..., None])[..., 0]
            best = torch.where(masked & real, confidence, -torch.inf).argmax(-1)
            for row, place in enumerate(best.tolist()):
                if masked[row, place]:
                    ids[row, place] = prediction[row, place]
        return [row[-crop:].tolist() for row, crop in zip(ids, crops, strict=True)]

    def _pad(self, prompts: Sequence[Sequence[int]], canvases: Sequence[int]) -> tuple[Tensor, Tensor]:
        longest = max(len(prompt) + canvas for prompt, canvas in zip(prompts, canvases, strict=True))
        ids = torch.full((len(prompts), longest), self.model.tokens.eos)
        real = torch.zeros_like(ids, dtype=torch.bool)
        for row, (prompt, canvas) in enumerate(zip(prompts, canvases, strict=True)):
            ids[row, longest - len(prompt) - canvas : longest - canvas] = torch.tensor(prompt)
            ids[row, longest - canvas :] = self.model.tokens.mask
            real[row, longest - len(prompt) - canvas :] = True
        return ids, real

    def _logits(self, ids: Tensor, real: Tensor) -> Tensor:
        positions = (real.cumsum(-1) - 1).clamp(min=0)
        mask = real[:, None, None, :].expand(-1, 1, ids.shape[1], -1)
        states = self.backbone(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False)
        return functional.linear(states.last_hidden_state, self.model.head_weight)


@dataclass(frozen=True)
class TimedModel(MaskPredictor):
    """Notes the seconds of every call of the backbone and the head."""

    seconds: list[float] = field(default_factory=list)

    def hidden(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        start = time.perf_counter()
        states = super().hidden(token_ids, positions, attend)
        self.seconds.append(time.perf_counter() - start)
        return states

    def logits(self, hidden: Tensor) -> Tensor:
        start = time.perf_counter()
        logits = super().logits(hidden)
        self.seconds.append(time.perf_counter() - start)
        return logits


@dataclass(frozen=True)
class Timing:
    """One repetition of the engine."""

    seconds: float
    forward_seconds: float
    """Backbone, head and the head's statistics."""
    model_seconds: float
    """Backbone and head alone."""
    tokens_a_forward: float
    rows_a_forward: float
    flops: int
    forwards: int


def time_engine(
    model: MaskPredictor, max_batch_tokens: int, prompts: list[list[int]], policy: Dictated
) -> tuple[Timing, list[Generation]]:
    steps: list[Step] = []
    timed = TimedModel(**vars(model))
    engine = Engine(timed, max_batch_tokens)
    start = time.perf_counter()
    done = list(engine.generate(prompts, policy, on_step=steps.append))
    seconds = time.perf_counter() - start
    rows = sum(g.ledger.total.head_rows for g in done)
    timing = Timing(
        seconds=seconds,
        forward_seconds=sum(step.seconds for step in steps),
        model_seconds=sum(timed.seconds),
        tokens_a_forward=sum(g.ledger.total.length_sum for g in done) / len(steps),
        rows_a_forward=rows / len(steps),
        flops=sum(g.ledger.total.flops_executed for g in done),
        forwards=len(steps),
    )
    return timing, sorted(done, key=lambda g: g.index)


def matrix_rate(shape: Shape, tokens: int, rows: int) -> float:
    """FLOPs a second of a forward's matrix products alone, each on its own buffers, median of several rounds."""
    d, f, v = shape.width, shape.mlp_width, shape.vocabulary
    x, y, h = torch.randn(tokens, d), torch.randn(tokens, f), torch.randn(rows, d)
    square, up, down, head = torch.randn(d, d), torch.randn(f, d), torch.randn(d, f), torch.randn(v, d)
    rounds = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(shape.layers):
            for _ in range(4):
                functional.linear(x, square)
            functional.linear(x, up)
            functional.linear(x, up)
            functional.linear(y, down)
        functional.linear(h, head)
        rounds.append(time.perf_counter() - start)
    flops = shape.layers * (8 * tokens * d * d + 6 * tokens * d * f) + 2 * rows * d * v
    return flops / statistics.median(rounds)


def draw_crops(case: Case, rng: np.random.Generator) -> NDArray[np.int64]:
    match case.crops:
        case "none":
            return np.full(case.prompts, CANVAS)
        case "uniform":
            return rng.integers(8, CANVAS + 1, case.prompts)
        case "skewed":
            return np.exp(rng.uniform(np.log(8), np.log(CANVAS), case.prompts)).round().astype(np.int64)


def tokens_ratio(lengths: NDArray[np.int64], crops: NDArray[np.int64], *, probe: bool) -> float:
    """Tokens that the padded batches forward, by those of the samples alone: the ratio at equal rates, head aside."""
    padded = alone = 0
    for start in range(0, len(lengths), BATCH):
        prompt, crop = lengths[start : start + BATCH], crops[start : start + BATCH]
        padded += BATCH * int((prompt + crop).max() * crop.max() + probe * (prompt.max() + CANVAS))
        alone += int(((prompt + crop) * crop + probe * (prompt + CANVAS)).sum())
    return padded / alone


def run_case(name: str, case: Case, repetitions: int, max_batch_tokens: int) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(PROMPT_LENGTHS[0], PROMPT_LENGTHS[1] + 1, case.prompts)
    prompts = [rng.integers(4, case.shape.vocabulary, length).tolist() for length in lengths]
    crops = draw_crops(case, rng)
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(case.shape, Path(folder))
    straightforward = Straightforward(model)
    policy = Dictated(crops={str(i): int(crop) for i, crop in enumerate(crops)}, probe=case.crops != "none")

    ratios: list[float] = []
    timings: list[Timing] = []
    bare: list[float] = []
    same = 0
    for _ in range(repetitions):
        timing, done = time_engine(model, max_batch_tokens, prompts, policy)
        start = time.perf_counter()
        answers = straightforward.generate(prompts, crops.tolist(), probe=policy.probe)
        ratios.append((time.perf_counter() - start) / timing.seconds)
        timings.append(timing)
        same = sum(g.canvas_ids == answer for g, answer in zip(done, answers, strict=True))
        bare.append(matrix_rate(case.shape, round(timing.tokens_a_forward), round(timing.rows_a_forward)))
    middle = sorted(timings, key=lambda t: t.seconds)[len(timings) // 2]
    rates = [timing.flops / timing.model_seconds for timing in timings]
    of_bare = statistics.median(rate / alone for rate, alone in zip(rates, bare, strict=True))
    statistics_share = (middle.forward_seconds - middle.model_seconds) / middle.seconds
    print(
        f"{name}: {statistics.median(ratios):.2f}x the straightforward sampler (expected {case.target}x or more;"
        f" {min(ratios):.2f} to {max(ratios):.2f} in {repetitions} repetitions)\n"
        f"  the padded batches forward {tokens_ratio(lengths, crops, probe=policy.probe):.2f} times the tokens\n"
        f"  same tokens: {same} of {case.prompts} samples\n"
        f"  outside the forward: {1 - middle.forward_seconds / middle.seconds:.1%} of {middle.seconds:.2f} s;"
        f" in it, the statistics of the head's logits: {statistics_share:.1%}\n"
        f"  backbone and head: {statistics.median(rates) / 1e9:.0f} GFLOP/s, {of_bare:.0%} of matrix products alone"
        f" ({statistics.median(bare) / 1e9:.0f} GFLOP/s at {middle.tokens_a_forward:.0f} tokens and"
        f" {middle.rows_a_forward:.0f} head rows a forward)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", choices=sorted(CASES), action="append", help="default: all")
    parser.add_argument("--repetitions", type=int, default=5, help="of both samplers in turn (default: %(default)s)")
    parser.add_argument(
        "--max-batch-tokens",
        type=int,
        default=BATCH * (PROMPT_LENGTHS[1] + CANVAS),
        help="of the engine's forwards (default: %(default)s, what the padded batch may hold)",
    )
    parser.add_argument("--threads", type=int, help="default: torch's choice; 1 where other programs use the cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"{torch.get_num_threads()} threads, forwards of at most {options.max_batch_tokens} tokens")
    for name in options.case or CASES:
        run_case(name, CASES[name], options.repetitions, options.max_batch_tokens)


if __name__ == "__main__":
    main()
