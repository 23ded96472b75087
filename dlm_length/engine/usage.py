"""How busy the device is, for a progress line."""

import time

import torch


class DeviceUse:
    """Looks at this process's device; cheap enough for every second. Without nvidia-ml-py a GPU's load is unknown."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = time.monotonic(), time.process_time()

    def __call__(self) -> str:
        """`CPU 180%` of one core since the last look, or `GPU 95%, 20 of 78 GiB`, without the load if unknown."""
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            try:
                load = f" {torch.cuda.utilization(self._device)}%,"
            except Exception:  # noqa: BLE001 - NVML's own errors too, as on a MIG device: a display ends no run
                load = ""
            return f"GPU{load} {(total - free) / 2**30:.0f} of {total / 2**30:.0f} GiB"
        now = time.monotonic(), time.process_time()
        elapsed, worked = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return f"CPU {100 * worked / elapsed:.0f}%" if elapsed > 0 else ""
