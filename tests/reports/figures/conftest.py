"""Runs in memory, for figures."""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_helpers import RIGHT, MakeRun

from dlm_length.analysis.runs import Run
from dlm_length.policies import build_policy
from dlm_length.records import RunMetrics, SampleSummary
from dlm_length.records.schema import CostRecord, LedgerRecord


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A report that warns has drawn something it does not understand."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def make_run(metrics: RunMetrics) -> MakeRun:
    """A run in memory: of a policy with its parameters, and scores, lengths and FLOPs by sample or for all."""

    def make_run(
        policy: str,
        scores: Sequence[float | None] = RIGHT,
        *,
        n_token: int | Sequence[int] = 64,
        e_token: int | Sequence[int] = 30,
        flops: int | Sequence[int] = 10**12,
        failed: Sequence[int] = (),
        label: str | None = None,
        samples_per_problem: int = 1,
        **parameters: Any,
    ) -> Run:
        built = build_policy(policy, **parameters)
        n = len(scores)
        columns = [np.broadcast_to(values, n).tolist() for values in (n_token, e_token, flops)]
        samples = {}
        for place, (score, canvas, used, cost) in enumerate(zip(scores, *columns, strict=True)):
            name = f"q/{place // samples_per_problem}" + (f"#{place}" if samples_per_problem > 1 else "")
            did_run = place not in failed
            spent = CostRecord(
                nfe=7,
                length_sum=8,
                length_squared_sum=9,
                head_rows=10,
                flops_reference=cost if did_run else 0,
                flops_executed=11,
                seconds=12.0,
            )
            samples[name] = SampleSummary(
                doc_id=place,
                id=name,
                prompt_length=5,
                n_token=canvas if did_run else 0,
                e_token=used if did_run else 0,
                processed_length=5 + canvas,
                ledger=LedgerRecord(total=spent, probe=spent),
                score=score if did_run else None,
                details={},
                error=None if did_run else "out of memory",
                session=0,
                elapsed=1.0,
            )
        policy_label = label if label is not None else built.label
        config = {
            "policy": {**built.model_dump(mode="json"), "name": policy},
            "benchmark": {"samples_per_problem": samples_per_problem},
        }
        return Run(
            Path("results")
            / f"{policy_label.replace('/', '-')[:60]}-{hashlib.sha256(policy_label.encode()).hexdigest()[:4]}",
            metrics.model_copy(update={"policy": policy, "policy_label": policy_label}),
            samples,
            config,
        )

    return make_run
