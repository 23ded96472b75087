"""Opening a tracker by name, and keeping its failures from the run."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from dlm_length.common import UserError
from dlm_length.tracking.base import TrackedRun, Tracker, TrackerName


def check_tracker(name: TrackerName) -> None:
    """Raise UserError where the tracker's library is not installed."""
    _adapter(name)


def open_tracker(
    name: TrackerName, run: TrackedRun, config: Mapping[str, Any], notice: Callable[[str], None]
) -> "GuardedTracker":
    """Start tracking a run. Raises UserError where the library is missing; `notice` hears of all other failures."""
    adapter = _adapter(name)
    return GuardedTracker(name, lambda: adapter(run), notice).started(config)


class GuardedTracker:
    """A tracker whose first failure is reported once; from then on it does nothing, and the run goes on."""

    def __init__(self, name: str, make: Callable[[], Tracker], notice: Callable[[str], None]) -> None:
        self._name = name
        self._notice = notice
        self._tracker: Tracker | None = None
        self._try(lambda: self._hold(make()))

    def started(self, config: Mapping[str, Any]) -> Self:
        """Open the run with its config."""
        self._call(lambda tracker: tracker.start(config))
        return self

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.log`."""
        self._call(lambda tracker: tracker.log(step, values))

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """See `Tracker.finish`; after it nothing is sent any more."""
        self._call(lambda tracker: tracker.finish(metrics, artifacts))
        self._tracker = None

    def _hold(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def _call(self, method: Callable[[Tracker], None]) -> None:
        if (tracker := self._tracker) is not None:
            self._try(lambda: method(tracker))

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a tracker's library raises, the run goes on
            self._tracker = None
            reason = (str(error).strip().partition("\n")[0] or type(error).__name__).removesuffix(".")
            self._notice(f"tracking with {self._name} ended, and the run goes on without it: {reason}")


def _adapter(name: TrackerName) -> Callable[[TrackedRun], Tracker]:
    """The adapter's class. Raises UserError where the library that it imports is not installed."""
    try:
        module = import_module(f"dlm_length.tracking.{name}_tracker")
    except ImportError as error:
        raise UserError(
            f"tracking: {name} is not installed ({error}); `pip install 'dlmlen[{name}]'` does it."
        ) from error
    adapter: Callable[[TrackedRun], Tracker] = module.ADAPTER
    return adapter
