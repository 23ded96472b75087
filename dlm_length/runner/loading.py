"""The model of a config on the config's machine, and who is told of what takes time."""

from typing import Protocol

from dlm_length.config import RunConfig
from dlm_length.engine import Engine
from dlm_length.engine.engine import DEFAULT_BATCH_TOKENS
from dlm_length.engine.machine import Machine, describe_machine, use_threads
from dlm_length.models import MaskPredictor, choose_device, load_model
from dlm_length.runner.environment import mismatches


class Told(Protocol):
    """Who is told what happens. Nothing it does can change an answer."""

    def notice(self, sentence: str) -> None:
        """Something the user should know: a profile that does not match, an earlier run set aside."""

    def phase(self, name: str) -> None:
        """What begins now: loading the model, finding lengths."""


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


def load_engine(config: RunConfig, told: Told) -> Engine:
    """An engine with the config's model. A budget that is to be calibrated is the default: for what is soon done."""
    model, _ = load(config, told)
    return Engine(model, default_budget(config), config.hardware.seed)


def default_budget(config: RunConfig) -> int:
    """The config's tokens of a forward, where they are not calibrated."""
    budget = config.hardware.max_batch_tokens
    return DEFAULT_BATCH_TOKENS if budget == "auto" else budget


class Models:
    """The model loaded last, so that runs of one model load it once."""

    def __init__(self) -> None:
        self._last: tuple[object, tuple[MaskPredictor, Machine]] | None = None

    def load(self, config: RunConfig, told: Told) -> tuple[MaskPredictor, Machine]:
        """As `load`. One model at a time: the last one's memory is free before the next is read."""
        what = (config.model.path, config.model.revision, config.hardware.model_copy(update={"seed": 0}))
        if self._last is None or self._last[0] != what:
            self._last = None
            self._last = (what, load(config, told))
        return self._last[1]
