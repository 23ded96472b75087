"""Finished runs as pandas DataFrames, for notebooks: `load_runs` (docs/notebooks.md)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_length.analysis.parameters import is_number, parameters
from dlm_length.analysis.runs import Run, read_run
from dlm_length.common import counted
from dlm_length.records import find_runs

if TYPE_CHECKING:
    from pandas import DataFrame

_TEXT, _COUNT, _REAL = "string", "int64", "float64"

RUN_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("run", "benchmark", "model", "policy", "label", "role"), _TEXT),
    "seed": _COUNT,
}
"""The columns that identify a run, first in both frames, with dtypes. `run` is the folder's name, `role` the role that
the policy declares: method, control or baseline."""

SAMPLE_COLUMNS: Mapping[str, str] = {
    **{"sample": _TEXT, "doc_id": _COUNT, "score": _REAL},
    **dict.fromkeys(("prompt_length", "n_token", "e_token", "processed_length", "nfe", "probe_nfe"), _COUNT),
    **{"flops": _REAL, "error": _TEXT},
}
"""The columns of a sample, last in `Analysis.frame`. FLOPs are float64: those of a whole run exceed an int64."""

METRIC_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("samples", "scored", "failed"), _COUNT),
    **dict.fromkeys(("score", "prompt_length", "n_token", "e_token", "processed_length", "e_ratio"), _REAL),
    **dict.fromkeys(("nfe", "probe_nfe", "flops_reference", "probe_flops_reference"), _REAL),
    **dict.fromkeys(("wall_clock_seconds", "tokens_per_second"), _REAL),
}
"""The columns of a run, last in `Analysis.summary`, with their names in metrics.json."""


@dataclass(frozen=True, repr=False)
class Analysis:
    """Finished runs, read once."""

    runs: tuple[Run, ...]
    """In the order of their folders."""

    def __repr__(self) -> str:
        samples = sum(len(run.samples) for run in self.runs)
        benchmarks = dict.fromkeys(run.metrics.benchmark for run in self.runs)
        return f"<Analysis: {counted(len(self.runs), 'run')} of {', '.join(benchmarks)}; {counted(samples, 'sample')}>"

    def frame(self) -> "DataFrame":
        """A row per sample of every run.

        Columns: those of `RUN_COLUMNS`, each parameter of any run's policy as `policy.FIELD`, and those of
        `SAMPLE_COLUMNS`: lengths in tokens, `nfe` and `probe_nfe` in forwards, `flops` (reference FLOPs, probes
        included), `error` (why it could not be run). NaN or NA where a sample has no such value. A parameter is float64
        where all its values are numbers (null is NaN), else object.
        """
        rows = [_identity(run) | row for run in self.runs for row in _sample_rows(run)]
        return _frame(rows, self._parameters(), SAMPLE_COLUMNS)

    def summary(self) -> "DataFrame":
        """A row per run: `RUN_COLUMNS` and parameters as in `frame`, then the numbers of its metrics.json.

        Token counts and forwards are means per sample; FLOPs are sums over the run.
        """
        rows = [_identity(run) | {name: getattr(run.metrics, name) for name in METRIC_COLUMNS} for run in self.runs]
        return _frame(rows, self._parameters(), METRIC_COLUMNS)

    def _parameters(self) -> dict[str, str]:
        """A column for each parameter of the policies, with its dtype."""
        values: dict[str, list[Any]] = {}
        for run in self.runs:
            for field, value in parameters(run).items():
                values.setdefault(f"policy.{field}", []).append(value)
        return {
            field: _REAL if all(each is None or is_number(each) for each in own) else "object"
            for field, own in values.items()
        }


def load_runs(*paths: str | Path) -> Analysis:
    """The finished runs at or below `paths`, such as `load_runs("results/example")`.

    Raises RecordError for a path without a finished run, and for a run whose files cannot be read.
    """
    if not paths:
        raise TypeError('load_runs takes at least one folder of runs, such as "results"')
    return Analysis(tuple(read_run(path) for path in find_runs([Path(path) for path in paths])))


def _identity(run: Run) -> dict[str, Any]:
    metrics = run.metrics
    own = (run.path.name, metrics.benchmark, metrics.model, metrics.policy, metrics.policy_label, run.declared.role)
    identity = dict(zip(RUN_COLUMNS, (*own, run.seeds[0]), strict=True))
    return identity | {f"policy.{field}": value for field, value in parameters(run).items()}


def _sample_rows(run: Run) -> Iterable[dict[str, Any]]:
    for name, sample in run.samples.items():
        ledger = sample.ledger
        costs = {"nfe": ledger.total.nfe, "probe_nfe": ledger.probe.nfe, "flops": ledger.total.flops_reference}
        fields = SAMPLE_COLUMNS.keys() - costs.keys() - {"sample"}
        yield {"sample": name} | {field: getattr(sample, field) for field in fields} | costs


def _frame(
    rows: Sequence[dict[str, Any]], parameter_columns: Mapping[str, str], columns: Mapping[str, str]
) -> "DataFrame":
    from pandas import DataFrame  # takes half a second, and only notebooks need it

    dtypes = {**RUN_COLUMNS, **parameter_columns, **columns}
    return DataFrame(rows, columns=list(dtypes), dtype=object).astype(dtypes)
