"""The model of a config on the device of the config: loading it, and the token budget of its forwards."""

from dataclasses import dataclass

from dlm_length.common import GIB
from dlm_length.config import Hardware, RunConfig
from dlm_length.engine.budget import CACHE_SHARE, activation_bytes, automatic_budget
from dlm_length.engine.machine import Machine, describe_machine, use_threads
from dlm_length.models import Architecture, CheckpointError, MaskPredictor, choose_device, choose_dtype, load_model
from dlm_length.runner.progress import ProgressListener

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_USABLE = 0.95
"""Share of a device's memory; the rest is for the driver and fragmentation."""


def load(config: RunConfig, listener: ProgressListener) -> tuple[MaskPredictor, Machine]:
    """The config's model on its device, and that device. Sets the number of threads that the config gives."""
    hardware = config.hardware
    device = choose_device(hardware.device)
    use_threads(hardware.threads)
    machine = describe_machine(device)
    for sentence in mismatches(hardware, machine):
        listener.notice(sentence)
    listener.phase("loading the model")
    model = load_model(
        config.model.path,
        device=str(device),
        dtype=hardware.dtype,
        revision=config.model.revision,
        adapter=config.model.adapter,
        family_file=config.model.file,
        termination=config.model.termination,
        compiled=hardware.compile,
        fused=hardware.fused,
        batch_invariant=hardware.batch_invariant,
    )
    return model, machine


@dataclass(frozen=True)
class BatchBudget:
    """The size of a forward, and what its memory depends on."""

    tokens: int
    """Prompt and canvas tokens of all samples in one forward."""
    dtype: str
    device: str
    """cpu or cuda."""
    fused: bool
    weight_bytes: int
    activation_bytes: int
    """Peak memory of a forward of `tokens`, without the weights."""


def batch_budget(config: RunConfig, architecture: Architecture, machine: Machine | None) -> BatchBudget:
    """The budget of a forward: the config's tokens, or for auto what fills the device within its memory.

    `machine`: the device, before or after the model was loaded; None where this machine has no such device. Where
    samples keep keys and values between forwards, the engine's share of the memory for these is left free.
    """
    hardware = config.hardware
    cached = getattr(config.policy, "cache", "none") != "none"
    dtype = planned_dtype(hardware, machine)
    device = "cpu" if (machine.device if machine else hardware.device) == "cpu" else "cuda"
    fusing = fused(hardware, device)
    weights = architecture.parameters * BYTES[dtype]
    if hardware.max_batch_tokens == "auto":
        sizes = [int(hardware.memory_gib * GIB)] if hardware.memory_gib else []
        sizes += [machine.memory] if machine else []
        free = int(_USABLE * min(sizes)) - weights if sizes else None
        tokens = automatic_budget(
            architecture,
            device=device,
            bytes_each=BYTES[dtype],
            fused=fusing,
            free=free,
            cache_bytes=int(CACHE_SHARE * free) if cached and free else 0,
        )
    else:
        tokens = hardware.max_batch_tokens
    activations = activation_bytes(architecture, tokens, BYTES[dtype], device=device, fused=fusing)
    return BatchBudget(tokens, dtype, device, fusing, weights, activations)


def find_machine(hardware: Hardware) -> Machine | None:
    """The device of the profile; None where this machine has no such device."""
    try:
        return describe_machine(choose_device(hardware.device))
    except CheckpointError:
        return None


def fused(hardware: Hardware, device: str) -> bool:
    """Whether a run on cpu or cuda fuses its elementwise work."""
    return hardware.fused and not hardware.compile and device == "cuda"


def planned_dtype(hardware: Hardware, machine: Machine | None) -> str:
    """The dtype by its name; for auto on a device that is not here, what a current GPU would get."""
    if hardware.dtype != "auto":
        return hardware.dtype
    if machine is None:
        return "float32" if hardware.device == "cpu" else "bfloat16"
    return choose_dtype("auto", choose_device(machine.device))


def mismatches(hardware: Hardware, machine: Machine) -> list[str]:
    """The differences between this machine and the one the profile was written for, one sentence each."""
    sentences = []
    if hardware.device_name and hardware.device_name.lower() not in machine.name.lower():
        sentences.append(
            f"hardware profile {hardware.profile!r} is for a device named {hardware.device_name!r},"
            f" found {machine.name!r}: its memory and rate may not fit"
        )
    if hardware.memory_gib and not 0.85 <= machine.memory / GIB / hardware.memory_gib <= 1.15:
        sentences.append(
            f"hardware profile {hardware.profile!r} says {hardware.memory_gib:g} GiB of memory,"
            f" found {machine.memory / GIB:.1f} GiB"
        )
    return sentences
