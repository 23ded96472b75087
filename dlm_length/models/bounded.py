"""A bound on what a computation that a checkpoint brings may take, in this process."""

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
    """Raise TimeoutError or MemoryError in the block once it has used so much CPU time, or so much more memory.

    Both limits are the operating system's, so that one large allocation is refused before it is made. The time is CPU
    time, which a busy machine does not shorten, and is checked between Python instructions; it is bounded in the main
    thread alone, where Python delivers signals, and memory on Linux alone. Not meant to run next to other threads: the
    memory limit is the whole process's.
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
