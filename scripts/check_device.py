"""What the parts of gpu_check.py share: the device, models of a size that suits it, results that outlast an error."""

import json
import signal
import statistics as summary
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch
from random_llada import LLADA_8B, SMALL, random_llada

from dlm_length import MaskPredictor
from dlm_length.models import Architecture
from dlm_length.models.fixed_rows import fixed_rows_linear
from dlm_length.models.fused import FusedBackbone

Found = dict[str, Any]
_LEAST_MEMORY = 40 * 10**9
"""Bytes of a device for all layers of the large model; a smaller one gets a quarter of them."""


class OutOfTimeError(Exception):
    """A part took longer than it may."""


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTimeError in the block after so many seconds, and again every five, should a callee have caught it."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise OutOfTimeError(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Check:
    """The device, sizes that suit it, the large model, and the results so far."""

    device: torch.device
    out: Path | None = None
    found: Found = field(default_factory=dict)
    """All results, by part; a part writes into its own as it goes."""
    _large: MaskPredictor | None = None

    def say(self, line: str) -> None:
        """Print a line with the time, and write the results so far."""
        print(f"[{time.strftime('%H:%M:%S')}] {line}", flush=True)
        self.save()

    def save(self) -> None:
        """Write the results so far, if to a file; an interrupted write leaves the one before."""
        if self.out is None:
            return
        half = self.out.with_name(f"{self.out.name}.part")
        half.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")
        half.replace(self.out)

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def half(self) -> torch.dtype:
        """The half-precision dtype that the device supports."""
        if self.on_gpu and torch.cuda.get_device_capability(self.device) < (8, 0):
            return torch.float16
        return torch.bfloat16

    @property
    def half_name(self) -> str:
        return str(self.half).removeprefix("torch.")

    @property
    def halves(self) -> list[str]:
        """The names of the half-precision dtypes that are checked, the device's own first."""
        return [self.half_name] + (["float16"] if self.on_gpu and self.half != torch.float16 else [])

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the large model: half precision is slow on a CPU."""
        return self.half if self.on_gpu else torch.float32

    @property
    def shape(self) -> Architecture:
        if not self.on_gpu:
            return SMALL
        fits = torch.cuda.get_device_properties(self.device).total_memory >= _LEAST_MEMORY
        return LLADA_8B if fits else self.shallow

    @property
    def shallow(self) -> Architecture:
        """The large model's shape with fewer layers: for float32, and for smaller devices."""
        return LLADA_8B.model_copy(update={"layers": LLADA_8B.layers // 4}) if self.on_gpu else SMALL

    def scaled(self, on_gpu: int, on_cpu: int) -> int:
        return on_gpu if self.on_gpu else on_cpu

    def large(self) -> MaskPredictor:
        """The model of LLaDA-8B's shape, created once."""
        if self._large is None:
            self.say(f"creating {self.shape.parameters / 1e9:.2f} B random weights")
            self._large = random_llada(self.shape, self.device, self.dtype)
        return self._large

    def invariant(self, model: MaskPredictor) -> MaskPredictor:
        """The model in batch-invariant mode, with the same weights."""
        fused = (model.fused or FusedBackbone(model.backbone)).with_linear(fixed_rows_linear)
        return replace(model, fused=fused, linear=fixed_rows_linear)

    def wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, run: Callable[[], object], *, rounds: int = 5) -> float:
        """Median duration of `run`, after one call that is not timed."""
        run()
        taken = []
        for _ in range(rounds):
            self.wait()
            start = time.perf_counter()
            run()
            self.wait()
            taken.append(time.perf_counter() - start)
        return summary.median(taken)
