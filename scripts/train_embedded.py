"""Train the small language model of the mini benchmarks on samples from their generators.

    python scripts/train_embedded.py --out build/embedded            # resumes a training that is there
    python scripts/train_embedded.py --out build/try --steps 40      # a short try

LLaDA's masked diffusion (arXiv 2502.09992, section 2.3, supervised fine-tuning): the prompt is never masked; of the
response and the EOS tokens after it each is masked with probability t; the loss is the cross-entropy at the masked
positions. There are these differences. The loss is the plain mean, not weighted by 1/t: on canvases
that are mostly EOS the weights make the gradient so noisy that content is learnt several times more slowly. Digits have
a t of their own, and t = 1 is more frequent (see `masks`, `Plan.finish`). Later, many sequences are masked in a
sampler's order (see `masks_in_order`). Exercises are added to the items (`Plan.copying`, `Plan.sums`). There is no
pretraining; some heads are initialised so that they copy (`Network`).
"""

import argparse
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F  # noqa: N812  # as all of the field writes it
from mini_benchmarks import GENERATORS
from mini_benchmarks.item import Item, items
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, distributed, nn

SPECIAL = MASK, EOS, USER, ASSISTANT = ("<|mask|>", "<|endoftext|>", "<|user|>", "<|assistant|>")
MASK_ID, EOS_ID = 0, 1
LEAST_MASKED = 0.05
"""Smallest t: sequences with fewer masks contribute next to nothing."""
WHOLLY_MASKED, FINISH_WHOLLY_MASKED = 0.1, 0.5
"""Shares of sequences with t = 1, the input of a sampler's first forward and of SmartCrop's probe: before the finish
(`Plan.finish`), and in it for sequences without sums, as the model adds worse with so many wholly masked ones of
mini_gsm8k. In an exercise in sums only the results are masked even then."""


@dataclass(frozen=True)
class Plan:
    """The hyperparameters, in addition to the constants of this module.

    A training is never resumed with another plan, except for other `steps` before the learning rates fall.
    """

    steps: int = 10_000
    seed: int = 0
    width: int = 256
    layers: int = 4
    heads: int = 8
    mlp_width: int = 672
    vocabulary: int = 1024
    max_length: int = 1024
    parts: int = 2
    """Number of batches per step, which are shared among the workers."""
    tokens: int = 4096
    """Tokens of a part, with prompts and padding."""
    matrix_rate: float = 2e-3
    """Learning rate of the matrices inside the layers (Muon)."""
    matrix_decay: float = 0.3
    """Weight decay of these matrices. If they grow, the layers' outputs dominate the residual stream, and the
    information on which token is where, which copying needs, is lost."""
    rate: float = 5e-3
    """Learning rate of the embedding, which is tied to the head, and of the norms (AdamW)."""
    copying: float = 0.1
    """Share of the sequences that are exercises in copying, until the learning rates fall."""
    sums: float = 0.3
    """Share of the sequences that are exercises in sums. In a worked solution most results are repeated in the next
    line and can be copied from there, so that few of its masked tokens require adding: without such exercises the model
    learnt nothing of it in 4,000 steps."""
    bare_sums: int = 752
    """Number of first steps in which the exercises are sums without text, which are learnt fastest; afterwards they are
    in sentences, to which the model does not generalise from bare sums."""
    warmup: int = 100
    cooldown: float = 0.6
    """The last share of the steps before the finish, in which the learning rates fall to zero."""
    finish: float = 0.1
    """The last share of all steps, in which the learning rates fall to zero once more (from a sixth) and far more
    sequences are wholly masked. It teaches to predict the end of an answer from the prompt alone: without it 3% of the
    crops at tau 0.9 cut off a function that the model writes correctly on a long canvas."""
    ordered: float = 0.5
    """Share of the sequences that are not wholly masked which are masked in a sampler's order while the learning rates
    fall."""
    bf16: bool = True

    @property
    def before_finish(self) -> int:
        """Number of steps."""
        return self.steps - round(self.finish * self.steps)

    @property
    def before_cooling(self) -> int:
        """Number of steps before the learning rates fall."""
        return self.before_finish - int(self.cooldown * self.before_finish)


# Data


PADDING = "\ue000"
"""Precedes the digits of short numbers, so that all take three tokens; from Unicode's private use area."""
_PADDED = (
    (Regex(r"(?<![0-9])(?=[0-9](?![0-9]))"), 2 * PADDING),
    (Regex(rf"(?<![0-9{PADDING}])(?=[0-9]{{2}}(?![0-9]))"), PADDING),
)


def train_tokenizer(plan: Plan) -> Tokenizer:
    """Byte-level BPE with digits one by one, the first with the space before it, trained on the training split.

    Numbers below 100 are padded to three tokens. Otherwise a sampler commits to the number of digits of a result long
    before it knows them, and the distance between the units of a sum and of its result varies.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(where, what) for where, what in _PADDED])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f" ?[0-9{PADDING}]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Fuse(), decoders.Replace(PADDING, "")])
    trainer = trainers.BpeTrainer(
        vocab_size=plan.vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    streams = [items(generator, "train", f"tokenizer {plan.seed}") for generator in GENERATORS.values()]
    sample = (next(stream) for _ in range(4000) for stream in streams)
    hundreds = [" 100 200 300 400 500 600 700 800 900"] * 4000  # so that each takes three tokens, though rare
    tokenizer.train_from_iterator(chain((f"{item.prompt}\n{item.answer}" for item in sample), hundreds), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return tokenizer


@dataclass(frozen=True)
class Drawn:
    """A prompt and its answer, of which a training sequence is made."""

    prompt: list[int]
    """Token ids, with the chat template."""
    answer: list[int]
    maskable: list[bool] | None = None
    """Whether each token of the answer may be masked; None: all may."""
    has_sums: bool = False
    """Whether it is from mini_gsm8k, or an exercise in sums."""


def encoded(tokenizer: Tokenizer, benchmark: str, item: Item) -> Drawn:
    """An item of a benchmark."""
    prompt, answer = tokenizer.encode_batch([f"{USER}{item.prompt}{ASSISTANT}", item.answer])
    return Drawn(prompt.ids, answer.ids, has_sums=benchmark == "mini_gsm8k")


@dataclass(frozen=True)
class Batch:
    """Sequences of equal length, each a prompt, its answer and a random number of EOS."""

    ids: Tensor
    """(sequences, length) int64."""
    canvas: Tensor
    """(sequences, length) bool: which tokens may be masked."""
    digits: Tensor
    """(sequences, length) bool: tokens of numbers, their padding included."""
    whole: Tensor
    """(sequences,) lengths with answer and EOS; later tokens are padding, neither attended to nor predicted."""
    has_sums: Tensor
    """(sequences,) bool."""


def batches(plan: Plan, tokenizer: Tokenizer, first_step: int, part: int) -> Iterator[Batch]:
    """The batch of one part for each step from `first_step` on.

    The random numbers depend on the step alone, so that a resumed training gets the same batches.
    """
    for step in range(first_step, plan.steps):
        if step == first_step or step % POOL == 0:
            rng = Random(f"batch {plan.seed} {part} {step // POOL}")
            pool = _pool(plan, tokenizer, rng, step - step % POOL)
        yield pool[step % POOL]


POOL = 16
"""Number of batches made together, so that each has sequences of similar length."""
LENGTHS = (64, 96, 128, 192, 384)
"""Lengths of batches. There are few, as each new shape costs compilation and a slow first product on a CPU."""


def copying_exercise(plan: Plan, rng: Random) -> Drawn:
    """A prompt of random tokens, and an answer of one to three pieces of it, which only copying can predict."""
    tokens = [rng.randrange(len(SPECIAL), plan.vocabulary) for _ in range(rng.randint(6, 32))]
    answer = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        start, length = rng.randrange(len(tokens)), rng.randint(3, 16)
        answer += tokens[start : start + length]
    return Drawn([SPECIAL.index(USER), *tokens, SPECIAL.index(ASSISTANT)], answer)


SUM = re.compile(r"(.*?)(\d+ [-+*/] \d+ =)( \d+)(.*\n)")
SUMS = 6
"""Number of sums in an exercise."""


def sums_exercise(tokenizer: Tokenizer, problems: Iterator[Item], rng: Random, *, bare: bool) -> Drawn:
    """Sums from different worked solutions, of which only the results are masked, so that no line repeats them.

    `bare`: without text; else in their sentences, half of the time after the question of one of them.
    """
    lines, questions = [], []
    while len(lines) < SUMS:
        problem = next(problems)
        before, terms, result, after = rng.choice(SUM.findall(problem.answer))
        lines.append((terms, result, "\n") if bare else (before + terms, result, after))
        questions.append(problem.prompt)
    question = "" if bare or rng.random() < 0.5 else rng.choice(questions)
    prompt, *parts = tokenizer.encode_batch(
        [f"{USER}{question}{ASSISTANT}", *(part for line in lines for part in line)]
    )
    answer = [(token, number % 3 == 1) for number, part in enumerate(parts) for token in part.ids]
    return Drawn(prompt.ids, *map(list, zip(*answer, strict=True)), has_sums=True)


SHARES = {"mini_gsm8k": 7, "mini_humaneval": 4, "mini_ifeval": 6, "mini_longformqa": 3}
"""Relative frequency of each generator: higher for what is harder to learn."""


SPARE, SPARE_SHARES = (8, 32, 128, 280), (6, 3, 4, 1)
"""Maximum number of EOS after an answer, and relative frequencies of these maxima. With few long canvases in training,
the model continues after the answer on canvases of 128. While the learning rates fall, some answers have no EOS: a
model that never saw an answer fill its canvas ends it one token early on a canvas without spare positions."""


def _pool(plan: Plan, tokenizer: Tokenizer, rng: Random, step: int) -> list[Batch]:
    """POOL batches in random order; the lengths are about as frequent as their sequences."""
    streams = {name: items(generator, "train", str(rng.random())) for name, generator in GENERATORS.items()}
    digits = torch.tensor(sorted(set(tokenizer.encode("".join(f" {number}" for number in range(1000))).ids)))
    copying, fewest = (0.0, 0) if step >= plan.before_cooling else (plan.copying, 1)

    def drawn() -> Drawn:
        kind = rng.random()
        if kind < copying:
            return copying_exercise(plan, rng)
        if kind < copying + plan.sums:
            return sums_exercise(tokenizer, streams["mini_gsm8k"], rng, bare=step < plan.bare_sums)
        benchmark = rng.choices(list(SHARES), list(SHARES.values()))[0]
        return encoded(tokenizer, benchmark, next(streams[benchmark]))

    waiting: dict[int, list[tuple[Drawn, int]]] = {length: [] for length in LENGTHS}
    made: list[Batch] = []
    while len(made) < POOL:
        sequence = drawn()
        spare = rng.randint(fewest, rng.choices(SPARE, SPARE_SHARES)[0]) if sequence.maskable is None else 0
        whole = len(sequence.prompt) + len(sequence.answer) + spare
        length = next((length for length in LENGTHS if whole <= length), None)
        if length is None:
            continue
        row = waiting[length]
        row.append((sequence, whole))
        if len(row) == max(1, plan.tokens // length):
            made.append(_batch(row, length, digits))
            row.clear()
    rng.shuffle(made)
    return made


def _batch(rows: list[tuple[Drawn, int]], length: int, digits: Tensor) -> Batch:
    ids = torch.full((len(rows), length), EOS_ID)
    canvas = torch.zeros(len(rows), length, dtype=torch.bool)
    for row, (drawn, whole) in enumerate(rows):
        start, end = len(drawn.prompt), len(drawn.prompt) + len(drawn.answer)
        ids[row, :end] = torch.tensor(drawn.prompt + drawn.answer)
        canvas[row, start:whole] = True
        if drawn.maskable is not None:
            canvas[row, start:end] = torch.tensor(drawn.maskable)
    has_sums = torch.tensor([drawn.has_sums for drawn, _ in rows])
    return Batch(ids, canvas, torch.isin(ids, digits), torch.tensor([whole for _, whole in rows]), has_sums)


# Network: LLaDA's, with its weight names. Attention is computed by matrix products, whose backward pass is about twice
# as fast on a CPU as that of scaled_dot_product_attention.


class Block(nn.Module):
    """One layer: attention and gated MLP, each after a norm."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.heads = plan.heads
        self.attn_norm, self.ff_norm = nn.RMSNorm(plan.width, eps=1e-5), nn.RMSNorm(plan.width, eps=1e-5)
        for name in ("q_proj", "k_proj", "v_proj", "attn_out"):
            setattr(self, name, nn.Linear(plan.width, plan.width, bias=False))
        for name in ("ff_proj", "up_proj"):
            setattr(self, name, nn.Linear(plan.width, plan.mlp_width, bias=False))
        self.ff_out = nn.Linear(plan.mlp_width, plan.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, absent: Tensor) -> Tensor:
        """`x`: (sequences, length, width); `absent`: (sequences, 1, 1, length) bool, True for padding."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in together(normed(x, self.attn_norm), self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotated(q * q.shape[-1] ** -0.5, cos, sin), rotated(k, cos, sin)
        weights = (q @ k.transpose(-1, -2)).masked_fill(absent, float("-inf"))
        mixed = torch.softmax(weights, dim=-1) @ v
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), self.attn_out.weight.to(x.dtype))
        gate, up = together(normed(x, self.ff_norm), self.ff_proj, self.up_proj)
        return x + F.linear(F.silu(gate) * up, self.ff_out.weight.to(x.dtype))


def normed(x: Tensor, norm: nn.RMSNorm) -> Tensor:
    """The norm in the dtype of `x`, as torch has a fused kernel only if both are equal."""
    return F.rms_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.eps)


def together(x: Tensor, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """Several layers on one input, computed as one matrix product, which is faster on a CPU."""
    product = F.linear(x, torch.cat([layer.weight for layer in layers]).to(x.dtype))
    return product.split([layer.out_features for layer in layers], dim=-1)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves paired, as Llama has it."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


SHARED = 8.0
"""Length of the component that all embeddings share; 256 random coordinates have length 16."""
NEIGHBOURS = (-1, 1, -2, 2)
"""Offsets of the positions that the first heads attend to."""
FAST, SLOW = slice(0, 3), slice(7, None)
"""Rotary frequencies (of 16) that distinguish adjacent positions, and those that hardly vary over 100 positions."""


class Network(nn.Module):
    """LLaDA's mask predictor, its head tied to the embedding.

    Half of the heads of its first two layers are initialised as a circuit that copies from the prompt (an induction
    head): a head that reads the neighbouring token, and one in the next layer that finds the same neighbour elsewhere
    and reads the token next to it. From random weights this did not form in thousands of steps, as neither half lowers
    the loss alone. Training may change these heads.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.wte = nn.Embedding(plan.vocabulary, plan.width)
        self.blocks = nn.ModuleList(Block(plan) for _ in range(plan.layers))
        self.ln_f = nn.RMSNorm(plan.width, eps=1e-5)
        size = plan.width // plan.heads
        frequency = 10_000.0 ** (-torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(plan.max_length), frequency)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        with torch.no_grad():
            for name, weight in self.blocks.named_parameters():
                if name.endswith("ff_out.weight"):
                    nn.init.zeros_(weight)
                elif weight.ndim == 2:
                    nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
                if name.endswith("attn_out.weight"):
                    weight *= 0.3  # later layers add little at first
            self._begin_copying(frequency)

    def _begin_copying(self, frequency: Tensor) -> None:
        width, size = self.wte.embedding_dim, 2 * len(frequency)
        axes = nn.init.orthogonal_(torch.empty(width, width))
        shared, mask, axes = axes[0], axes[1], axes[2:]
        nn.init.normal_(self.wte.weight, std=1.0)
        self.wte.weight[MASK_ID] = (
            width**0.5 * mask
        )  # as long as the others, as keys of shorter ones would get more weight
        self.wte.weight += SHARED * shared
        self.ln_f.weight.fill_(width**-0.5)  # logits of size 1 from embeddings of length 16
        first, second = self.blocks[0], self.blocks[1]
        looking = torch.zeros(2, len(frequency))
        slow = torch.arange(size).view(2, -1)[:, SLOW].flatten()
        neighbours = NEIGHBOURS[: width // size // 2]  # half of the heads
        for head, offset in enumerate(neighbours):
            rows = slice(head * size, (head + 1) * size)
            fetched, rest = axes[rows], axes[len(neighbours) * size :].roll(-head * size, 0)[:size]
            # The shared component becomes a query and a key that match `offset` positions apart.
            for projection, angle in ((first.q_proj, 0 * frequency), (first.k_proj, -offset * frequency)):
                looking[:, FAST] = 0.8 * torch.stack([angle.cos(), angle.sin()])[:, FAST]
                projection.weight[rows] = torch.outer(looking.flatten(), shared)
            nn.init.orthogonal_(first.v_proj.weight[rows])
            first.attn_out.weight[:, rows] = 2.0 * fetched.T
            # Attend to positions with the same neighbour, except next to a mask.
            for projection, flag in ((second.q_proj, shared), (second.k_proj, -mask)):
                projection.weight[rows] = 0.0
                projection.weight[rows][slow] = 2.0 * torch.cat([fetched[: len(slow) - 1], flag[None]])
            second.v_proj.weight[rows] = rest
            second.attn_out.weight[:, rows] = 2.0 * rest.T

    def hidden(self, ids: Tensor, whole: Tensor, dtype: torch.dtype) -> Tensor:
        """The final hidden states, (sequences, length, width); `whole`: (sequences,) lengths of the sequences."""
        x = self.wte(ids).to(dtype)
        absent = (torch.arange(ids.shape[1]) >= whole[:, None])[:, None, None, :]
        cos, sin = self.cos[: ids.shape[1]].to(dtype), self.sin[: ids.shape[1]].to(dtype)
        for block in self.blocks:
            x = block(x, cos, sin, absent)
        return normed(x, self.ln_f)

    def forward(self, ids: Tensor, masked: Tensor, whole: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy over the masked positions, and over those of them that are not EOS.

        `ids`: (sequences, length) without masks; `masked`: the same shape, where masks are put.
        """
        hidden = self.hidden(ids.masked_fill(masked, MASK_ID), whole, dtype)
        # The head over every position costs less than over a varying number of them, as shapes must stay the same.
        logits = F.linear(hidden.flatten(0, 1), self.wte.weight.to(dtype)).float()
        losses = F.cross_entropy(logits, ids.flatten(), reduction="none")
        every, content = masked.flatten(), (masked & (ids != EOS_ID)).flatten()
        return (losses * every).sum() / every.sum(), (losses.detach() * content).sum() / content.sum().clamp(min=1)


def masks(batch: Batch, generator: torch.Generator, ordered: float = 0.0, *, finish: bool = False) -> Tensor:
    """Which tokens to mask, (sequences, length) bool: each one of answer and EOS with a probability t per sequence.

    Digits have another t than other tokens: a sampler that commits the most confident tokens first writes the words of
    a worked solution before its numbers, a state that hardly ever occurs with one t for all. Of the sequences that are
    not wholly masked, a share `ordered` is masked in a sampler's order. In the finish more are wholly masked.
    """
    t, of_digits, lot = torch.rand(3, len(batch.ids), 1, generator=generator)
    more = ~batch.has_sums[:, None] & finish
    wholly = lot < torch.where(more, FINISH_WHOLLY_MASKED, WHOLLY_MASKED)
    t, of_digits = (LEAST_MASKED + (1 - LEAST_MASKED) * share + wholly for share in (t, of_digits))
    drawn = torch.rand(batch.ids.shape, generator=generator)
    at_random = batch.canvas & (drawn < torch.where(batch.digits, of_digits, t))
    if not ordered:
        return at_random
    in_order = (torch.rand(len(batch.ids), 1, generator=generator) < ordered) & ~wholly
    return torch.where(in_order, masks_in_order(batch, generator), at_random)


def masks_in_order(batch: Batch, generator: torch.Generator) -> Tensor:
    """Masks as left by a sampler that commits the most confident tokens: an answer written up to some position, with
    some of its numbers masked, few tokens after that position, and the last of the EOS.

    Random masks almost always leave some tokens of every line; a model trained on them alone is confidently wrong about
    which line comes next.
    """
    place = torch.arange(batch.ids.shape[1])
    start = batch.canvas.int().argmax(1, keepdim=True)
    end = len(place) - (batch.canvas & (batch.ids != EOS_ID)).flip(1).int().argmax(1, keepdim=True)
    written, closed, gaps, open_digits, early = torch.rand(5, len(batch.ids), 1, generator=generator)
    first_mask = start + ((end - start + 1) * written).floor()
    first_closed = end + (batch.whole[:, None] - end) * (2 * closed).clamp(max=1)
    gaps, early = 0.3 * (2 * gaps - 1).clamp(min=0), 0.2 * (2 * early - 1).clamp(min=0)  # none in half of them
    open_digits = (2 * open_digits - 0.5).clamp(0, 1)
    t = torch.where(place < first_mask, torch.where(batch.digits, open_digits, gaps), 1 - early)
    drawn = torch.rand(batch.ids.shape, generator=generator)
    return batch.canvas & (place < first_closed) & (drawn < t)


# Training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint; resumed where it has one")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument(
        "--workers", type=int, default=Plan.parts, help="processes, each with one thread; the result is the same"
    )
    parser.add_argument("--float32", action="store_true", help="for CPUs without bfloat16 units")
    parser.add_argument(
        "--eager", action="store_true", help="without torch.compile: half as fast, but needs no C++ compiler"
    )
    parser.add_argument("--save-every", type=int, default=250, metavar="STEPS")
    arguments = parser.parse_args()
    plan = Plan(steps=arguments.steps, seed=arguments.seed, bf16=not arguments.float32)
    if not 1 <= arguments.workers <= plan.parts:
        parser.error(f"--workers: found {arguments.workers}, allowed is 1 to {plan.parts}")
    compiled, save_every = not arguments.eager, arguments.save_every
    train(plan, arguments.out, workers=arguments.workers, compiled=compiled, save_every=save_every)


def train(plan: Plan, out: Path, *, workers: int = 1, compiled: bool = False, save_every: int = 250) -> None:
    """Train up to `plan.steps`, from where the folder's state is, and leave a LLaDA checkpoint in the folder.

    Workers are processes of one thread each: they wait for each other once a step, where the threads of one process do
    so at every operation, which on a busy machine costs more than the second thread brings.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "tokenizer.json").exists():
        train_tokenizer(plan).save(str(out / "tokenizer.json"))
    meeting = out / "workers"
    meeting.unlink(missing_ok=True)
    arguments = (plan, out, workers, compiled, save_every, meeting.resolve().as_uri())
    if workers == 1:
        _work(0, *arguments)
    else:
        torch.multiprocessing.spawn(_work, arguments, nprocs=workers)
    meeting.unlink(missing_ok=True)


def _work(rank: int, plan: Plan, out: Path, workers: int, compiled: bool, save_every: int, meeting: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=workers)
    network = Network(plan)
    matrices = [weight for weight in network.blocks.parameters() if weight.ndim == 2]
    others = [weight for weight in network.parameters() if not any(weight is matrix for matrix in matrices)]
    optimizers = [
        torch.optim.Muon(matrices, lr=plan.matrix_rate, weight_decay=plan.matrix_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    state_file = out / "training.pt"
    step, before = _resume(plan, state_file, network, optimizers) if state_file.exists() else (0, 0.0)
    if rank == 0:
        _shorten_curve(out / "curve.jsonl", step)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    dtype = torch.bfloat16 if plan.bf16 else torch.float32
    compute = torch.compile(network, dynamic=False) if compiled else network
    parts = range(rank, plan.parts, workers)
    streams = [batches(plan, tokenizer, step, part) for part in parts]
    sums = torch.zeros(3)  # loss, content loss, parts since the last log
    started = time.monotonic()
    while step < plan.steps:
        for optimizer, rate in zip(optimizers, (plan.matrix_rate, plan.rate), strict=True):
            optimizer.param_groups[0]["lr"] = rate * rate_factor(plan, step)
        for part, stream in zip(parts, streams, strict=True):
            generator = torch.Generator().manual_seed((plan.seed * 1_000_003 + step) * plan.parts + part)
            batch = next(stream)
            ordered = plan.ordered if step >= plan.before_cooling else 0.0
            masked = masks(batch, generator, ordered, finish=step >= plan.before_finish)
            loss, content = compute(batch.ids, masked, batch.whole, dtype)
            (loss / plan.parts).backward()
            sums += torch.tensor([loss.item(), content.item(), 1.0])
        _add_up([weight.grad for weight in network.parameters() if weight.grad is not None])
        nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        seconds = before + time.monotonic() - started
        last = step == plan.steps
        if step % LOG_EVERY == 0 or last:
            distributed.all_reduce(sums)
            if rank == 0:
                _log(out, step, *(sums[:2] / sums[2]).tolist(), seconds)
            sums.zero_()
        if rank == 0 and (step % save_every == 0 or last):
            export(plan, network, out)  # first: what is saved as done is not done again
            _save(plan, state_file, network, optimizers, step, seconds)
    distributed.destroy_process_group()


def _add_up(gradients: list[Tensor]) -> None:
    """Sum the gradients of all workers, in one message."""
    if distributed.get_world_size() > 1:
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, total in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))


def _log(out: Path, step: int, loss: float, content: float, seconds: float) -> None:
    entry = {"step": step, "loss": loss, "content_loss": content, "seconds": seconds}
    with (out / "curve.jsonl").open("a", encoding="utf-8") as curve:
        curve.write(json.dumps({name: round(value, 4) for name, value in entry.items()}) + "\n")
    print(f"step {step}: loss {loss:.4f}, content {content:.4f}, {seconds:.0f} s", flush=True)


def _shorten_curve(curve: Path, step: int) -> None:
    """Remove what an interrupted training logged after its last checkpoint, as these steps are repeated."""
    if curve.exists():
        lines = curve.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = (line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step)
        curve.write_text("".join(whole), encoding="utf-8")


def _save(
    plan: Plan, file: Path, network: Network, optimizers: list[torch.optim.Optimizer], step: int, seconds: float
) -> None:
    state = {
        "plan": asdict(plan),
        "network": network.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


def _resume(plan: Plan, file: Path, network: Network, optimizers: list[torch.optim.Optimizer]) -> tuple[int, float]:
    """Load the saved state into network and optimizers; returns the number of steps done and their seconds."""
    state = torch.load(file, weights_only=True)
    if {**state["plan"], "steps": 0} != {**asdict(plan), "steps": 0}:
        raise SystemExit(f"{file}: was trained by {state['plan']}, not by {asdict(plan)}; choose another --out.")
    before = Plan(**state["plan"])
    free = min(before.before_cooling, plan.before_cooling)
    if plan.steps != before.steps and state["step"] > free:
        raise SystemExit(
            f"{file}: is at step {state['step']} of {before.steps}, too late for {plan.steps}, as the learning "
            f"rates would fall from step {free} on; take --steps {before.steps}, or choose another --out."
        )
    network.load_state_dict(state["network"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return state["step"], state["seconds"]


LOG_EVERY = 50


def rate_factor(plan: Plan, step: int) -> float:
    """Factor of the learning rates: warm-up, a plateau, a linear fall to zero.

    In the finish it restarts, on a line that falls to zero at the last step.
    """
    end = plan.before_finish if step < plan.before_finish else plan.steps
    return min(1.0, (step + 1) / plan.warmup, (end - step) / max(1.0, plan.cooldown * end))


def export(plan: Plan, network: Network, out: Path) -> None:
    """The checkpoint in LLaDA's format, weights in bfloat16."""
    weights = {
        "model.transformer.wte.weight": network.wte.weight,
        "model.transformer.ln_f.weight": network.ln_f.weight,
    }
    weights |= {f"model.transformer.blocks.{name}": weight for name, weight in network.blocks.named_parameters()}
    halves = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in weights.items()}
    save_file(halves, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(llada_config(plan), indent=1) + "\n", encoding="utf-8")
    (out / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG, indent=1) + "\n", encoding="utf-8")


def llada_config(plan: Plan) -> dict[str, object]:
    """The content of config.json, as LLaDA has it."""
    return {
        "architectures": ["LLaDAModelLM"],
        "model_type": "llada",
        "d_model": plan.width,
        "n_heads": plan.heads,
        "n_kv_heads": plan.heads,
        "n_layers": plan.layers,
        "mlp_hidden_size": plan.mlp_width,
        "vocab_size": plan.vocabulary,
        "embedding_size": plan.vocabulary,
        "mask_token_id": MASK_ID,
        "eos_token_id": EOS_ID,
        "pad_token_id": EOS_ID,
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "rms_norm_eps": 1e-05,
        "rope": True,
        "rope_theta": 10000.0,
        "rope_full_precision": True,
        "alibi": False,
        "include_bias": False,
        "include_qkv_bias": False,
        "weight_tying": True,
        "max_sequence_length": plan.max_length,
        "layer_norm_with_affine": True,
        "attention_layer_norm": False,
        "input_emb_norm": False,
        "scale_logits": False,
        "torch_dtype": "bfloat16",
    }


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": EOS,
    "pad_token": EOS,
    "mask_token": MASK,
    "additional_special_tokens": [USER, ASSISTANT],
    "model_max_length": Plan.max_length,
    "clean_up_tokenization_spaces": False,
    "chat_template": (
        "{% for message in messages %}{% if message['role'] == 'user' %}"
        f"{{{{ '{USER}' + message['content'] }}}}"
        "{% else %}"
        f"{{{{ '{ASSISTANT}' + message['content'] + '{EOS}' }}}}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}"
        f"{{{{ '{ASSISTANT}' }}}}"
        "{% endif %}"
    ),
}


if __name__ == "__main__":
    main()
