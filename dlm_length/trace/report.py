"""Traces for a report: samples of finished runs, denoised again with the model of the runs."""

from collections.abc import Callable
from pathlib import Path

from dlm_length.common import UserError
from dlm_length.config import RunConfig, load_config
from dlm_length.models import MaskPredictor
from dlm_length.records.run_folder import CONFIG
from dlm_length.reports.rendering import ShownSample
from dlm_length.runner.model import load
from dlm_length.trace.page import trace_page
from dlm_length.trace.record import Frame, Trace
from dlm_length.trace.sample import trace


class RunTracer:
    """Makes the page of a sample's trace, and keeps the last model for further runs with it.

    A trace whose answer or number of forwards differs from the record, as it may on another device or in another
    version, is left out, as is one that cannot be made.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        """`notice`: receives messages for the user on model and machine."""
        self.left_out: list[str] = []
        """A sentence for each trace that was left out."""
        self._listener = _Listener(notice)
        self._loaded: tuple[str, MaskPredictor] | None = None

    def __call__(self, run: Path, sample: ShownSample) -> str | None:
        """The page; None where the trace is left out."""
        try:
            config = load_config(run / CONFIG)
            traced = trace(config, sample.id, self._listener, loaded=self._model(config))
        except (UserError, OSError) as error:
            self.left_out.append(f"No trace of {sample.id} in {run}: {error}")
            return None
        if _differs(traced, sample):
            self.left_out.append(
                f"No trace of {sample.id} in {run}: denoised now, its answer is another than the recorded one (other"
                " weights, device, dtype or version)."
            )
            return None
        return trace_page(traced)

    def _model(self, config: RunConfig) -> MaskPredictor:
        key = f"{config.model.model_dump_json()} {config.hardware.model_dump_json(exclude={'seed'})}"
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # before the next is loaded: two may not fit
            self._loaded = key, load(config, self._listener)[0]
        return self._loaded[1]


def _differs(traced: Trace, sample: ShownSample) -> bool:
    now = (traced.answer, traced.nfe, len(traced.frames[-1].after))
    return now != ("".join(sample.answers[:1]), sample.nfe, sample.n_token)


class _Listener:
    """A `TraceListener` that passes on notices, each once."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._noticed: set[str] = set()

    def notice(self, sentence: str) -> None:
        if sentence not in self._noticed:
            self._noticed.add(sentence)
            self._notice(sentence)

    def phase(self, name: str) -> None:
        """Phases are shown by the report."""

    def begin(self, text: Callable[[int], str]) -> None:
        """Nothing is shown while it goes on."""

    def frame(self, frame: Frame) -> None:
        """As `begin`."""
