"""Planning, executing, resuming, scoring and recording runs, alone or in groups that share forwards."""

from typing import TYPE_CHECKING

from dlm_length.common.lazy import lazy_names

if TYPE_CHECKING:
    from dlm_length.runner.dry_run import plan, plan_study
    from dlm_length.runner.execution import GroupResult, RunResult, run, run_repeats, run_together
    from dlm_length.runner.progress import Progress
    from dlm_length.runner.shards import MergeResult, ShardResult, merge, run_shard, run_study_shard
    from dlm_length.runner.study import BlockResult, StudyResult, run_study
    from dlm_length.runner.timing import TIMED_SAMPLES, time_alone

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


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "dry_run": ("plan", "plan_study"),
        "execution": ("GroupResult", "RunResult", "run", "run_repeats", "run_together"),
        "progress": ("Progress",),
        "shards": ("MergeResult", "ShardResult", "merge", "run_shard", "run_study_shard"),
        "study": ("BlockResult", "StudyResult", "run_study"),
        "timing": ("TIMED_SAMPLES", "time_alone"),
    },
)
