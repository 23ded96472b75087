"""Bounds on the code of a policy from outside the package, for checks before a run. Does not import torch.

Such code may ask for forwards without end, or compute without end between two of them.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dlm_length.common import ConfigError
from dlm_length.common.plugin_faults import origin_of
from dlm_length.common.program import STEPS_LOGGER
from dlm_length.denoising import Denoiser, FollowUp, Query

MOST_FORWARDS = 2**18
FEWEST_FORWARDS = 2**15
FORWARDS_PER_TOKEN = 64
"""Of the model's limit: the forwards after which a policy counts as one that does not end, from `FEWEST_FORWARDS` to
`MOST_FORWARDS`; many times as many as any method takes."""
MOST_UNCHANGED = 2**14
"""Consecutive forwards over the same tokens after which a policy counts as one that does not end."""
NOTICE_SECONDS = 5.0
"""CPU time of one step after which the log says where the policy is."""
STEP_SECONDS = 60.0
"""Most CPU time from one forward to the next of a policy without `step_seconds`."""
INTERVAL = 0.5
"""CPU time between two looks at the clock, in seconds."""


class ForwardCount:
    """Counts what one coroutine asks for, and how often in a row over the same tokens."""

    def __init__(self, most_tokens: int) -> None:
        """`most_tokens`: the model's limit."""
        self._most = min(MOST_FORWARDS, max(FEWEST_FORWARDS, FORWARDS_PER_TOKEN * most_tokens))
        self._asked = 0
        self._unchanged = 0
        self._tokens = b""

    def add(self, question: Query | FollowUp) -> str | None:
        """Count a question; the reason why the coroutine counts as endless, None while it does not."""
        self._asked += 1
        self._unchanged += 1
        if isinstance(question, Query) and (tokens := question.canvas.ids.tobytes()) != self._tokens:
            self._tokens, self._unchanged = tokens, 1
        if self._unchanged > MOST_UNCHANGED:
            return f"no end after {MOST_UNCHANGED:,} forwards in a row over the same tokens"
        return f"no end after {self._most:,} forwards" if self._asked > self._most else None


class _OverdueError(BaseException):
    """Raised inside the policy's code; not an Exception, so that it passes `except Exception`."""


class StepTimer:
    """Limits the CPU time between two forwards; CPU time, so that a busy machine does not change what is refused."""

    def __init__(self, policy: Denoiser) -> None:
        self._policy = policy
        self._origin = origin_of(policy)
        self._limit = float(getattr(policy, "step_seconds", STEP_SECONDS))
        self._began = 0.0
        self._noticed = False
        self._where = ""

    def restart(self) -> None:
        """Begin the next step."""
        self._began = time.thread_time()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch the steps in the body. Raises ConfigError, with file and line, where one exceeds the limit.

        Only for a policy from outside the package, and only in the main thread, where signals arrive; not on Windows.
        """
        in_main_thread = threading.current_thread() is threading.main_thread()
        if self._origin is None or not in_main_thread or not hasattr(signal, "setitimer"):
            yield
            return
        self.restart()
        previous = signal.signal(signal.SIGPROF, self._look)
        timer = signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        try:
            yield
        except _OverdueError:
            raise ConfigError(
                f"{self._origin}: denoise computed for {self._limit:g} s without asking for a forward, at"
                f" {self._where}. If that is no endless loop, let its class allow more: `step_seconds:"
                f" ClassVar[float]`."
            ) from None
        finally:
            signal.setitimer(signal.ITIMER_PROF, *timer)
            signal.signal(signal.SIGPROF, previous)

    def _look(self, _: int, frame: FrameType | None) -> None:
        seconds = time.thread_time() - self._began
        if seconds < NOTICE_SECONDS or frame is None:
            return
        self._where = _place(frame, type(self._policy).__module__)
        if seconds >= self._limit:
            raise _OverdueError
        if not self._noticed:
            self._noticed = True
            logging.getLogger(STEPS_LOGGER).warning(
                f"{self._origin}: denoise has computed for {seconds:.0f} s without a forward, now at {self._where};"
                f" after {self._limit:g} s it is refused"
            )


def _place(frame: FrameType, module: str) -> str:
    """The innermost line in the policy's own package or file, else the innermost of all, as `line N of FILE`."""
    package = module.partition(".")[0]
    innermost = frame
    at: FrameType | None = frame
    while at is not None:
        if str(at.f_globals.get("__name__", "")).partition(".")[0] == package:
            innermost = at
            break
        at = at.f_back
    return f"line {innermost.f_lineno} of {innermost.f_code.co_filename}"
