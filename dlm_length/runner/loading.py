"""The model of a config on the config's machine."""

from typing import Protocol

from dlm_length.config import RunConfig
from dlm_length.engine.machine import Machine, describe_machine, use_threads
from dlm_length.models import MaskPredictor, choose_device, load_model
from dlm_length.runner.environment import mismatches


class Told(Protocol):
    """Who is told of the loading."""

    def notice(self, sentence: str) -> None:
        """Something the user should know: a profile that does not match."""

    def phase(self, name: str) -> None:
        """What begins now."""


def load(config: RunConfig, told: Told) -> tuple[MaskPredictor, Machine]:
    """The config's model on its device, and what machine that is. Sets the threads that the config asks for."""
    hardware = config.hardware
    device = choose_device(hardware.device)
    use_threads(hardware.threads)
    machine = describe_machine(device)
    for sentence in mismatches(hardware, machine):
        told.notice(sentence)
    told.phase("loading the model")
    model = load_model(
        config.model.path,
        device=str(device),
        dtype=hardware.dtype,
        revision=config.model.revision,
        compiled=hardware.compile,
    )
    return model, machine


class Models:
    """The model loaded last, so that runs of one model load it once."""

    def __init__(self) -> None:
        self._last: tuple[object, tuple[MaskPredictor, Machine]] | None = None

    def load(self, config: RunConfig, told: Told) -> tuple[MaskPredictor, Machine]:
        """As `load`. One model at a time: the last one's memory is free before the next is read."""
        what = (config.model.path, config.model.revision, config.hardware)
        if self._last is None or self._last[0] != what:
            self._last = None
            self._last = (what, load(config, told))
        return self._last[1]
