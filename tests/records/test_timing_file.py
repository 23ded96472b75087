"""timing.json on disk."""

from pathlib import Path

import pytest

from dlm_length.records import RecordError, TimingRecord, read_timing, write_timing

TIMING = TimingRecord(
    sample_ids=["a", "b"], seconds=1.5, nfe=7, n_token=33, e_token=21, environment={"device": "cpu", "threads": 3}
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_timing(tmp_path) is None
    assert write_timing(tmp_path, TIMING) == tmp_path / "timing.json"
    assert read_timing(tmp_path) == TIMING
    assert [file.name for file in tmp_path.iterdir()] == ["timing.json"], "no temporary file is left"


@pytest.mark.parametrize("broken", ["", "{}", "[]", '{"sample_ids": [], "seconds": 1}', '{"seconds": NaN}'])
def test_something_else_is_refused(tmp_path: Path, broken: str) -> None:
    (tmp_path / "timing.json").write_text(broken)
    with pytest.raises(RecordError, match=r"timing.json: not a timing record .* measure again"):
        read_timing(tmp_path)
