"""CAL's length bias of a model: its mean confidence on canvases of masks by their length, and the fitted curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import ConfigError, UserError
from dlm_length.config import RunConfig
from dlm_length.denoising import Canvas, DenoiseCoroutine, Query, Stat, StatSpec
from dlm_length.models import choose_device
from dlm_length.policies.length_search import length_bias
from dlm_length.runner.model import load
from dlm_length.runner.prepare import prepare
from dlm_length.runner.progress import ProgressListener

FEWEST = 5
"""Lengths that a curve of five coefficients needs."""
_RATES = np.concatenate([[0.0], np.geomspace(1e-4, 10.0, 80)])
"""Decay rates that are tried first, per token."""
_ZOOMS = 6
_DIGITS = 6


@dataclass(frozen=True)
class FittedBias:
    """A curve and the points that it was fitted to."""

    bias: tuple[float, float, float, float, float]
    """(a, b, c, d, e) of a exp(-b L) + c exp(-d L) + e, as `LengthSearch.bias` takes them."""
    lengths: tuple[int, ...]
    """In tokens."""
    confidences: NDArray[np.float64]
    """Mean confidence at each length, (lengths,), over the prompts."""
    prompts: int

    @property
    def error(self) -> float:
        """Root mean square of the curve's distance from the confidences."""
        return float(np.sqrt(np.mean((length_bias(np.array(self.lengths), self.bias) - self.confidences) ** 2)))


class _MasksAlone:
    """One forward over masks alone at each length; nothing is committed."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = lengths
        self.confidences: dict[str, list[float]] = {}

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        means = self.confidences.setdefault(canvas.sample_id, [])
        for length in self.lengths:
            canvas.append_masks(length - len(canvas))
            answer = yield Query(canvas, canvas.all, StatSpec(Stat.CONFIDENCE), probe=True)
            means.append(float(answer.confidence.mean()))


def measure_bias(config: RunConfig, lengths: Sequence[int], listener: ProgressListener) -> FittedBias:
    """The mean confidence of a config's model on masks alone after each of its prompts, and the curve fitted to it.

    `lengths`: of the canvases, in tokens, at least five. Costs one forward per length and prompt, which is charged to
    no ledger. The config's policy is not used. Raises ConfigError for too few lengths and for one beyond the model's
    context limit, UserError where a prompt cannot be run.
    """
    tried = sorted(set(lengths))
    if len(tried) < FEWEST or tried[0] < 1:
        raise ConfigError(
            f"--lengths: found {', '.join(map(str, lengths))}; a curve of {FEWEST} coefficients needs at least {FEWEST}"
            " different lengths of 1 token or more."
        )
    choose_device(config.hardware.device)  # a missing device is reported before any data are fetched
    listener.phase("preparing the prompts")
    (prepared,) = prepare([config])
    jobs = prepared.jobs
    longest, most = max(len(job.prompt_ids) for job in jobs), prepared.architecture.max_length
    if longest + tried[-1] > most:
        raise ConfigError(
            f"--lengths: found {tried[-1]}, after a prompt of {longest} tokens: the model takes at most {most}; leave"
            " out the longest lengths."
        )
    model, _ = load(config, listener)
    engine = prepared.engine(model)
    listener.phase("measuring the confidence on canvases of masks")
    measuring = _MasksAlone(tried)
    ids = [job.problem.id for job in jobs]
    for generation in engine.generate([job.prompt_ids for job in jobs], measuring, sample_ids=ids):
        if generation.error is not None:
            raise UserError(f"sample {generation.sample_id!r}: {generation.error}; leave out the longest lengths.")
    confidences: NDArray[np.float64] = np.mean([measuring.confidences[sample_id] for sample_id in ids], axis=0)
    return FittedBias(fit_bias(tried, confidences), tuple(tried), confidences, len(jobs))


def fit_bias(lengths: Sequence[int], confidences: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """(a, b, c, d, e), none negative and b >= d, of the least-squares curve a exp(-b L) + c exp(-d L) + e.

    `confidences`: (lengths,). For two given rates the best amplitudes are a linear problem, so that a search over the
    rates finds the curve: a grid over all of them, then finer grids around the best pair.
    """
    places = np.asarray(lengths, dtype=np.float64)
    low = high = _RATES
    for _ in range(_ZOOMS):
        fits = [
            (*_amplitudes(places, confidences, fast, slow), fast, slow) for fast in high for slow in low if slow <= fast
        ]
        _, (a, c, e), fast, slow = min(fits, key=lambda fit: fit[0])
        high, low = _around(high, fast), _around(low, slow)
    a, b, c, d, e = (round(float(value), _DIGITS) for value in (a, fast, c, slow, e))
    return a, b, c, d, e


def _amplitudes(
    places: NDArray[np.float64], confidences: NDArray[np.float64], fast: float, slow: float
) -> tuple[float, NDArray[np.float64]]:
    """Sum of squared errors and the amplitudes (a, c, e), none negative, for two given rates.

    Non-negative least squares of three columns: the best unconstrained fit over every subset of the columns.
    """
    columns = np.stack([np.exp(-fast * places), np.exp(-slow * places), np.ones_like(places)], axis=1)
    best: tuple[float, NDArray[np.float64]] = (float("inf"), np.zeros(3))
    for chosen in ([0, 1, 2], [1, 2], [0, 2], [0, 1], [2], [1], [0]):
        amplitudes = np.zeros(3)
        amplitudes[chosen] = np.linalg.lstsq(columns[:, chosen], confidences, rcond=None)[0]
        error = float(((columns @ amplitudes - confidences) ** 2).sum())
        if (amplitudes >= 0).all() and error < best[0]:
            best = error, amplitudes
            if len(chosen) == len(amplitudes):  # no fit of fewer columns is better
                break
    return best


def _around(rates: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """A grid between the neighbours of the best rate."""
    place = int(np.flatnonzero(rates == best)[0])
    return np.linspace(rates[max(place - 1, 0)], rates[min(place + 1, len(rates) - 1)], 9)
