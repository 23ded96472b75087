"""Asynchronous transfers of small arrays between host and device, and timing on the device."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def on_device(host: Tensor, device: torch.device) -> Tensor:
    """A copy of `host` on the device; for CUDA from pinned memory, so that the call does not wait for the copy."""
    if device.type != "cuda":
        return host.to(device)
    return host.pin_memory().to(device, non_blocking=True)


class Stopwatch:
    """Seconds that a device takes for the operations launched before `stop`; on a CPU, wall-clock."""

    def __init__(self, device: torch.device) -> None:
        """Starts at once."""
        self._device = device
        self._marks = [self._mark()]

    def stop(self) -> None:
        """Mark the end of the timed operations, without waiting for the device."""
        self._marks.append(self._mark())

    @property
    def seconds(self) -> float:
        """The seconds between start and `stop`. Waits until the device has finished the operations."""
        start, end = self._marks
        if isinstance(start, float):
            return float(end) - start
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3

    def _mark(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event


class Fetch:
    """A transfer of arrays of equal length to the host, with one copy per dtype."""

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        """Starts the transfer. `parts`: the arrays by name, each (rows,)."""
        self._groups: list[tuple[list[str], Tensor]] = []
        self._arrived: torch.cuda.Event | None = None
        for dtype in dict.fromkeys(values.dtype for values in parts.values()):
            names = [name for name, values in parts.items() if values.dtype == dtype]
            together = torch.stack([parts[name] for name in names])
            if together.is_cuda:
                host = torch.empty(together.shape, dtype=dtype, device="cpu", pin_memory=True)
                host.copy_(together, non_blocking=True)
                self._groups.append((names, host))
                self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
                self._arrived.record(torch.cuda.current_stream(together.device))
            else:
                self._groups.append((names, together))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, once they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        arrays: dict[str, NDArray[Any]] = {}
        for names, together in self._groups:
            arrays |= zip(names, together.numpy(), strict=True)
        return arrays
