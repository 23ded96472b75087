"""The energy that an NVIDIA card takes, from NVML's counter. Tested with a fake NVML, not on a card."""

from collections.abc import Callable

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
        """Joules since the last look or restart; None once the counter could not be read."""
        last = self._last
        self.restart()
        return None if last is None or self._last is None else max(0.0, self._last - last)


def find_meter(device: torch.device) -> EnergyMeter | None:
    """The device's meter; None on a CPU, without nvidia-ml-py, and where the card has no counter (before Volta)."""
    if device.type != "cuda":
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        # By its UUID: NVML numbers the cards of the machine, CUDA those that CUDA_VISIBLE_DEVICES leaves.
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except (pynvml.NVMLError, AttributeError):
        return None

    def joules() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
        except (pynvml.NVMLError, AttributeError):  # in the middle of a run too: a driver that fails ends none
            return None

    return None if joules() is None else EnergyMeter(joules)
