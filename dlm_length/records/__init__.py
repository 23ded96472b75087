"""The files of a run: append-only, resumable, and the only input of reports."""

from dlm_length.records.errors import RecordError, RunInUseError
from dlm_length.records.files import check_writable, write_atomically, writing
from dlm_length.records.find import (
    find_baseline,
    find_finished,
    find_holding,
    find_runs,
    find_sharded,
    find_unfinished,
    is_run_folder,
    the_run,
    was_set_aside,
)
from dlm_length.records.first_forward import EosProbabilities, read_first_eos, save_first_eos
from dlm_length.records.missing import explain_missing
from dlm_length.records.progress import ProgressRecord, duration, keep_progress, read_progress
from dlm_length.records.recorded_config import read_config
from dlm_length.records.repeats import are_distinct, but_for_the_seed, key_of_repeats, seed_of
from dlm_length.records.run_folder import (
    RunFolder,
    check_whole,
    read_metrics,
    read_sample_ids,
    read_samples,
    read_summaries,
)
from dlm_length.records.schema import (
    SCHEMA_VERSION,
    CostRecord,
    IntervalRecord,
    LedgerRecord,
    LengthChangeRecord,
    RunMetrics,
    SampleRecord,
    SampleSummary,
    TimingRecord,
)
from dlm_length.records.shards import (
    Shard,
    absorb_shards,
    check_alike,
    is_shard_folder,
    open_shard,
    open_whole,
    recorded_ids,
    remove_shards,
    shard_path,
    shards_of,
)
from dlm_length.records.timing import keep_timing, read_timing

__all__ = [
    "SCHEMA_VERSION",
    "CostRecord",
    "EosProbabilities",
    "IntervalRecord",
    "LedgerRecord",
    "LengthChangeRecord",
    "ProgressRecord",
    "RecordError",
    "RunFolder",
    "RunInUseError",
    "RunMetrics",
    "SampleRecord",
    "SampleSummary",
    "Shard",
    "TimingRecord",
    "absorb_shards",
    "are_distinct",
    "but_for_the_seed",
    "check_alike",
    "check_whole",
    "check_writable",
    "duration",
    "explain_missing",
    "find_baseline",
    "find_finished",
    "find_holding",
    "find_runs",
    "find_sharded",
    "find_unfinished",
    "is_run_folder",
    "is_shard_folder",
    "keep_progress",
    "keep_timing",
    "key_of_repeats",
    "open_shard",
    "open_whole",
    "read_config",
    "read_first_eos",
    "read_metrics",
    "read_progress",
    "read_sample_ids",
    "read_samples",
    "read_summaries",
    "read_timing",
    "recorded_ids",
    "remove_shards",
    "save_first_eos",
    "seed_of",
    "shard_path",
    "shards_of",
    "the_run",
    "was_set_aside",
    "write_atomically",
    "writing",
]
