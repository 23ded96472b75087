"""Traces for a report: samples of finished runs, denoised again with the runs' model."""

from collections.abc import Callable
from pathlib import Path

from dlm_length.common import UserError
from dlm_length.config import load_config
from dlm_length.records.run_folder import CONFIG
from dlm_length.reports.rendering import ShownSample
from dlm_length.runner.devices import Models
from dlm_length.trace.page import trace_page
from dlm_length.trace.record import Frame, Trace
from dlm_length.trace.tracing import trace


class RunTracer:
    """Makes the pages of samples' traces; keeps the last model loaded for further runs with it.

    A trace is left out if it cannot be made, or if its answer or number of forwards differs from the record, as may
    happen on another device or with another version.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        """`notice`: receives messages for the user about model and machine."""
        self.left_out: list[str] = []
        """The reason for each trace that was left out, as a sentence."""
        self._listener = _Listener(notice)
        self._models = Models()

    def __call__(self, run: Path, sample: ShownSample) -> str | None:
        """The HTML page of a sample's trace; None if it is left out. `run`: folder of the run."""
        try:
            config = load_config(run / CONFIG)
            model, _ = self._models.load(config, self._listener)
            traced = trace(config, sample.id, self._listener, loaded=model)
        except (UserError, OSError) as error:
            self.left_out.append(f"No trace of {sample.id} in {run}: {error}")
            return None
        if _differs(traced, sample):
            self.left_out.append(
                f"No trace of {sample.id} in {run}: denoised now, its answer differs from the recorded one (other"
                " weights, device, dtype or version)."
            )
            return None
        return trace_page(traced)


def _differs(traced: Trace, sample: ShownSample) -> bool:
    """Whether answer, number of forwards or canvas length differ from the record."""
    now = (traced.answer, traced.nfe, len(traced.frames[-1].after))
    return now != ("".join(sample.answers[:1]), sample.nfe, sample.n_token)


class _Listener:
    """A `TraceListener` that passes on each notice once and ignores all else."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._noticed: set[str] = set()

    def notice(self, sentence: str) -> None:
        if sentence not in self._noticed:
            self._noticed.add(sentence)
            self._notice(sentence)

    def phase(self, name: str) -> None:
        """Ignored: the report shows its own phases."""

    def begin(self, text: Callable[[int], str]) -> None:
        """Ignored."""

    def frame(self, frame: Frame) -> None:
        """Ignored."""
