from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dlm_length.records import RunMetrics, SampleRecord


@pytest.fixture
def metrics() -> RunMetrics:
    """A finished run's metrics by hand."""
    return RunMetrics(
        schema_version=1,
        benchmark="gsm8k",
        metric="exact_match",
        model="llada-tiny",
        policy="fixed",
        policy_label="fixed 64",
        samples=3,
        scored=2,
        failed=1,
        score=0.5,
        metrics={"exact_match": 0.5},
        prompt_length=10.0,
        n_token=20.0,
        e_token=8.0,
        processed_length=30.0,
        e_ratio=0.4,
        nfe=21.0,
        probe_nfe=1.0,
        flops_reference=900,
        flops_executed=800,
        probe_flops_reference=70,
        forward_seconds=6.5,
        wall_clock_seconds=7.5,
        tokens_per_second=3.2,
    )


@pytest.fixture
def write_run(make_sample: Callable[..., SampleRecord], metrics: RunMetrics) -> Callable[..., Path]:
    """Writes a run's samples and, unless told otherwise, its metrics."""

    def write_run(path: Path, ids: Sequence[str], *, finished: bool = True) -> Path:
        path.mkdir(parents=True)
        lines = [make_sample(sample_id).model_dump_json() + "\n" for sample_id in ids]
        (path / "samples.jsonl").write_text("".join(lines), encoding="utf-8")
        if finished:
            (path / "metrics.json").write_text(metrics.model_dump_json())
        return path

    return write_run
