"""Planning, executing, resuming, scoring and recording runs, alone or in groups that share forwards."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_length.runner.dry_run import plan, plan_study
    from dlm_length.runner.execution import GroupResult, RunResult, run, run_repeats, run_together
    from dlm_length.runner.progress import Progress
    from dlm_length.runner.shards import MergeResult, ShardResult, merge, run_shard, run_study_shard
    from dlm_length.runner.study import BlockResult, StudyResult, run_study
    from dlm_length.runner.timing import TIMED_SAMPLES, time_alone

_MODULES = {
    **dict.fromkeys(("RunResult", "GroupResult", "run", "run_repeats", "run_together"), "execution"),
    "Progress": "progress",
    **dict.fromkeys(("plan", "plan_study"), "dry_run"),
    **dict.fromkeys(("MergeResult", "ShardResult", "merge", "run_shard", "run_study_shard"), "shards"),
    **dict.fromkeys(("StudyResult", "BlockResult", "run_study"), "study"),
    **dict.fromkeys(("TIMED_SAMPLES", "time_alone"), "timing"),
}

__all__ = [
    "TIMED_SAMPLES",
    "BlockResult",
    "GroupResult",
    "MergeResult",
    "Progress",
    "RunResult",
    "ShardResult",
    "StudyResult",
    "merge",
    "plan",
    "plan_study",
    "run",
    "run_repeats",
    "run_shard",
    "run_study",
    "run_study_shard",
    "run_together",
    "time_alone",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
