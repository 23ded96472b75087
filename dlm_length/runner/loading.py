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
