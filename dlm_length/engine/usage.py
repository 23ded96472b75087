"""The load of the device, for a progress line."""

import time

import torch


class DeviceUse:
    """Reports the load of a device as text; cheap enough to call every second."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = time.monotonic(), time.process_time()

    def __call__(self) -> str:
        """`CPU 180%` (of one core, since the last call) or `GPU 95%, 20 of 78 GiB`; the load needs nvidia-ml-py."""
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            try:
                load = f" {torch.cuda.utilization(self._device)}%,"
            except Exception:  # noqa: BLE001 - NVML's own errors too, as on a MIG device: a failing display must not end a run
                load = ""
            return f"GPU{load} {(total - free) / 2**30:.0f} of {total / 2**30:.0f} GiB"
        now = time.monotonic(), time.process_time()
        elapsed, worked = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return f"CPU {100 * worked / elapsed:.0f}%" if elapsed > 0 else ""
