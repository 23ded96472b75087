"""Finished runs as data frames: the door for notebooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_length.analysis.runs import Run, read_run
from dlm_length.records import find_runs

if TYPE_CHECKING:
    from pandas import DataFrame

_OF_SAMPLES = ("doc_id", "score", "prompt_length", "n_token", "e_token", "processed_length", "error")
_OF_RUNS = (
    *("samples", "scored", "failed", "score", "prompt_length", "n_token", "e_token", "processed_length", "e_ratio"),
    *("nfe", "probe_nfe", "flops_reference", "probe_flops_reference", "wall_clock_seconds", "tokens_per_second"),
)


@dataclass(frozen=True)
class Analysis:
    """Finished runs, read once."""

    runs: tuple[Run, ...]
    """By folder."""

    def frame(self) -> "DataFrame":
        """A row per sample of every run.

        Columns: what identifies the run (`run`, `benchmark`, `model`, `policy`, `label`, `role`, `seed`), each
        parameter of its policy as `policy.FIELD`, the sample's `sample` (id), `doc_id`, `score`, lengths in tokens,
        `nfe`, `probe_nfe` (forwards), `flops` (reference FLOPs, probes included) and `error`. NaN or None where a
        sample has no such value.
        """
        return _frame([row for run in self.runs for row in _sample_rows(run)])

    def summary(self) -> "DataFrame":
        """A row per run: what identifies it, as in `frame`, and the numbers of its metrics.json by their names there.

        Token counts and forwards are means per sample; FLOPs are sums over the run.
        """
        return _frame([_identity(run) | {name: getattr(run.metrics, name) for name in _OF_RUNS} for run in self.runs])


def load_runs(*paths: str | Path) -> Analysis:
    """The finished runs at or below `paths`, such as `load_runs("results/example")`.

    Raises RecordError for a path without a finished run, and for a run whose files cannot be read.
    """
    return Analysis(tuple(read_run(path) for path in find_runs([Path(path) for path in paths])))


def _identity(run: Run) -> dict[str, Any]:
    metrics = run.metrics
    parameters = {f"policy.{name}": value for name, value in run.config["policy"].items() if name != "name"}
    return {
        "run": run.path.name,
        "benchmark": metrics.benchmark,
        "model": metrics.model,
        "policy": metrics.policy,
        "label": metrics.policy_label,
        "role": run.declared.role,
        "seed": run.seeds[0],
    } | parameters


def _sample_rows(run: Run) -> list[dict[str, Any]]:
    own = _identity(run)
    return [
        own
        | {"sample": name}
        | {field: getattr(sample, field) for field in _OF_SAMPLES}
        | {
            "nfe": sample.ledger.total.nfe,
            "probe_nfe": sample.ledger.probe.nfe,
            "flops": sample.ledger.total.flops_reference,
        }
        for name, sample in run.samples.items()
    ]


def _frame(rows: Sequence[dict[str, Any]]) -> "DataFrame":
    from pandas import DataFrame  # half a second that only a notebook needs

    return DataFrame(rows)
