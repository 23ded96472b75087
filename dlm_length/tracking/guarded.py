"""Opening a tracker by name, so that neither its failures nor its slowness affect the run."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from dlm_length.common import UserError, brief
from dlm_length.tracking.base import TrackedRun, Tracker, TrackerName

PATIENCE = 60.0
"""Seconds that one call of a tracker's library may take at the end of a run; the run waits for none before."""
GRACE_SECONDS = 5.0
"""As `PATIENCE`, for a run that was interrupted and has nothing to send."""


def check_tracker(name: TrackerName) -> None:
    """Raise UserError where the tracker's library is not installed."""
    _adapter(name)


def open_tracker(
    name: TrackerName,
    run: TrackedRun,
    config: Mapping[str, Any],
    notice: Callable[[str], None],
    *,
    patience: float | None = None,
) -> "GuardedTracker":
    """Start tracking a run. `patience`: see `GuardedTracker`; `notice`: called with the sentence of a later failure.

    Raises UserError where the library is missing.
    """
    adapter = _adapter(name)
    return GuardedTracker(name, lambda: adapter(run), notice, patience=patience).started(config)


@dataclass(frozen=True)
class _Call:
    """A queued call of the tracker."""

    action: Callable[[], None]
    replaceable: bool = False
    """Whether a later replaceable call supersedes it."""


class GuardedTracker:
    """A tracker in a thread of its own: only `finish` waits for it, and only for a limited time.

    Its first failure is reported once, by the run's next call; from then on it does nothing, and the run goes on.
    """

    def __init__(
        self, name: str, make: Callable[[], Tracker], notice: Callable[[str], None], *, patience: float | None = None
    ) -> None:
        """`patience`: seconds that one of the tracker's calls may take in `finish`; None: `PATIENCE`."""
        self._name = name
        self._notice = notice
        self._patience = PATIENCE if patience is None else patience
        self._changed = threading.Condition()
        # All below is read and written under the condition's lock.
        self._tracker: Tracker | None = None
        self._calls: deque[_Call] = deque()
        self._busy_since: float | None = None
        self._over = False
        self._fault: str | None = None
        self._add(lambda: self._hold(make()))
        # A daemon: a library that hangs must not keep the command from ending.
        threading.Thread(target=self._serve, daemon=True, name=f"tracking with {name}").start()

    def started(self, config: Mapping[str, Any]) -> Self:
        """Open the run with its config."""
        self._call(lambda tracker: tracker.start(config))
        return self

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.log`. Values that are still queued when newer ones arrive are dropped."""
        self._call(lambda tracker: tracker.log(step, values), replaceable=True)

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """See `Tracker.finish`. Waits until everything is sent or one call takes too long, and ends the tracking.

        After an interrupt during the wait the tracker has `GRACE_SECONDS` more to close its run; a second interrupt
        ends that.
        """
        self._call(lambda tracker: tracker.finish(metrics, artifacts))
        leaving = min(GRACE_SECONDS, self._patience)
        try:
            self._wait(self._patience if metrics or artifacts else leaving)
        except BaseException:
            self._wait(leaving, since=time.monotonic())
            raise
        self._report()

    def _wait(self, patience: float, *, since: float = 0.0) -> None:
        """Wait until every call is done, or one has taken that many seconds after `since`; it is over then."""
        with self._changed:
            while not self._over and (self._calls or self._busy_since is not None):
                begun = None if self._busy_since is None else max(self._busy_since, since)
                left = patience - (0.0 if begun is None else time.monotonic() - begun)
                if left <= 0:
                    self._fail(f"it has not answered for {patience:g} s")
                else:
                    self._changed.wait(timeout=left)
            self._over = True
            self._changed.notify_all()

    def _call(self, method: Callable[[Tracker], None], *, replaceable: bool = False) -> None:
        def act() -> None:
            assert self._tracker is not None, "the first call in the queue makes it"
            method(self._tracker)

        self._add(act, replaceable=replaceable)
        self._report()

    def _add(self, action: Callable[[], None], *, replaceable: bool = False) -> None:
        with self._changed:
            if self._over:
                return
            if replaceable and self._calls and self._calls[-1].replaceable:
                self._calls.pop()
            self._calls.append(_Call(action, replaceable))
            self._changed.notify_all()

    def _report(self) -> None:
        with self._changed:
            fault, self._fault = self._fault, None
        if fault is not None:
            self._notice(f"tracking with {self._name} ended, and the run goes on without it: {fault}")

    def _hold(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def _serve(self) -> None:
        """The tracker's thread: execute queued calls in order, until one fails or the tracking has ended."""
        while True:
            with self._changed:
                self._busy_since = None
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._calls) or self._over)
                if self._over:
                    return
                call = self._calls.popleft()
                self._busy_since = time.monotonic()
            try:
                call.action()
            except BaseException as error:  # noqa: BLE001 - whatever a tracker's library raises, the run goes on
                with self._changed:
                    self._fail(brief(error))

    def _fail(self, reason: str) -> None:
        """End the tracking. The caller holds the lock."""
        if not self._over:
            self._over, self._fault = True, reason
            self._calls.clear()
            self._changed.notify_all()


def _adapter(name: TrackerName) -> Callable[[TrackedRun], Tracker]:
    """The adapter's class. Raises UserError where the library that it imports is missing, or cannot be imported."""
    try:
        module = import_module(f"dlm_length.tracking.{name}_tracker")
    except ImportError as error:
        raise UserError(
            f"tracking: {name} is not installed ({error}); `pip install 'dlmlen[{name}]'` does it."
        ) from error
    except Exception as error:  # such as of a library that does not fit another one's version
        raise UserError(
            f"tracking: {name} is installed, but cannot be imported ({type(error).__name__}: {error}); run without"
            f" tracking, or repair it with `pip install --upgrade 'dlmlen[{name}]'`."
        ) from error
    adapter: Callable[[TrackedRun], Tracker] = module.ADAPTER
    return adapter
