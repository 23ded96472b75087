"""The first forward of a finished fixed run, looked at once more for its EOS probabilities."""

from pathlib import Path

import numpy as np

from dlm_length.common import UserError
from dlm_length.config import load_config
from dlm_length.denoising import Canvas, DenoiseCoroutine, Query, Stat, StatSpec
from dlm_length.models import load_tokenizer
from dlm_length.policies.fixed import Fixed
from dlm_length.records import read_sample_ids, read_summaries, save_first_eos
from dlm_length.records.run_folder import CONFIG
from dlm_length.runner.jobs import prepare
from dlm_length.runner.loading import ProgressListener, load_engine


class _FirstForward:
    """One forward on an empty canvas, and nothing is committed."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.eos: dict[str, np.ndarray] = {}

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length)
        answer = yield Query(canvas, np.arange(self.length), StatSpec(Stat.EOS), probe=True)
        self.eos[canvas.sample_id] = answer.eos.astype(np.float32)


def probe(run: Path, told: ProgressListener) -> Path:
    """Write the EOS probabilities of every sample's first forward beside the run's records; the file.

    Behind DAEDAL's figure of the EOS confidence of problems that a canvas suffices for, less that of those that it does
    not (arXiv 2508.00819). Costs one forward a sample, which no ledger is charged.

    Raises RecordError where the folder is no finished run, UserError for one whose canvas is not fixed.
    """
    asked = read_sample_ids(run)
    config = load_config(str(run / CONFIG))
    if not isinstance(config.policy, Fixed):
        raise UserError(
            f"probe {run}: its policy is {config.policy.name}, but only a fixed canvas has a first forward"
            " that can be compared position by position. Name a run of policy fixed."
        )
    engine = load_engine(config, told)
    told.phase("preparing the prompts")
    ran = {record.id for record in read_summaries(run, only=asked) if record.error is None}
    tokenizer = load_tokenizer(config.model.path, config.model.revision, config.model.file)
    problems = [problem for problem in config.benchmark.problems() if problem.id in ran]
    jobs = prepare(config.benchmark, problems, tokenizer)
    told.phase("looking at the first forward")
    looking = _FirstForward(config.policy.length)
    ids = [job.problem.id for job in jobs]
    for _ in engine.generate([job.prompt_ids for job in jobs], looking, sample_ids=ids):
        pass
    return save_first_eos(run, looking.eos)
