from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dlm_length.records import RunMetrics, SampleRecord


@pytest.fixture
def metrics(make_metrics: Callable[..., RunMetrics]) -> RunMetrics:
    """A finished run's metrics by hand."""
    return make_metrics()


@pytest.fixture
def write_run(make_sample: Callable[..., SampleRecord], metrics: RunMetrics) -> Callable[..., Path]:
    """Writes a run's samples and, if `finished`, its metrics."""

    def write_run(path: Path, ids: Sequence[str], *, finished: bool = True) -> Path:
        path.mkdir(parents=True)
        lines = [make_sample(sample_id).model_dump_json() + "\n" for sample_id in ids]
        (path / "samples.jsonl").write_text("".join(lines), encoding="utf-8")
        if finished:
            (path / "metrics.json").write_text(metrics.model_copy(update={"samples": len(ids)}).model_dump_json())
        return path

    return write_run
