"""Denoises one sample as `dlmlen run` would and records every forward; scores and saves nothing."""

from collections.abc import Callable, Sequence
from typing import Protocol

from dlm_length.benchmarks import Problem
from dlm_length.common import ConfigError, SpecialTokens, UserError, counted, suggestion
from dlm_length.config import RunConfig
from dlm_length.models import MaskPredictor, Tokenizer, choose_device
from dlm_length.runner.model import load
from dlm_length.runner.prepare import prepare
from dlm_length.runner.progress import ProgressListener
from dlm_length.trace.record import Frame, Trace, Traced

MASK_SYMBOL, EOS_SYMBOL, EOT_SYMBOL = "░", "∎", "⊣"
_WHITESPACE = str.maketrans({" ": "·", "\n": "↵", "\t": "⇥"})


class TraceListener(ProgressListener, Protocol):
    """Receives the frames of a sample, in addition to messages and phases."""

    def begin(self, text: Callable[[int], str]) -> None:
        """Called before the first forward; `text`: gives the display form of a token id."""

    def frame(self, frame: Frame) -> None:
        """Called for every forward, when the policy requests the next one or ends."""


def trace(config: RunConfig, sample: str, listener: TraceListener, *, loaded: MaskPredictor | None = None) -> Trace:
    """Denoise one sample of a config as `dlmlen run` would, and record every forward.

    `sample`: a problem's id, or its row in the benchmark. `loaded`: the config's model, if already loaded.

    Raises ConfigError for a sample that is not among the config's problems, UserError for one that cannot be run.
    """
    choose_device(config.hardware.device)  # a missing device is reported before any data are fetched
    (prepared,) = prepare([config])
    problem = _find(prepared.problems, sample)
    policy = prepared.policy
    listener.phase("preparing the prompt")
    job = prepared.inputs.job(problem)
    model = load(config, listener)[0] if loaded is None else loaded
    engine = prepared.engine(model)
    ready = prepared.policy_with_lengths(engine, listener)

    text = _TokenText(engine.model)
    listener.begin(text)
    frames: list[Frame] = []

    def keep(frame: Frame) -> None:
        frames.append(frame)
        listener.frame(frame)

    (generation,) = engine.generate([job.prompt_ids], Traced(ready, keep), sample_ids=[problem.id])
    if generation.error is not None:
        raise UserError(f"sample {problem.id!r}: {generation.error} (after {counted(len(frames), 'forward')}).")
    if not frames:
        raise UserError(
            f"sample {problem.id!r}: policy {policy.name!r} made no forward, so that there is nothing to trace."
        )
    total, probe = generation.ledger.total, generation.ledger.probe
    return Trace(
        experiment=config.experiment,
        benchmark=config.benchmark.name,
        model=config.model.short_name,
        policy=config.policy.model_dump(mode="json", exclude={"lengths"}),
        sample_id=problem.id,
        prompt=job.text,
        answer=generation.text(),
        prompt_length=len(job.prompt_ids),
        e_token=generation.e_token,
        nfe=total.nfe,
        probe_nfe=probe.nfe,
        length_sum=total.length_sum,
        head_rows=total.head_rows
        - sum(len(frame.before if frame.recomputed is None else frame.recomputed) for frame in frames),
        frames=frames,
        text=text,
    )


def _find(problems: Sequence[Problem], sample: str) -> Problem:
    """The problem with that id or row. Raises ConfigError if there is none."""
    by_id = {problem.id: problem for problem in problems}
    by_row = {str(problem.index): problem for problem in problems}
    problem = by_id.get(sample) or by_row.get(sample)
    if problem is None:
        rows = [problem.index for problem in problems]
        raise ConfigError(
            f"--sample: found {sample!r}; allowed: one of this config's {len(problems)} problems, by its id"
            f" ({problems[0].id} to {problems[-1].id}) or its row (from {min(rows)} to {max(rows)})."
            f"{suggestion(sample, by_id)} benchmark.limit, subset_seed and sample_ids choose the problems."
        )
    return problem


class _TokenText:
    """Display forms of single tokens: visible whitespace, symbols for special tokens, escaped control characters."""

    def __init__(self, model: MaskPredictor) -> None:
        self._tokenizer: Tokenizer = model.tokenizer
        self._known = _symbols(model.tokens)

    def __call__(self, token_id: int) -> str:
        if token_id not in self._known:
            self._known[token_id] = _visible(self._tokenizer.decode([token_id])) or f"⟨{token_id}⟩"
        return self._known[token_id]


def _symbols(tokens: SpecialTokens) -> dict[int, str]:
    symbols = {tokens.mask: MASK_SYMBOL, tokens.eos: EOS_SYMBOL}
    return symbols if tokens.eot is None else symbols | {tokens.eot: EOT_SYMBOL}


def _visible(text: str) -> str:
    shown = text.translate(_WHITESPACE)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in shown)
