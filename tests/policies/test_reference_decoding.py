"""Stop rules, commit rules, early commits and adaptive blocks against samplers written plainly over all logits."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.engine import Generation
from dlm_length.engine.attention import ATTENTIONS

QUESTIONS = [
    "What is a lamp? Explain in one sentence.",
    "Write f4(x): take x, add 7, and return it.",
    "Tom has 3 apples and buys 4 more. How many apples has he?",
]
LENGTH, BLOCK = 28, 7


class Plain:
    """One sample: prompt and canvas in one sequence, logits of every position in every forward."""

    def __init__(self, model: MaskPredictor, prompt: list[int], length: int = LENGTH) -> None:
        self.model, self.start, self.nfe = model, len(prompt), 0
        self.x = torch.tensor(prompt + [model.tokens.mask] * length)

    def logits(self) -> Tensor:
        self.nfe += 1
        size = len(self.x)
        attend = ATTENTIONS["padded"]([size], torch.device("cpu"))
        return self.model.logits(self.model.hidden(self.x, torch.arange(size), attend)).clone()

    @property
    def mask(self) -> Tensor:
        return self.x == self.model.tokens.mask

    @property
    def answer(self) -> list[int]:
        return self.x[self.start :].tolist()

    def confidence(self, logits: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Minus infinity wherever nothing may be committed, and the predictions."""
        p, prediction = logits.softmax(-1).max(-1)
        p[~self.mask] = -math.inf
        p[end:] = -math.inf
        return p, prediction

    def one_a_step(self, block: int) -> Iterator[tuple[int, int, bool, Tensor]]:
        """LLaDA's sampler; pauses after a forward and before its commit (False), and after the commit (True)."""
        for begin in range(self.start, len(self.x), block):
            end = begin + block
            while self.mask[begin:end].any():
                logits = self.logits()
                yield begin, end, False, logits
                p, prediction = self.confidence(logits, end)
                best = p.argmax()
                self.x[best] = prediction[best]
                yield begin, end, True, logits


def stop_plainly(plain: Plain, rule: str, ends: list[int]) -> list[int]:
    """The rules as FIELD notes and programs have them, one line each."""
    for begin, end, committed, _ in plain.one_a_step(BLOCK):
        if not committed:
            continue
        answer = plain.answer
        found = [i for i, token in enumerate(answer) if token in ends]
        mask = plain.model.tokens.mask
        if rule in ("cut", "eos_prefix") and found and mask not in answer[: found[0]]:
            return answer[: found[0] + 1]  # of equal effect, as each block ends what stands before it
        if rule == "crop_fill" and found and found[0] < len(answer) - 1:
            plain.x = plain.x[: plain.start + found[0] + 1]
            if plain.mask.any():
                plain.x = torch.where(plain.mask, plain.logits().argmax(-1), plain.x)
            return plain.answer
        if rule == "block_any" and not plain.mask[begin:end].any() and any(t in ends for t in plain.x[begin:end]):
            plain.x[end:] = plain.model.tokens.eos
            return plain.answer
        if rule == "block_last" and not plain.mask[begin:end].any() and plain.x[end - 1] in ends:
            return plain.x[plain.start : end].tolist()
    return plain.answer


def run(model: MaskPredictor, prompt: list[int], **parameters: object) -> Generation:
    (generation,) = Engine(model).generate([prompt], build_policy("fixed", **{"length": LENGTH, **parameters}))
    return generation


@pytest.mark.parametrize("rule", ["block_any", "block_last", "cut", "eos_prefix", "crop_fill"])
@torch.inference_mode()
def test_stop_rules(tiny_model: MaskPredictor, ask: Callable, rule: str):
    stopped = 0
    for question in QUESTIONS:
        plain = Plain(tiny_model, ask(question))
        expected = stop_plainly(plain, rule, [tiny_model.tokens.eos])
        generation = run(tiny_model, ask(question), block_length=BLOCK, stop=rule)
        assert generation.canvas_ids == expected
        assert generation.ledger.total.nfe == plain.nfe
        stopped += plain.nfe < LENGTH
    assert stopped, "a rule that never applies is not tested"


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
@torch.inference_mode()
def test_the_factor_rule(tiny_model: MaskPredictor, ask: Callable, factor: float):
    for question in QUESTIONS:
        plain = Plain(tiny_model, ask(question))
        for begin in range(plain.start, len(plain.x), BLOCK):
            while plain.mask[begin : begin + BLOCK].any():
                p, prediction = plain.confidence(plain.logits(), begin + BLOCK)
                ranked = sorted((c for c in p.tolist() if c > -math.inf), reverse=True)
                bounds = [-1.0, *(1 - factor / (n + 1) for n in range(2, len(ranked) + 1))]
                for top in range(len(bounds)):
                    if ranked[top] < bounds[top]:
                        break
                if top in (0, len(bounds) - 1):
                    top += 1
                chosen = p.topk(top).indices
                plain.x[chosen] = prediction[chosen]
        generation = run(tiny_model, ask(question), block_length=BLOCK, factor=factor)
        assert (generation.canvas_ids, generation.ledger.total.nfe) == (plain.answer, plain.nfe)
        assert plain.nfe < LENGTH


@pytest.mark.parametrize(("threshold", "low"), [(0.9, 0.2), (0.6, 0.0), (0.7, 0.5)])
@torch.inference_mode()
def test_the_hierarchical_rule(tiny_model: MaskPredictor, ask: Callable, threshold: float, low: float):
    saved = []
    for question in QUESTIONS:
        plain = Plain(tiny_model, ask(question))
        for begin in range(plain.start, len(plain.x), BLOCK):
            while plain.mask[begin : begin + BLOCK].any():
                p, prediction = plain.confidence(plain.logits(), begin + BLOCK)
                chosen = {int(p.argmax())}
                if p.max() >= low:
                    chosen |= set((p > threshold).nonzero()[:, 0].tolist())
                    run_of: list[int] = []
                    for i in range(begin, begin + BLOCK + 1):
                        if i < begin + BLOCK and plain.mask[i]:
                            run_of.append(i)
                        elif run_of:
                            head = max(run_of, key=lambda place: (p[place].item(), -place))
                            chosen |= {head} if p[head] > low else set()
                            run_of = []
                for place in chosen:
                    plain.x[place] = prediction[place]
        settings = {"block_length": BLOCK, "threshold": threshold}
        generation = run(tiny_model, ask(question), **settings, low_threshold=low)
        assert (generation.canvas_ids, generation.ledger.total.nfe) == (plain.answer, plain.nfe)
        saved.append(run(tiny_model, ask(question), **settings).ledger.total.nfe - plain.nfe)
    if low < 0.5:
        assert max(saved) > 0, "heads of runs that are never committed below the threshold test nothing"


def gaps(logits: Tensor) -> Tensor:
    best, second = logits.topk(2, dim=-1).values.unbind(-1)
    return best - second


@pytest.mark.parametrize("levels", [(7.5, 5.0, 2.5), (6.0, 3.0, 1.0), (0.0, 0.0, 0.0), (99.0, 99.0, 99.0)])
@pytest.mark.parametrize("answer", [None, 4, 25])
@torch.inference_mode()
def test_prophet(tiny_model: MaskPredictor, ask: Callable, levels: tuple[float, ...], answer: int | None):
    region = {"commit_region": "canvas"} if answer is None else {"commit_region": "answer", "answer_start": answer}
    exits = []
    for question in QUESTIONS:
        plain = Plain(tiny_model, ask(question))
        for _, _, committed, logits in plain.one_a_step(BLOCK):
            if committed:
                continue
            progress = plain.nfe / LENGTH
            level = levels[0] if progress < 0.33 else levels[1] if progress < 0.67 else levels[2]
            if answer is None:
                places = plain.mask
            else:
                places = torch.arange(plain.start + answer, min(len(plain.x), plain.start + answer + 5))
            if gaps(logits[places]).double().mean() >= level:
                plain.x = torch.where(plain.mask, logits.argmax(-1), plain.x)
                break
        generation = run(
            tiny_model, ask(question), block_length=BLOCK, early_commit="prophet", prophet_gaps=levels, **region
        )
        assert (generation.canvas_ids, generation.ledger.total.nfe) == (plain.answer, plain.nfe)
        exits.append(plain.nfe)
    if answer != 25 and 0.0 < levels[0] < 99.0:
        assert any(1 < place < LENGTH for place in exits), "progress counts in the middle alone"
    if levels[0] in (0.0, 99.0):
        assert set(exits) == {1 if levels[0] == 0 else LENGTH}


@pytest.mark.parametrize("shape", ["linear", "cosine", "exp"])
@pytest.mark.parametrize(("patience", "change", "least"), [(0, 0.0, 0.0), (1, 0.3, 0.0), (0, 1.0, 0.6)])
@pytest.mark.parametrize("statistic", ["mean", "median", "quantile"])
@torch.inference_mode()
def test_sched(
    tiny_model: MaskPredictor, ask: Callable, shape: str, patience: int, change: float, least: float, statistic: str
):
    high, low, k = 5.0, 0.5, 2.0
    for whole in (True, False):
        prompt = ask(QUESTIONS[whole])
        plain, stable, last, step = Plain(tiny_model, prompt), 0, None, -1
        for _, _, committed, logits in plain.one_a_step(BLOCK):
            if committed:
                continue
            step += 1
            t = step / (LENGTH - 1)
            tau = {
                "linear": high + (low - high) * t,
                "cosine": low + (high - low) * (1 + math.cos(math.pi * t)) / 2,
                "exp": low + (high - low) * math.exp(-k * t),
            }[shape]
            now = logits.argmax(-1)
            changed = 1.0 if last is None else (now != last)[plain.mask].double().mean().item()
            last = now
            progress = 1 - plain.mask.sum().item() / (len(plain.x) if whole else LENGTH)
            stable = stable + 1 if progress >= least and changed <= change else 0
            of_masks = gaps(logits[plain.mask]).double()
            g = {"mean": of_masks.mean(), "median": of_masks.median(), "quantile": of_masks.quantile(0.2)}[statistic]
            if progress >= least and g >= tau and stable > patience:
                plain.x = torch.where(plain.mask, now, plain.x)
                break
        generation = run(
            tiny_model,
            prompt,
            block_length=BLOCK,
            early_commit="sched",
            commit_region="all" if whole else "canvas",
            sched_shape=shape,
            sched_high=high,
            sched_low=low,
            sched_patience=patience,
            sched_max_change=change,
            sched_min_progress=least,
            sched_statistic=statistic,
        )
        assert (generation.canvas_ids, generation.ledger.total.nfe) == (plain.answer, plain.nfe)
        assert 1 < plain.nfe < LENGTH, "the threshold falls in the middle alone"


def test_prophet_fills_with_drawn_tokens_and_sched_with_the_most_likely(tiny_model: MaskPredictor, ask: Callable):
    """SchED's implementation commits the rest without noise; tokens committed before are sampled."""
    at_once = {
        "prophet": {"prophet_gaps": (0.0, 0.0, 0.0), "commit_region": "canvas"},
        "sched": {"sched_high": 0.0, "sched_max_change": 1.0},
    }
    for rule, settings in at_once.items():
        greedy, warm = (
            run(tiny_model, ask(QUESTIONS[0]), early_commit=rule, temperature=temperature, **settings)
            for temperature in (0.0, 2.0)
        )
        assert greedy.ledger.total.nfe == warm.ledger.total.nfe == 1
        assert (greedy.canvas_ids == warm.canvas_ids) is (rule == "sched")
    late = {"sched_high": 0.0, "sched_max_change": 1.0, "sched_min_progress": 0.5, "commit_region": "canvas"}
    late |= {
        "early_commit": "sched",
        "remasking": "random",
    }  # by confidence, what is sure at any temperature goes first
    moved = []
    for question in QUESTIONS:
        greedy, warm = (run(tiny_model, ask(question), temperature=temperature, **late) for temperature in (0.0, 2.0))
        assert 1 < warm.ledger.total.nfe < LENGTH
        moved.append(greedy.canvas_ids != warm.canvas_ids)
    assert any(moved)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.9])
@torch.inference_mode()
def test_adablock(tiny_model: MaskPredictor, ask: Callable, threshold: float):
    length, default = 40, 8
    sizes: list[int] = []
    for question in QUESTIONS:
        prompt = ask(question)
        first = Plain(tiny_model, prompt, length)
        words = first.logits()[first.start :].argmax(-1).unique().tolist()[::2]
        plain, done = Plain(tiny_model, prompt, length), 0
        while done < length:
            logits = plain.logits()
            p, prediction = logits.softmax(-1).max(-1)
            begin = plain.start + done
            window = range(begin, begin + min(int(0.25 * length), length - done))
            ends = [i for i in window if prediction[i].item() in words]
            best = max(ends, key=lambda i: (p[i].item(), -i), default=None)
            size = best - begin + 1 if best is not None and p[best] >= threshold else min(default, length - done)
            sizes.append(size)
            while plain.mask[begin : begin + size].any():
                p, prediction = plain.confidence(logits, begin + size)
                chosen = p >= 0.6
                chosen[p.argmax()] = True
                plain.x[chosen] = prediction[chosen]
                if plain.mask[begin : begin + size].any():
                    logits = plain.logits()
            done += size
        generation = run(
            tiny_model,
            prompt,
            length=length,
            block_length=default,
            threshold=0.6,
            blocks="adaptive",
            delimiters=tuple(words),
            delimiter_threshold=threshold,
        )
        assert (generation.canvas_ids, generation.ledger.total.nfe) == (plain.answer, plain.nfe)
    assert len(set(sizes)) > 1
