"""CARVE and length search written plainly from docs/methods.md, one sample at a time, against the engine."""

import math
import random

import pytest
import torch
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.engine.attention import ATTENTIONS

CLEAR = 1e-6
"""Every decision of a case is at least this far from going the other way, so that no last bit matters."""


class Plain:
    """Whole-sequence forwards behind a prompt, and how close any decision was."""

    def __init__(self, model: MaskPredictor, prompt: list[int]) -> None:
        self.model, self.prompt = model, prompt
        self.mask, self.eos, self.eot = model.tokens.mask, model.tokens.eos, model.tokens.eot
        self.canvas: list[int] = []
        self.lengths: list[int] = []
        self.probes = 0
        self.margin = float("inf")
        self.events: set[str] = set()

    @torch.inference_mode()
    def softmax(self, canvas: list[int], *, probe: bool = False) -> Tensor:
        """Of every canvas position, in float64."""
        ids = torch.tensor(self.prompt + canvas)
        attend = ATTENTIONS["padded"]([len(ids)], torch.device("cpu"))
        logits = self.model.logits(self.model.hidden(ids, torch.arange(len(ids)), attend))
        self.lengths.append(len(canvas))
        self.probes += probe
        return logits[len(self.prompt) :].double().softmax(-1)

    def below(self, value: float, other: float) -> bool:
        self.margin = min(self.margin, abs(value - other))
        return value < other

    def best(self, values: list[float]) -> int:
        """The first place of the highest value."""
        place = max(range(len(values)), key=lambda i: values[i])
        self.margin = min([self.margin, *(values[place] - v for i, v in enumerate(values) if i != place)])
        return place

    def commit_best(self, p: Tensor, places: list[int], number: int, remasking: str = "low_confidence") -> None:
        """Commit the best `number` of these masks, one by one; a prediction of MASK is none."""
        top, entropy = p.topk(2, dim=-1).values, torch.special.entr(p).sum(-1)
        self.margin = min(self.margin, float((top[:, 0] - top[:, 1]).min()))
        score = {"low_confidence": top[:, 0], "margin": top[:, 0] - top[:, 1], "entropy": -entropy}[remasking]
        for _ in range(min(number, len(places))):
            place = places.pop(self.best([float(score[i]) for i in places]))
            if (token := int(p[place].argmax())) == self.mask:
                self.events.add("predicted MASK")
            self.canvas[place] = token

    def words(self, p: Tensor) -> Tensor:
        """Probabilities without MASK."""
        p = p.clone()
        p[:, self.mask] = 0
        return p / p.sum(-1, keepdim=True)


def divergence(p: Tensor, q: Tensor) -> float:
    """Jensen-Shannon, in nats, by its definition with Kullback-Leibler divergences."""
    mean = (p + q) / 2
    return float(sum(torch.special.xlogy(one, one / mean).sum() for one in (p, q))) / 2


class PlainCarve(Plain):
    def run(
        self,
        initial_length: int,
        max_length: int,
        insert: int,
        window: int,
        interval: int,
        tau_js: float,
        block_length: int | None,
        remasking: str,
        steps: int | None = None,
        crop_at_eos: bool = True,
        include_eot: bool = False,
    ) -> None:
        self.canvas = [self.mask] * initial_length
        steps = steps or max_length
        step = 0
        while masks := [i for i, token in enumerate(self.canvas) if token == self.mask]:
            p = self.softmax(self.canvas)
            if step < steps and step % interval == 0 and len(self.canvas) < max_length:
                p = self.carve(p, masks, min(insert, max_length - len(self.canvas)), window, tau_js)
            masks = [i for i, token in enumerate(self.canvas) if token == self.mask]
            number = math.ceil(len(masks) / max(steps - step, 1))  # inserted ones count
            if block_length is not None:
                masks = [i for i in masks if i // block_length == masks[0] // block_length]
            if step >= steps:
                self.events.add("late")
                p = self.words(p)
            self.commit_best(p, masks, number, remasking if step < steps else "low_confidence")
            step += 1
            if crop_at_eos and self.crop(include_eot):
                return

    def carve(self, p: Tensor, masks: list[int], count: int, window: int, tau_js: float) -> Tensor:
        """Insert masks if that passes; the softmax that is committed from."""
        entropy = torch.special.entr(p).sum(-1).tolist()
        half = window // 2
        centres = [c for c in range(len(entropy)) if c - half + 1 >= 0 and c + half <= len(entropy) - 1]
        centre = centres[self.best([sum(entropy[c - half + 1 : c + half + 1]) for c in centres])]
        longer = self.canvas[: centre + 1] + [self.mask] * count + self.canvas[centre + 1 :]
        q = self.softmax(longer, probe=True)
        mean = sum(divergence(p[j], q[j + count * (j > centre)]) for j in masks) / len(masks)
        if self.below(mean, tau_js):
            self.events.add("inserted")
            self.canvas = longer
            return q
        self.events.add("refused")
        return p

    def crop(self, include_eot: bool) -> bool:
        ends = [self.eos, self.eot] if include_eot else [self.eos]
        first = next((i for i, token in enumerate(self.canvas) if token in ends), len(self.canvas))
        if first >= len(self.canvas) - 1:
            return False
        self.canvas = self.canvas[: first + 1]
        if masks := [i for i, token in enumerate(self.canvas) if token == self.mask]:
            self.events.add("filled")
            self.commit_best(self.words(self.softmax(self.canvas)), masks, len(masks))
        self.events.add("cropped")
        return True


class PlainSearch(Plain):
    def run(self, criterion: str, length: int, **parameters: object) -> None:
        found = self.cal(length, **parameters) if criterion == "cal" else self.list(criterion, length, **parameters)
        self.canvas = [self.mask] * found
        while masks := [i for i, token in enumerate(self.canvas) if token == self.mask]:
            self.commit_best(self.softmax(self.canvas), masks, 1)

    def cal(
        self,
        length: int,
        initial_length: int = 8,
        span: int = 1,
        patience: int = 4,
        bias: tuple[float, ...] = (1.0, 1.77, 0.56, 0.06, 0.24),
    ) -> int:
        def score(tried: int) -> float:
            a, b, c, d, e = bias
            p = self.softmax([self.mask] * tried, probe=True)
            expected = a * math.exp(-b * tried) + c * math.exp(-d * tried) + e
            return float(p.max(-1).values.mean()) / expected

        found, best = initial_length, score(initial_length)
        for direction in (1, -1):
            misses, tried = 0, initial_length + direction * span
            while 1 <= tried <= length:
                if not self.below((value := score(tried)), best) and value > best:
                    found, best, misses = tried, value, 0
                    self.events.add("up" if direction > 0 else "down")
                else:
                    misses += 1
                if misses >= patience:
                    self.events.add("gave up")
                    break
                tried += direction * span
        return found

    def list(self, criterion: str, length: int, candidates: list[int] | None = None) -> int:
        tried = sorted(set(candidates)) if candidates else [2**k for k in range(30) if 2**k <= length]
        scores = [
            -float(torch.special.entr(self.softmax([self.mask] * one, probe=True)).sum(-1).mean()) for one in tried
        ]
        if criterion == "lr" and len(tried) > 1:
            design = torch.tensor([[1.0, math.log(one)] for one in tried], dtype=torch.float64)
            slope = torch.linalg.lstsq(design, torch.tensor(scores, dtype=torch.float64)[:, None]).solution[1].item()
            scores = [score - slope * math.log(one) for score, one in zip(scores, tried, strict=True)]
        return tried[self.best(scores)]


QUESTIONS = [
    "What is a lamp? Explain in {} sentences.",
    "Repeat the word warm exactly {} times.",
    "Tom has {} coins. Tom finds {}. How many coins does Tom have now?",
    "Write a bullet list with exactly {} bullet points: cold, red, loud.",
]


def prompt(seed: int, model: MaskPredictor) -> list[int]:
    """A question, or words in no order."""
    rng = random.Random(seed)
    if seed % 2:
        return [2, *(rng.randrange(4, 700) for _ in range(rng.randrange(0, 30))), 3]
    question = rng.choice(QUESTIONS).format(rng.randrange(2, 30), rng.randrange(2, 30))
    return model.tokenizer.encode(model.tokenizer.chat_text([("user", question)]), templated=True)


def carve_parameters(seed: int) -> dict:
    rng = random.Random(3000 + seed)
    initial = rng.choice([8, 12, 17])
    return {
        "initial_length": initial,
        "max_length": rng.choice([initial, 21, 30]),
        "insert": rng.choice([2, 4, 7]),
        "window": rng.choice([2, 4, 8]),
        "interval": rng.choice([1, 1, 2, 5]),
        "tau_js": rng.choice([0.02, 0.1, 0.2, 0.4]),
        "block_length": rng.choice([None, 5, 8]),
        "remasking": rng.choice(["low_confidence", "margin", "entropy"]),
        "steps": rng.choice([None, None, 7, 3]),
        "crop_at_eos": rng.random() < 0.8,
        "include_eot": rng.random() < 0.3,
    }


def search_parameters(seed: int) -> dict:
    rng = random.Random(4000 + seed)
    length = rng.choice([9, 16, 33])
    criterion = rng.choice(["cal", "cal", "lr", "entropy"])
    if criterion != "cal":
        listed = [rng.randrange(1, length + 1) for _ in range(rng.randrange(1, 6))]
        return {"criterion": criterion, "length": length} | ({"candidates": listed} if rng.random() < 0.5 else {})
    return {
        "criterion": criterion,
        "length": length,
        "initial_length": rng.choice([1, 6, 9]),
        "span": rng.choice([1, 2, 5]),
        "patience": rng.choice([1, 2, 4]),
    } | ({"bias": (0.3, 0.4, 0.9, 0.02, 0.1)} if rng.random() < 0.4 else {})


# By seed: what its course must show at least. Found by running the plain samplers over many seeds.
CARVE = {
    1: "cropped, filled, inserted",
    2: "cropped, filled, refused",
    4: "cropped, filled, refused",
    6: "inserted, refused",
    7: "cropped, filled, inserted",
    9: "cropped, filled, inserted",
    10: "refused",
    11: "cropped, filled, refused",
    12: "",
    14: "inserted, refused",
    15: "cropped, refused",
    16: "cropped, inserted, refused",
    17: "cropped, filled, inserted",
    19: "cropped, filled, inserted",
    20: "inserted, refused",
    23: "cropped, filled, refused",
}
CARVE_ON_NOISE = {
    2: "late, predicted MASK, refused",
    6: "inserted, late, predicted MASK",
    9: "inserted, late, predicted MASK",
    10: "cropped, predicted MASK, refused",
    13: "predicted MASK, refused",
    16: "inserted, late, predicted MASK, refused",
    21: "predicted MASK",
}
SEARCH = {
    0: "",
    2: "",
    3: "gave up, up",
    4: "",
    5: "up",
    6: "gave up, up",
    7: "",
    9: "gave up, up",
    11: "",
    12: "",
    13: "gave up",
    16: "",
    17: "",
    19: "",
    22: "gave up, up",
    27: "gave up",
    30: "down, gave up",
    36: "up",
    61: "down, gave up",
    67: "down",
}


def compare(plain: PlainCarve | PlainSearch, name: str, parameters: dict, shows: str) -> None:
    plain.run(**parameters)
    assert plain.margin > CLEAR, "a near tie decides this case: take another seed"
    assert plain.events >= {event for event in shows.split(", ") if event}
    (generation,) = Engine(plain.model).generate([plain.prompt], build_policy(name, **parameters))
    assert generation.canvas_ids == plain.canvas
    assert generation.trajectory == plain.lengths
    assert (generation.ledger.total.nfe, generation.ledger.probe.nfe) == (len(plain.lengths), plain.probes)


@pytest.mark.parametrize("seed", CARVE)
def test_carve(tiny_model: MaskPredictor, seed: int):
    compare(PlainCarve(tiny_model, prompt(seed, tiny_model)), "carve", carve_parameters(seed), CARVE[seed])


@pytest.mark.parametrize("seed", CARVE_ON_NOISE)
def test_carve_on_a_model_that_predicts_mask(noise: MaskPredictor, seed: int):
    compare(PlainCarve(noise, prompt(seed, noise)), "carve", carve_parameters(seed), CARVE_ON_NOISE[seed])


@pytest.mark.parametrize("seed", SEARCH)
def test_length_search(tiny_model: MaskPredictor, seed: int):
    compare(PlainSearch(tiny_model, prompt(seed, tiny_model)), "length_search", search_parameters(seed), SEARCH[seed])


def test_the_cases_cover_every_way_of_the_methods():
    shown = {event for cases in (CARVE, CARVE_ON_NOISE) for shows in cases.values() for event in shows.split(", ")}
    assert shown >= {"inserted", "refused", "cropped", "filled", "late", "predicted MASK"}
    searches = [search_parameters(seed) for seed in SEARCH]
    assert {(s["criterion"], "candidates" in s) for s in searches} == {
        ("cal", False),
        *((criterion, listed) for criterion in ("lr", "entropy") for listed in (True, False)),
    }
    assert {event for shows in SEARCH.values() for event in shows.split(", ") if event} == {"up", "down", "gave up"}
