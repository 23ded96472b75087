"""Finished runs from records by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dlm_length.config import load_config
from dlm_length.records import RunMetrics, SampleRecord

METRICS = RunMetrics(
    schema_version=1,
    benchmark="gsm8k",
    metric="exact_match",
    model="some-model",
    policy="fixed",
    policy_label="fixed 64",
    samples=61,
    scored=53,
    failed=8,
    score=0.71234,
    metrics={"exact_match": 0.71234, "another": 0.61},
    prompt_length=101.11,
    n_token=202.22,
    e_token=30.33,
    processed_length=404.44,
    e_ratio=0.50555,
    nfe=606.66,
    probe_nfe=1.77,
    flops_reference=8_880_000_000,
    flops_executed=999_000_000,
    probe_flops_reference=10_100_000,
    forward_seconds=11.11,
    wall_clock_seconds=12.12,
    tokens_per_second=1313.13,
)

WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteRun:
    """A finished run of a packaged config, with these metrics and samples."""
    monkeypatch.chdir(tmp_path)

    def write_run(config: str, samples: Sequence[SampleRecord], *overrides: str, metrics: RunMetrics = METRICS) -> Path:
        resolved = load_config(config, overrides)
        folder = tmp_path / resolved.run_path
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(resolved.to_yaml())
        (folder / "samples.jsonl").write_text("".join(sample.model_dump_json() + "\n" for sample in samples))
        (folder / "metrics.json").write_text(metrics.model_dump_json())
        return folder

    return write_run


@pytest.fixture
def metrics() -> RunMetrics:
    """Those of the runs of `write_run`, every number a different one."""
    return METRICS
