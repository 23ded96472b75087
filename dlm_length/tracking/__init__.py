"""Experiment trackers, which receive a run's config, live values, final metrics and files."""

from dlm_length.tracking.base import TRACKERS, TrackedRun, Tracker, TrackerName
from dlm_length.tracking.guarded import GuardedTracker, check_tracker, open_tracker

__all__ = ["TRACKERS", "GuardedTracker", "TrackedRun", "Tracker", "TrackerName", "check_tracker", "open_tracker"]
