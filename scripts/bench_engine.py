"""Time the engine and straightforward batched samplers on the same weights and prompts.

The straightforward samplers (padded_samplers.py) work as the reference implementations: prompts padded on the left to a
common length, logits and a full softmax at every position of every sample, and a batch that ends with its slowest
sample. They use a padding mask, so that their tokens should equal the engine's, and are compared with them.

    python scripts/bench_engine.py                      # every case
    python scripts/bench_engine.py --case fixed         # one of them
    python scripts/bench_engine.py --case cache         # the engine with and without key-value caches

A case prints the ratio of the wall-clocks (median over interleaved repetitions), the share of the engine's time outside
the forward, and the FLOP/s of its forward, absolute and relative to matrix products alone.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from padded_samplers import BATCH, PaddedDaedal, PaddedFixed
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.benchmarks.mini_gsm8k import MiniGSM8K
from dlm_length.denoising import Canvas, Decoder, DenoiseCoroutine, Denoiser, Query, Stat, StatSpec
from dlm_length.engine import Generation, Step
from dlm_length.models import Architecture
from dlm_length.models.backbone import Attend
from dlm_length.policies.daedal import Daedal

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


class PresetCrops(Decoder):
    """SmartCrop's forwards with given crops, as random weights do not predict where an answer ends."""

    crops: dict[str, int]
    probe: bool

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(CANVAS)
        if self.probe:
            yield Query(canvas, canvas.all, StatSpec(Stat.EOS), probe=True)
            canvas.crop(self.crops[canvas.sample_id])
        yield from self.decode(canvas)


@dataclass(frozen=True)
class Case:
    """What to time, and the ratio that is expected on two cores."""

    shape: Shape
    crops: Literal["none", "uniform", "skewed"]
    """Crops of 8 to 64 tokens after a probe, uniform or log-uniform (skewed, as answers are); none: the full canvas."""
    prompts: int
    target: float
    max_batch_tokens: int = BATCH * (PROMPT_LENGTHS[1] + CANVAS)
    """As many tokens as the padded batch holds at most."""

    def trial(self) -> "Trial":
        rng = np.random.default_rng(0)
        lengths = rng.integers(PROMPT_LENGTHS[0], PROMPT_LENGTHS[1] + 1, self.prompts)
        prompts = [rng.integers(4, self.shape.vocabulary, length).tolist() for length in lengths]
        crops = self._draw(rng).tolist()
        with tempfile.TemporaryDirectory() as folder:
            model = random_model(self.shape, Path(folder))
        probe = self.crops != "none"
        policy = PresetCrops(crops={str(i): crop for i, crop in enumerate(crops)}, probe=probe)
        return Trial(model, prompts, policy, PaddedFixed(model, CANVAS, crops, probe=probe))

    def _draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        match self.crops:
            case "none":
                return np.full(self.prompts, CANVAS)
            case "uniform":
                return rng.integers(8, CANVAS + 1, self.prompts)
            case "skewed":
                return np.exp(rng.uniform(np.log(8), np.log(CANVAS), self.prompts)).round().astype(np.int64)


@dataclass(frozen=True)
class DaedalCase:
    """DAEDAL with mixed questions to llada-tiny, which was trained to predict the ends of its answers."""

    prompts: int
    target: float
    max_batch_tokens: int = 660
    """About as many tokens as 8 samples of this case have half way."""

    def trial(self) -> "Trial":
        model = load_model("embedded:llada-tiny", device="cpu", dtype="float32")
        texts = [model.tokenizer.chat_text([("user", question)]) for question in mixed_questions(self.prompts)]
        prompts = [model.tokenizer.encode(text, templated=True) for text in texts]
        # With these thresholds a small model both lengthens and inserts; with the paper's it hardly inserts.
        policy = Daedal(initial_length=16, max_length=160, tau_expand=0.95, tau_low=0.4)
        return Trial(model, prompts, policy, PaddedDaedal(model, policy))


def mixed_questions(count: int) -> list[str]:
    """Questions of the four kinds that the model was trained on, with answers of 10 to 120 tokens."""
    rng = np.random.default_rng(0)
    words = ["calm", "warm", "red", "cold", "green", "loud", "small", "blue", "dark", "round", "bright", "slow"]
    things = ["bee", "clock", "moon", "river", "whale", "volcano"]
    lengths = ["in one sentence", "in two sentences", "in three sentences", "in four sentences", "in detail"]
    changes = ["add", "subtract", "multiply by"]
    events = ["finds", "buys", "sells", "loses"]
    questions = []
    for _ in range(count):
        match rng.integers(4):
            case 0:
                questions.append(f"What is a {rng.choice(things)}? Explain {rng.choice(lengths)}.")
            case 1:
                steps = ", then ".join(
                    f"{rng.choice(changes)} {rng.integers(1, 10)}" for _ in range(rng.integers(1, 5))
                )
                questions.append(f"Write f{rng.integers(1, 100)}(x): take x, {steps}, and return it.")
            case 2:
                questions.append(
                    f"Repeat the word {rng.choice(words)} exactly {rng.integers(2, 31)} times, all lowercase."
                )
            case 3:
                story = " ".join(
                    f"Leo {rng.choice(events)} {rng.integers(1, 10)} pens." for _ in range(rng.integers(1, 6))
                )
                questions.append(f"Leo has {rng.integers(20, 40)} pens. {story} How many pens does Leo have now?")
    return questions


@dataclass(frozen=True)
class Trial:
    """Both samplers of a case, with the same weights and prompts."""

    model: MaskPredictor
    prompts: list[list[int]]
    policy: Denoiser
    padded: PaddedFixed | PaddedDaedal


CASES: dict[str, Case | DaedalCase] = {
    "head_heavy": Case(HEAD_HEAVY, crops="none", prompts=8, target=3.0),
    "fixed": Case(LLADA_LIKE, crops="none", prompts=8, target=1.4),
    "smartcrop": Case(LLADA_LIKE, crops="skewed", prompts=24, target=2.5),
    "smartcrop_uniform": Case(LLADA_LIKE, crops="uniform", prompts=24, target=1.8),
    "daedal": DaedalCase(prompts=64, target=2.5),
}


@dataclass(frozen=True)
class CacheCase:
    """The engine with and without a key-value cache: canvas 256 in blocks of 32, one run of each."""

    shape: Shape | None
    """None: llada-mini on the first problems of mini_gsm8k, with scores; else prompts of about 60 random tokens."""
    decoding: dict[str, float]
    targets: dict[str, float]
    """Expected ratio of the wall-clocks, by cache."""
    prompts: int
    max_batch_tokens: int = 2_048

    def ready(self) -> tuple[MaskPredictor, list[list[int]]]:
        if self.shape is None:
            model = load_model("embedded:llada-mini", device="cpu", dtype="float32")
            rendered = [self.benchmark.prompt(problem) for problem in self.benchmark.problems()]
            texts = [model.tokenizer.chat_text(prompt.messages, prompt.prefill) for prompt in rendered]
            return model, [model.tokenizer.encode(text, templated=True) for text in texts]
        rng = np.random.default_rng(0)
        prompts = [rng.integers(4, self.shape.vocabulary, rng.integers(55, 66)).tolist() for _ in range(self.prompts)]
        with tempfile.TemporaryDirectory() as folder:
            return random_model(self.shape, Path(folder)), prompts

    @property
    def benchmark(self) -> MiniGSM8K:
        return MiniGSM8K(limit=self.prompts)

    def score(self, done: list[Generation]) -> str:
        """The answers' mean score as text; `no score` for random weights. `done`: in the order of the problems."""
        if self.shape is not None:
            return "no score"
        scores = [self.benchmark.score(p, g.text()).value for p, g in zip(self.benchmark.problems(), done, strict=True)]
        return f"score {statistics.mean(score or 0.0 for score in scores):.3f}"

    def run(self, name: str, max_batch_tokens: int | None) -> None:
        model, prompts = self.ready()
        budget = max_batch_tokens or self.max_batch_tokens
        found: dict[str, tuple[Timing, list[Generation]]] = {}
        for cache in (*self.targets, "none"):
            policy = build_policy("fixed", length=256, block_length=32, cache=cache, **self.decoding)
            found[cache] = timing, done = time_engine(model, budget, prompts, policy)
            nfe = sum(g.ledger.total.nfe for g in done) / len(done)
            outside = 1 - timing.forward_seconds / timing.seconds
            print(
                f"{name}, cache {cache}: {timing.seconds:.1f} s, {nfe:.1f} forwards per sample,"
                f" {timing.flops / 1e12:.2f} TFLOPs, {timing.flops / timing.model_seconds / 1e9:.0f} GFLOP/s in"
                f" backbone and head, {outside:.1%} outside the forward; {self.score(done)}",
                flush=True,
            )
        plain, answers = found["none"]
        for cache, target in self.targets.items():
            timing, done = found[cache]
            equal = sum(
                np.equal(g.canvas_ids, answer.canvas_ids).sum() for g, answer in zip(done, answers, strict=True)
            )
            print(
                f"{name}, cache {cache}: {plain.seconds / timing.seconds:.2f}x (expected {target}x or more; by FLOPs"
                f" {plain.flops / timing.flops:.2f}x); {equal / sum(g.n_token for g in done):.1%} of the tokens"
                f" equal; {self.score(done)}, without cache {self.score(answers)}",
                flush=True,
            )


CACHE_CASES = {
    # More prompts than one budget holds: partial forwards of four samples, 128 rows, do not keep two cores busy.
    "cache": CacheCase(LLADA_LIKE, {}, {"dual": 5.0, "prefix": 1.7}, prompts=8),
    "cache_threshold": CacheCase(None, {"threshold": 0.9}, {"dual": 1.3}, prompts=16),
}


def random_model(shape: Shape, folder: Path) -> MaskPredictor:
    """Write a LLaDA checkpoint with random weights to `folder` and load it."""
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


@dataclass(frozen=True)
class TimedModel(MaskPredictor):
    """A model that records the seconds of every call of its backbone and head."""

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
    tokens_per_forward: float
    rows_per_forward: float
    flops: int
    forwards: int


def time_engine(
    model: MaskPredictor, max_batch_tokens: int, prompts: list[list[int]], policy: Denoiser
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
        tokens_per_forward=sum(g.ledger.total.length_sum for g in done) / len(steps),
        rows_per_forward=rows / len(steps),
        flops=sum(g.ledger.total.flops_executed for g in done),
        forwards=len(steps),
    )
    return timing, sorted(done, key=lambda g: g.index)


def matrix_rate(sizes: Architecture, tokens: int, rows: int) -> float:
    """FLOP/s of a forward's matrix products alone, on separate buffers; median of several rounds."""
    d, f, v = sizes.width, sizes.mlp_width, sizes.vocabulary
    x, y, h = torch.randn(tokens, d), torch.randn(tokens, f), torch.randn(rows, d)
    square, up, down, head = torch.randn(d, d), torch.randn(f, d), torch.randn(d, f), torch.randn(v, d)
    rounds = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(sizes.layers):
            for _ in range(4):
                functional.linear(x, square)
            functional.linear(x, up)
            functional.linear(x, up)
            functional.linear(y, down)
        functional.linear(h, head)
        rounds.append(time.perf_counter() - start)
    flops = sizes.layers * (8 * tokens * d * d + 6 * tokens * d * f) + 2 * rows * d * v
    return flops / statistics.median(rounds)


def run_case(name: str, case: Case | DaedalCase, repetitions: int, max_batch_tokens: int | None) -> None:
    trial = case.trial()
    budget = max_batch_tokens or case.max_batch_tokens
    inserted = 0
    ratios: list[float] = []
    timings: list[Timing] = []
    bare: list[float] = []
    same = 0
    sizes = trial.model.architecture
    for _ in range(repetitions):
        timing, done = time_engine(trial.model, budget, trial.prompts, trial.policy)
        trial.padded.model.forwarded = 0
        start = time.perf_counter()
        answers = trial.padded.generate(trial.prompts)
        ratios.append((time.perf_counter() - start) / timing.seconds)
        timings.append(timing)
        inserted = sum(any(change.kind == "insert" for change in g.changes) for g in done)
        same = sum(g.canvas_ids == answer for g, answer in zip(done, answers, strict=True))
        bare.append(matrix_rate(sizes, round(timing.tokens_per_forward), round(timing.rows_per_forward)))
    middle = sorted(timings, key=lambda t: t.seconds)[len(timings) // 2]
    rates = [timing.flops / timing.model_seconds for timing in timings]
    of_bare = statistics.median(rate / alone for rate, alone in zip(rates, bare, strict=True))
    statistics_share = (middle.forward_seconds - middle.model_seconds) / middle.seconds
    tokens = middle.tokens_per_forward * middle.forwards
    print(
        f"{name}: {statistics.median(ratios):.2f}x the straightforward sampler (expected {case.target}x or more;"
        f" {min(ratios):.2f} to {max(ratios):.2f} in {repetitions} repetitions)\n"
        f"  the padded batches forward {trial.padded.model.forwarded / tokens:.2f} times the tokens\n"
        f"  same tokens: {same} of {len(trial.prompts)} samples; {inserted} had masks inserted; forwards of at most"
        f" {budget} tokens\n"
        f"  outside the forward: {1 - middle.forward_seconds / middle.seconds:.1%} of {middle.seconds:.2f} s;"
        f" in it, the statistics of the head's logits: {statistics_share:.1%}\n"
        f"  head rows: {middle.rows_per_forward / middle.tokens_per_forward:.0%} of the tokens forwarded\n"
        f"  backbone and head: {statistics.median(rates) / 1e9:.0f} GFLOP/s, {of_bare:.0%} of matrix products alone"
        f" ({statistics.median(bare) / 1e9:.0f} GFLOP/s at {middle.tokens_per_forward:.0f} tokens and"
        f" {middle.rows_per_forward:.0f} head rows per forward)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", choices=sorted([*CASES, *CACHE_CASES]), action="append", help="default: all")
    parser.add_argument("--repetitions", type=int, default=5, help="of both samplers in turn (default: %(default)s)")
    parser.add_argument(
        "--max-batch-tokens",
        type=int,
        help="of the engine's forwards (default: what about 8 samples of the case hold)",
    )
    parser.add_argument("--threads", type=int, help="default: torch's choice; 1 where other programs use the cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"{torch.get_num_threads()} threads")
    for name in options.case or (*CASES, *CACHE_CASES):
        if name in CACHE_CASES:
            CACHE_CASES[name].run(name, options.max_batch_tokens)
        else:
            run_case(name, CASES[name], options.repetitions, options.max_batch_tokens)


if __name__ == "__main__":
    main()
