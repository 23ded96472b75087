"""What a run leaves on disk: append-only, resumable, and all that reports ever read."""

from dlm_length.records.errors import RecordError
from dlm_length.records.files import write_atomically
from dlm_length.records.find import find_baseline, find_finished
from dlm_length.records.run_folder import RunFolder, read_metrics, read_samples
from dlm_length.records.schema import (
    SCHEMA_VERSION,
    CostRecord,
    LedgerRecord,
    LengthChangeRecord,
    RunMetrics,
    SampleRecord,
)

__all__ = [
    "SCHEMA_VERSION",
    "CostRecord",
    "LedgerRecord",
    "LengthChangeRecord",
    "RecordError",
    "RunFolder",
    "RunMetrics",
    "SampleRecord",
    "find_baseline",
    "find_finished",
    "read_metrics",
    "read_samples",
    "write_atomically",
]
