"""Limits of CPU time and memory for code that a checkpoint supplies, such as a chat template, within this process."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]

_STATM = Path("/proc/self/statm")


@contextmanager
def bounded(*, cpu_seconds: float, memory_bytes: int) -> Iterator[None]:
    """Raise TimeoutError or MemoryError in the block after `cpu_seconds`, or beyond `memory_bytes` more than before.

    The operating system enforces both limits, so that one large allocation is refused before it is made. CPU time does
    not depend on how busy the machine is; it is checked between Python instructions, and only in the main thread, where
    Python delivers signals. Memory is limited on Linux only, and for the whole process: other threads should not run
    meanwhile.
    """
    with _memory_limit(memory_bytes), _time_limit(cpu_seconds):
        yield


@contextmanager
def _memory_limit(more: int) -> Iterator[None]:
    if resource is None or not _STATM.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    bound = min([now + more, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"it took more than {seconds:g} seconds of CPU time")

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
