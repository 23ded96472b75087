"""The machine that a model runs on: its name, its free memory, its speed at matrix products."""

import os
import platform
import time
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from dlm_length.models.memory import within_container

_RATE_SIZE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices: large enough that the product takes longer than its launch."""
_RATE_SECONDS = 0.3


@dataclass(frozen=True)
class Machine:
    """A device. `memory` and `free` are in bytes, `threads` are torch's CPU threads.

    `free` includes memory of a GPU that torch holds for this process, but no tensor uses.
    """

    device: str
    name: str
    memory: int
    free: int
    threads: int


def describe_machine(device: torch.device) -> Machine:
    """The device's name, and its memory in total and free now."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        name = torch.cuda.get_device_name(device)
        return Machine(str(device), name, total, free, torch.get_num_threads())
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(str(device), _cpu_name(), total, _free_memory(total), torch.get_num_threads())


def use_threads(threads: int | None) -> None:
    """Set torch's number of CPU threads; None: keep it."""
    if threads is not None:
        torch.set_num_threads(threads)


@cache
def matrix_rate(device: torch.device, dtype: str = "float32") -> float:
    """FLOPs per second of square matrix products on the device, measured for 0.3 s, once per process."""
    size = _RATE_SIZE.get(device.type, _RATE_SIZE["cuda"])
    x = torch.randn(size, size, device=device).to(getattr(torch, dtype))
    float(torch.mm(x, x)[0, 0])
    rounds, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _RATE_SECONDS:
        float(torch.mm(x, x)[0, 0])  # reading a number waits for the device
        rounds += 1
    return 2 * size**3 * rounds / elapsed


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change how an answer is rounded, by name."""
    import transformers

    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
        versions |= {name: installed for name in ("triton", "flash-attn") if (installed := _installed(name))}
    return versions


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _free_memory(total: int) -> int:
    """Bytes that can be allocated without swapping, at most the container's limit if there is one."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux: a conservative estimate
        return total // 2
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), total // 2)
    return within_container(free)
