"""Forwards over masks alone, which no run's cost includes: EOS probabilities of the first, and confidence by length."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import ConfigError, UserError
from dlm_length.config import RunConfig, load_config
from dlm_length.denoising import Canvas, DenoiseCoroutine, Query, Stat, StatSpec
from dlm_length.models import choose_device
from dlm_length.policies.fixed import Fixed
from dlm_length.policies.length_search import length_bias
from dlm_length.records import read_sample_ids, read_summaries, write_first_eos
from dlm_length.records.run_folder import CONFIG
from dlm_length.runner.model import load
from dlm_length.runner.prepare import prepare
from dlm_length.runner.progress import ProgressListener
from dlm_length.stats import fit_exponentials

FEWEST = 5
"""Lengths that a curve of five coefficients needs."""


class _FirstForward:
    """One forward on a canvas of masks; nothing is committed."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.eos: dict[str, np.ndarray] = {}

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length)
        answer = yield Query(canvas, np.arange(self.length), StatSpec(Stat.EOS), probe=True)
        self.eos[canvas.sample_id] = answer.eos.astype(np.float32)


def probe(run: Path, listener: ProgressListener) -> Path:
    """Write the EOS probabilities of every sample's first forward next to the run's records; returns the file.

    DAEDAL's figure is drawn from them: the EOS confidence of problems that a canvas of this length answers
    correctly, minus that of the others (arXiv 2508.00819). Costs one forward per sample, which no run's cost includes.

    Raises RecordError where the folder is not a finished run, UserError for one whose canvas is not fixed.
    """
    sample_ids = read_sample_ids(run)
    config = load_config(str(run / CONFIG))
    if not isinstance(config.policy, Fixed):
        raise UserError(
            f"probe {run}: its policy is {config.policy.name}, but only a fixed canvas has a first forward"
            " that can be compared position by position. Name a run of policy fixed."
        )
    (prepared,) = prepare([config])
    model, _ = load(config, listener)
    engine = prepared.engine(model)
    listener.phase("preparing the prompts")
    ran = {record.id for record in read_summaries(run, only=sample_ids) if record.error is None}
    jobs = [prepared.inputs.job(problem) for problem in prepared.problems if problem.id in ran]
    listener.phase("computing the first forwards")
    measuring = _FirstForward(config.policy.length)
    ids = [job.problem.id for job in jobs]
    for _ in engine.generate([job.prompt_ids for job in jobs], measuring, sample_ids=ids):
        pass
    return write_first_eos(run, measuring.eos)


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
    return FittedBias(fit_exponentials(tried, confidences), tuple(tried), confidences, len(jobs))
