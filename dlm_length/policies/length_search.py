"""Length search: score canvases of masks by one forward each, and denoise the best one."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dlm_length.common import TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine, Query, Stat, StatSpec, SubCoroutine
from dlm_length.policies.base import FullCanvas, Policy

Coefficient = Annotated[float, Field(ge=0.0)]
Bias = tuple[Coefficient, Coefficient, Coefficient, Coefficient, Coefficient]

_HILL_CLIMB = ("initial_length", "span", "patience", "bias")
"""Fields of CAL's search."""


class LengthSearch(FullCanvas):
    """The best of several canvas lengths, each scored by one forward over masks only."""

    source: ClassVar[str] = (
        "CAL, arXiv 2602.00476; LR-DLLM, arXiv 2602.07546 (its first stage); Entropy-Valley, arXiv 2608.22274"
    )
    title: ClassVar[str] = "Length search"
    label_fields: ClassVar[tuple[str, ...]] = ("criterion", "length")
    name: Literal["length_search"] = "length_search"
    criterion: Literal["cal", "lr", "entropy"] = "cal"
    """The score of a length. cal: the mean confidence of its masks, divided by `bias`. lr: their mean negative entropy,
    less its trend in the logarithm of the length, fitted by least squares to the candidates. entropy: their mean
    negative entropy. cal searches from `initial_length`; lr and entropy try all `candidates`."""
    length: TokenCount = 64
    """The longest canvas that is tried, in tokens."""
    initial_length: TokenCount = 8
    """Length at which the search of cal begins, in tokens."""
    span: TokenCount = 1
    """Step between two lengths that cal tries, in tokens."""
    patience: TokenCount = 4
    """Number of lengths without a better score after which cal ends a direction; `dstep` in the reference."""
    bias: Annotated[Bias, Field(strict=False)] = (1.0, 1.77, 0.56, 0.06, 0.24)
    """(a, b, c, d, e) of a exp(-b L) + c exp(-d L) + e, the expected mean confidence of L masks. The default was fitted
    by CAL's authors to code infilling of at most 64 tokens; `dlmlen fit-bias` fits it to a model and prompts."""
    candidates: Annotated[tuple[TokenCount, ...] | None, Field(min_length=1, strict=False)] = None
    """Lengths that lr and entropy try; of ties the shortest is chosen, a choice of ours. None: the powers of two up to
    `length`, as in LR-DLLM, and a choice of ours for entropy."""

    @model_validator(mode="after")
    def _search_fits(self) -> Self:
        if self.criterion == "cal":
            self._refuse_unread(["candidates"], "criterion: cal")
            if self.initial_length > self.length:
                raise ValueError(
                    f"initial_length must be at most length, found {self.initial_length} and {self.length}"
                )
            if not length_bias(np.array([self.length]), self.bias)[0] > 0:  # it falls with the length
                raise ValueError(f"bias must be above 0 up to length {self.length}, found {list(self.bias)}")
        else:
            self._refuse_unread(_HILL_CLIMB, f"criterion: {self.criterion}")
            if self.candidates is not None and max(self.candidates) > self.length:
                raise ValueError(f"candidates must be at most length, found {max(self.candidates)} and {self.length}")
        return self

    @property
    def tried(self) -> tuple[int, ...]:
        """The candidates, each once, from the shortest to the longest."""
        if self.candidates is not None:
            return tuple(sorted(set(self.candidates)))
        return tuple(2**power for power in range(self.length.bit_length()))

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        best = yield from (self._climb(canvas) if self.criterion == "cal" else self._compare(canvas))
        _resize(canvas, best)
        yield from self.decode_rest(canvas)

    def worst_case(self) -> Policy:
        return _Exhaustive(**self.model_dump())

    def _climb(self, canvas: Canvas) -> SubCoroutine[int]:
        """CAL's search: upwards from `initial_length`, then downwards, with one best score for both."""
        best, best_score = self.initial_length, (yield from self._confidence(canvas, self.initial_length))
        for lengths in self._directions():
            misses = 0
            for length in lengths:
                score = yield from self._confidence(canvas, length)
                if score > best_score:
                    best, best_score, misses = length, score, 0
                else:
                    misses += 1
                if misses >= self.patience:
                    break
        return best

    def _directions(self) -> tuple[range, range]:
        """The lengths above `initial_length` from the shortest, and those below it from the longest."""
        up = range(self.initial_length + self.span, self.length + 1, self.span)
        return up, range(self.initial_length - self.span, 0, -self.span)

    def _compare(self, canvas: Canvas) -> SubCoroutine[int]:
        """The candidate with the highest score."""
        scores = []
        for length in self.tried:
            answer = yield from _only_masks(canvas, length, Stat.ENTROPY)
            scores.append(-float(np.mean(answer)))
        adjusted = np.array(scores)
        if self.criterion == "lr":
            adjusted = without_length(self.tried, adjusted)
        return self.tried[int(adjusted.argmax())]

    def _confidence(self, canvas: Canvas, length: int) -> SubCoroutine[float]:
        """CAL's score: the mean confidence on so many masks, relative to the bias of their number."""
        confidence = yield from _only_masks(canvas, length, Stat.CONFIDENCE)
        return float(np.mean(confidence) / length_bias(np.array([length]), self.bias)[0])


class _Exhaustive(LengthSearch):
    """Every length that a search may try, then the longest: an upper bound of the cost."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        up, down = self._directions()
        for length in (self.initial_length, *up, *down) if self.criterion == "cal" else self.tried:
            yield from _only_masks(canvas, length, Stat.CONFIDENCE)
        _resize(canvas, max((self.initial_length, *up)) if self.criterion == "cal" else self.tried[-1])
        yield from self.decode_rest(canvas)


def length_bias(lengths: NDArray[np.int64], bias: Iterable[float]) -> NDArray[np.float64]:
    """CAL's curve a exp(-b L) + c exp(-d L) + e at each of the lengths, (lengths,), in tokens."""
    a, b, c, d, e = bias
    curve: NDArray[np.float64] = a * np.exp(-b * lengths) + c * np.exp(-d * lengths) + e
    return curve


def without_length(lengths: Iterable[int], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """`scores` less k ln L, where A = a + k ln L is their least-squares line (LR-DLLM's first stage).

    `scores`: (lengths,). A single length has no line and keeps its score.
    """
    logarithms = np.log(np.fromiter(lengths, dtype=np.float64))
    centred = logarithms - logarithms.mean()
    spread = float(centred @ centred)
    slope = float(centred @ scores) / spread if spread > 0 else 0.0
    return scores - slope * logarithms


def _only_masks(
    canvas: Canvas, length: int, want: Literal[Stat.CONFIDENCE, Stat.ENTROPY]
) -> SubCoroutine[NDArray[np.float64]]:
    """Resize `canvas`, which has only masks; returns a statistic of all of them by one forward, (length,)."""
    _resize(canvas, length)
    answer = yield Query(canvas, canvas.all, StatSpec(want), probe=True)
    return answer.confidence if want is Stat.CONFIDENCE else answer.entropy


def _resize(canvas: Canvas, length: int) -> None:
    """Change the length of a canvas that has only masks."""
    if length > len(canvas):
        canvas.append_masks(length - len(canvas))
    else:
        canvas.crop(length)
