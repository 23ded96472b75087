"""Whether a checkpoint's weights fit into a device's memory, checked before anything is allocated."""

import os
from pathlib import Path

import torch

from dlm_length.common import GIB
from dlm_length.models.architecture import Architecture
from dlm_length.models.errors import CheckpointError

_CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the memory limit of the container, under cgroup versions 2 and 1."""


def check_memory(folder: Path, architecture: Architecture, dtype: torch.dtype, device: torch.device) -> None:
    """Raise CheckpointError where the weights in `dtype` are larger than all of the device's memory.

    Memory that is in use is not subtracted: a checkpoint that nearly fits fails later, when memory runs out.
    """
    needed, memory = architecture.parameters * dtype.itemsize, device_memory(device)
    if needed > memory:
        kind = str(dtype).removeprefix("torch.")
        raise CheckpointError(
            f"checkpoint {folder}: {architecture.layers:,} layers of width {architecture.width:,} are"
            f" {needed / GIB:,.1f} GiB of weights in {kind}, and {device} has {memory / GIB:,.1f} GiB of memory."
            " Are config.json's sizes right? Else choose a smaller dtype (hardware.dtype=bfloat16) or another device."
        )


def device_memory(device: torch.device) -> int:
    """Total memory of the device in bytes; of a CPU, at most the container's limit."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return within_container(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def within_container(memory: int) -> int:
    """`memory` in bytes, or the container's limit where that is less."""
    for file in _CONTAINER_LIMITS:
        if file.exists() and (text := file.read_text(encoding="utf-8").strip()).isdigit():
            memory = min(memory, int(text))
    return memory
