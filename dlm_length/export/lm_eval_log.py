"""Exporting runs as lm-eval's results file and sample logs, in the layout of 0.4.13 (`loggers/evaluation_tracker.py`).

Does not need lm-eval. Where lm-eval has the same metric and filter, its names are used: `exact_match_strict` here is
`exact_match` of the filter `strict-match` there.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from dlm_length import __version__
from dlm_length.analysis import Analysis
from dlm_length.analysis.runs import Run
from dlm_length.export.files import ExportFile
from dlm_length.export.run_content import sample_metric, samples_of, sessions_of, span
from dlm_length.records import SampleRecord

_FILTERS: Mapping[str, str] = {"strict": "strict-match", "flexible": "flexible-extract"}
"""Name of an extraction here -> name of the same filter in lm-eval."""
_NO_FILTER = "none"
"""lm-eval's name of the filter that changes nothing; here also the name of the benchmark's main extraction."""
_COSTS = {"id", "prompt_length", "n_token", "e_token", "trajectory", "ledger", "error"}
"""Fields of a record that go into an answer's generation arguments, as those of lm-eval's model `dlmlen` do."""


def lm_eval_files(analysis: Analysis, out: Path) -> list[ExportFile]:
    """For each run, results_DATE.json and samples_TASK_DATE.jsonl in the folder `out`/RUN.

    DATE is the start of the run, so that repeated exports of a run have the same names. Samples that could not be run
    are left out of both, as lm-eval has no notion of them.
    """
    files = []
    for run in analysis.runs:
        log, folder = _Log(run), out / run.path.name
        files += [
            ExportFile(folder / f"results_{log.date}.json", log.results),
            ExportFile(folder / f"samples_{log.task}_{log.date}.jsonl", log.samples),
        ]
    return files


@dataclass(frozen=True)
class _Measure:
    """A metric under its name here and under lm-eval's names."""

    name: str
    """Its name in metrics.json."""
    metric: str
    filter: str
    """lm-eval's names of the metric and of its filter."""
    extraction: str | None
    """The key of the filter's output in `SampleRecord.extracted`; None: the main extraction."""


@dataclass(frozen=True, eq=False)
class _Log:
    """A run as lm-eval would log it."""

    run: Run

    @property
    def task(self) -> str:
        """The lm-eval task's name where the benchmark is `lm_eval`, else the benchmark's."""
        benchmark = self.run.config["benchmark"]
        return str(benchmark["task"] if benchmark.get("name") == "lm_eval" else self.run.metrics.benchmark)

    @cached_property
    def date(self) -> str:
        """Start of the run in UTC, as in the names of lm-eval's files."""
        return span(self.run)[0].replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")

    @cached_property
    def _records(self) -> list[SampleRecord]:
        return [record for record in samples_of(self.run) if record.error is None]

    @cached_property
    def _measures(self) -> list[_Measure]:
        """Every metric of the run, the main metric with the filter that its samples name."""
        extractions = list(dict.fromkeys(name for record in self._records for name in record.extracted))
        names = list(self.run.metrics.metrics) or [self.run.metrics.metric]
        measures = [self._measure(name, extractions) for name in names]
        known: dict[tuple[str, str], _Measure] = {}
        for each in measures:
            known.setdefault((each.metric, each.filter), each)
        return list(known.values())

    def _measure(self, name: str, extractions: Iterable[str]) -> _Measure:
        for extraction in extractions:
            if name.endswith(f"_{extraction}"):
                metric = name.removesuffix(f"_{extraction}")
                return _Measure(name, metric, _FILTERS.get(extraction, extraction), extraction)
        chosen = {str(record.details["filter"]) for record in self._records if "filter" in record.details}
        if len(chosen) == 1:  # an lm-eval task: the filter is part of its score
            return _Measure(name, name, *2 * tuple(chosen))
        return _Measure(name, name, _NO_FILTER, None)

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        """One line per filter and sample, sorted by filter first, as in lm-eval's logs."""
        filters: dict[str, list[_Measure]] = {}
        for measure in self._measures:
            filters.setdefault(measure.filter, []).append(measure)
        return [self._line(record, name, measures) for name, measures in filters.items() for record in self._records]

    def _line(self, record: SampleRecord, name: str, measures: list[_Measure]) -> dict[str, Any]:
        extraction = measures[0].extraction
        found = record.filtered_resps[0] if extraction is None else record.extracted.get(extraction)
        doc = {"id": record.id, "target": record.target}
        generation = {"until": [], "do_sample": False, "dlmlen": [record.model_dump(mode="json", include=_COSTS)]}
        values = {each.metric: sample_metric(record, each.name, self.run.metrics.metric) for each in measures}
        return {
            "doc_id": record.doc_id,
            "doc": doc,
            "target": record.target,
            "arguments": {"gen_args_0": {"arg_0": record.prompt, "arg_1": generation}},
            "resps": record.resps,
            "filtered_resps": ["[invalid]" if found is None else found],
            "filter": name,
            "metrics": list(values),
            "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
            "prompt_hash": _hash(record.prompt),
            "target_hash": _hash(record.target),
            **values,
        }

    def samples(self) -> bytes:
        """Content of samples_TASK_DATE.jsonl."""
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines).encode()

    def results(self) -> bytes:
        """Content of results_DATE.json."""
        run, task = self.run, self.task
        begin, _ = span(run)
        session = (sessions_of(run) or [{}])[-1]
        metrics = list(dict.fromkeys(each.metric for each in self._measures))
        shots = run.config["benchmark"].get("num_fewshot")
        hashes = "".join(line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in self._lines)
        content: dict[str, Any] = {
            "results": {task: self._values()},
            "group_subtasks": {task: []},
            "configs": {
                task: {
                    "task": task,
                    "output_type": "generate_until",
                    "metric_list": [
                        {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics
                    ],
                    "repeats": 1,
                    "num_fewshot": shots,
                    "metadata": {"version": run.metrics.benchmark_version},
                }
            },
            "versions": {task: run.metrics.benchmark_version},
            "n-shot": {} if shots is None else {task: shots},
            "higher_is_better": {task: dict.fromkeys(metrics, True)},
            "n-samples": {task: {"original": run.metrics.samples, "effective": len(self._records)}},
            "config": {
                "model": "dlmlen",
                "model_args": {"config": run.path.name},
                "policy": run.metrics.policy_label,
                "dlmlen_version": session.get("dlmlen") or __version__,
                "dlmlen_config": run.config,
                "random_seed": run.seeds[0],
                "device": session.get("device"),
                "model_dtype": session.get("dtype"),
                "limit": run.config["benchmark"].get("limit"),
            },
            "git_hash": session.get("git_commit"),
            "date": begin.timestamp(),
            "transformers_version": session.get("transformers"),
            "task_hashes": {task: _hash(hashes)},
            "model_source": "dlmlen",
            "model_name": run.metrics.model,
            "model_name_sanitized": re.sub(r"[\"<>:/|\\?*\[\]]+", "__", run.metrics.model),
            "total_evaluation_time_seconds": str(run.metrics.wall_clock_seconds),
        }
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()

    def _values(self) -> dict[str, Any]:
        """`METRIC,FILTER` -> value, and `METRIC_stderr,FILTER` -> standard error, of every metric."""
        metrics = self.run.metrics
        values: dict[str, Any] = {"name": self.task, "alias": self.task, "sample_len": len(self._records)}
        for each in self._measures:
            if each.name in metrics.metrics:
                values[f"{each.metric},{each.filter}"] = metrics.metrics[each.name]
                stderr = metrics.stderr.get(f"{each.name}_stderr", "N/A")
                values[f"{each.metric}_stderr,{each.filter}"] = stderr
        return values


def _hash(text: str) -> str:
    """SHA-256 in hex, as lm-eval's `hash_string`."""
    return sha256(text.encode("utf-8")).hexdigest()
