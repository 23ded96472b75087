"""The EOS probabilities of the first forward, computed for the samples of a finished run: `dlmlen probe`."""

from pathlib import Path

import numpy as np

from dlm_length.common import UserError
from dlm_length.config import load_config
from dlm_length.denoising import Canvas, DenoiseCoroutine, Query, Stat, StatSpec
from dlm_length.policies.fixed import Fixed
from dlm_length.records import read_sample_ids, read_summaries, write_first_eos
from dlm_length.records.run_folder import CONFIG
from dlm_length.runner.model import load
from dlm_length.runner.prepare import prepare
from dlm_length.runner.progress import ProgressListener


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
