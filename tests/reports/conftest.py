"""Finished runs from records by hand."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from dlm_length.config import load_config
from dlm_length.records import RunFolder, RunMetrics, SampleRecord
from dlm_length.runner.scoring import summarise

WriteRun = Callable[..., Path]


@pytest.fixture
def metrics(make_metrics: Callable[..., RunMetrics]) -> RunMetrics:
    """Those of the runs of `write_run`, every number a different one."""
    return make_metrics()


@pytest.fixture
def write_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: RunMetrics) -> WriteRun:
    """A finished run of a packaged config, with these metrics and samples."""
    monkeypatch.chdir(tmp_path)
    usual = metrics

    def write_run(config: str, samples: Sequence[SampleRecord], *overrides: str, metrics: RunMetrics = usual) -> Path:
        resolved = load_config(config, overrides)
        folder = tmp_path / resolved.run_path
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(resolved.to_yaml())
        (folder / "samples.jsonl").write_text("".join(sample.model_dump_json() + "\n" for sample in samples))
        of_these = metrics.model_copy(update={"samples": len(samples)})
        (folder / "metrics.json").write_text(of_these.model_dump_json())
        return folder

    return write_run


GSM8K_METRICS = ("exact_match_strict", "exact_match_flexible", "exact_match_boxed")
"""Which its samples' details must have."""


class FinishRun(Protocol):
    """Writes a finished run whose metrics are those of its samples."""

    def __call__(self, config: str, samples: Mapping[str, Mapping[str, Any]], *overrides: str) -> Path:
        """`samples`: by id, fields that differ from `make_sample`'s; `flops`, `nfe`, `length_sum` go to its ledger."""


@pytest.fixture
def finish_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., SampleRecord]) -> FinishRun:
    monkeypatch.chdir(tmp_path)

    def finish_run(config: str, samples: Mapping[str, Mapping[str, Any]], *overrides: str) -> Path:
        resolved = load_config(config, overrides)
        records = [make_sample(name, **_with_ledger(make_sample(), fields)) for name, fields in samples.items()]
        with RunFolder(resolved.run_path) as folder:
            folder.fill(resolved.to_yaml(), [], records)
            folder.finish(summarise(resolved, records, []))
        return resolved.run_path

    return finish_run


def _with_ledger(sample: SampleRecord, fields: Mapping[str, Any]) -> dict[str, Any]:
    ledger = sample.ledger.model_dump()
    names = {"flops": "flops_reference", "nfe": "nfe", "length_sum": "length_sum", "joules": "joules"}
    ledger["total"] |= {names[name]: value for name, value in fields.items() if name in names}
    others = {name: value for name, value in fields.items() if name not in names}
    return {"details": dict.fromkeys(GSM8K_METRICS, fields.get("score", sample.score))} | others | {"ledger": ledger}
