"""The energy that an NVIDIA card takes, from NVML's counter. Tested with a fake NVML, not on a card."""

from collections.abc import Callable
from typing import Any

import torch


class EnergyMeter:
    """Measures the joules that the whole card takes, other processes included."""

    def __init__(self, counter: Callable[[], float | None]) -> None:
        """`counter`: returns joules since some fixed time, or None if it cannot be read; it is not read again then."""
        self._counter = counter
        self._last = counter()

    def restart(self) -> None:
        """Start measuring now: the energy since the last reading is not counted, as no forward was running."""
        if self._last is not None:
            self._last = self._counter()

    def since(self) -> float | None:
        """Joules since the last look or restart.

        None where the counter cannot be read or has decreased, as after a reset of the driver: the energy used before
        the reset is unknown.
        """
        last = self._last
        self.restart()
        return None if last is None or self._last is None or self._last < last else self._last - last


def find_meter(device: torch.device) -> EnergyMeter | None:
    """The device's meter.

    None on a CPU, without nvidia-ml-py, where the card has no counter (before Volta) or may not be asked, and on a
    card in MIG mode: the counter is the whole card's, which other instances use.
    """
    if device.type != "cuda":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        # By its UUID: NVML numbers the cards of the machine, CUDA those that CUDA_VISIBLE_DEVICES leaves.
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        if _in_mig_mode(pynvml, handle):
            return None
    except Exception:  # noqa: BLE001 - NVML's errors, the loader's, a broken library's: measuring ends no run
        return None

    def joules() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
        except Exception:  # noqa: BLE001 - in the middle of a run too: a driver that fails ends none
            return None

    return None if joules() is None else EnergyMeter(joules)


def _in_mig_mode(nvml: Any, handle: Any) -> bool:
    """Whether the card is divided into instances; cards that cannot be say so by an error."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except (nvml.NVMLError, AttributeError):
        return False
    return bool(current)
