"""timing.json: the wall-clock of some samples of a run, generated without other runs."""

from pathlib import Path

from pydantic import TypeAdapter

from dlm_length.records.files import write_atomically
from dlm_length.records.reading import read_json
from dlm_length.records.run_folder import TIMING
from dlm_length.records.schema import TimingRecord

_TIMING = TypeAdapter(TimingRecord)


def write_timing(run: Path, timing: TimingRecord) -> Path:
    """Write timing.json into the folder `run`, replacing an earlier one, and return its path."""
    file = run / TIMING
    write_atomically(file, timing.model_dump_json(indent=1) + "\n")
    return file


def read_timing(run: Path) -> TimingRecord | None:
    """The content of timing.json; None where there is no file. Raises RecordError for a file of another kind."""
    file = run / TIMING
    if not file.exists():
        return None
    return read_json(file, _TIMING, "a timing record", "Remove it, and measure again with --time-alone.")
