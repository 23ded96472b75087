"""Exporting runs as inspect_ai's eval logs, for `inspect view` and its data frames, by inspect_ai's own classes."""

import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm_length import __version__
from dlm_length.analysis import Analysis
from dlm_length.analysis.runs import Run
from dlm_length.common import ConfigError, UserError
from dlm_length.export.files import ExportFile
from dlm_length.export.run_content import sample_metric, samples_of, sessions_of, span
from dlm_length.records import SampleRecord

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalResults, EvalSample, EvalSpec
    from inspect_ai.scorer import Score

SUFFIXES = (".eval", ".json")
"""Suffixes of the two formats of a log."""
_NUMBERS = ("nfe", "probe_nfe", "n_token", "e_token", "e_ratio", "prompt_length", "flops_reference", "failed")
"""Fields of metrics.json that go into the metadata of the results."""


def inspect_files(analysis: Analysis, out: Path) -> list[ExportFile]:
    """One log per run: RUN.eval in the folder `out`, or `out` itself where it ends in `.eval` or `.json`.

    Raises UserError where inspect_ai is not installed, ConfigError for several runs and an `out` that is one file.
    """
    if find_spec("inspect_ai") is None:
        raise UserError("export to inspect: inspect_ai is not installed; `pip install 'dlmlen[inspect]'` does it.")
    if out.suffix not in SUFFIXES:
        return [ExportFile(out / f"{run.path.name}.eval", partial(_written, run, ".eval")) for run in analysis.runs]
    if len(analysis.runs) > 1:
        raise ConfigError(
            f"export {out}: a log has one run, and there are {len(analysis.runs)}; give one run, or a folder as --out."
        )
    return [ExportFile(out, partial(_written, analysis.runs[0], out.suffix))]


def eval_log(run: Run) -> "EvalLog":
    """A run as inspect_ai's log: one sample per answer, with its cost ledger as metadata."""
    from inspect_ai.log import EvalLog, EvalPlan, EvalPlanStep, EvalStats
    from inspect_ai.model import ModelUsage

    records, policy, (begin, end) = samples_of(run), dict(run.config["policy"]), span(run)
    tokens = [(record.prompt_length, record.n_token) for record in records]
    usage = ModelUsage(
        input_tokens=sum(length for length, _ in tokens),
        output_tokens=sum(length for _, length in tokens),
        total_tokens=sum(map(sum, tokens)),
    )
    return EvalLog(
        status="success",
        eval=_spec(run, records),
        plan=EvalPlan(name=run.metrics.policy_label, steps=[EvalPlanStep(solver=run.metrics.policy, params=policy)]),
        results=_results(run, records),
        stats=EvalStats(
            started_at=begin.isoformat(), completed_at=end.isoformat(), model_usage={run.metrics.model: usage}
        ),
        samples=[_sample(run, record) for record in records],
    )


def _written(run: Run, suffix: str) -> bytes:
    from inspect_ai.log import write_eval_log

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"log{suffix}"
        write_eval_log(eval_log(run), file)
        return file.read_bytes()


def _spec(run: Run, records: list[SampleRecord]) -> "EvalSpec":
    from inspect_ai.log import EvalConfig, EvalDataset, EvalRevision, EvalSpec

    session = (sessions_of(run) or [{}])[-1]
    config, metrics, name = run.config, run.metrics, run.path.name
    problems = list(dict.fromkeys(run.problem_of(record.id) for record in records))
    versions = {"dlmlen": session.get("dlmlen") or __version__} | {
        library: str(session[library]) for library in ("torch", "transformers") if session.get(library)
    }
    commit = session.get("git_commit")
    return EvalSpec(
        eval_id=name,
        run_id=name,
        created=span(run)[0].isoformat(),
        task=metrics.benchmark,
        task_id=name,
        task_version=metrics.benchmark_version or 0,
        task_args=dict(config["benchmark"]),
        solver=metrics.policy,
        solver_args=dict(config["policy"]),
        tags=[metrics.policy_label],
        dataset=EvalDataset(
            name=metrics.benchmark,
            location=config["benchmark"].get("path"),
            samples=len(problems),
            sample_ids=list(problems),
        ),
        model=metrics.model,
        model_args=dict(config["model"]),
        config=EvalConfig(limit=config["benchmark"].get("limit"), epochs=max(_epoch(run, each) for each in records)),
        revision=EvalRevision(type="git", origin="", commit=commit) if commit else None,
        packages=versions,
        metadata={
            "policy": metrics.policy_label,
            "policy_role": run.declared.role,
            "prompt": metrics.prompt,
            "seed": run.seeds[0],
            "run": name,
            "hardware": dict(config.get("hardware", {})),
        },
    )


def _results(run: Run, records: list[SampleRecord]) -> "EvalResults":
    """Every metric of the run with its standard error, the main metric first."""
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    metrics = run.metrics
    scores = []
    for name in sorted(metrics.metrics, key=lambda name: name != metrics.metric):
        numbers = {"mean": metrics.metrics[name], "stderr": metrics.stderr.get(f"{name}_stderr")}
        interval = metrics.intervals.get(name)
        scores.append(
            EvalScore(
                name=name,
                scorer=metrics.benchmark,
                scored_samples=metrics.scored,
                unscored_samples=metrics.samples - metrics.scored,
                metrics={
                    kind: EvalMetric(name=kind, value=value) for kind, value in numbers.items() if value is not None
                },
                metadata=None if interval is None else {"interval_95": interval.model_dump(mode="json")},
            )
        )
    return EvalResults(
        total_samples=metrics.samples,
        completed_samples=metrics.samples - metrics.failed,
        logged_samples=len(records),
        scores=scores,
        metadata={name: getattr(metrics, name) for name in _NUMBERS},
    )


def _sample(run: Run, record: SampleRecord) -> "EvalSample":
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput, ModelUsage

    model, answer, total = run.metrics.model, record.resps[0][0], record.ledger.total
    usage = ModelUsage(
        input_tokens=record.prompt_length, output_tokens=record.n_token, total_tokens=record.processed_length
    )
    question = ChatMessageUser(id=f"{record.id}/prompt", content=record.prompt)
    reply = ChatMessageAssistant(id=f"{record.id}/answer", content=answer, model=model, source="generate")
    output = ModelOutput.from_message(reply)
    failed = record.error is not None
    return EvalSample(
        id=run.problem_of(record.id),
        epoch=_epoch(run, record),
        input=record.prompt,
        target=record.target,
        messages=[question] if failed else [question, reply],
        output=ModelOutput(model=model) if failed else output.model_copy(update={"model": model, "usage": usage}),
        scores=_scores(run, record),
        metadata=_metadata(record),
        model_usage={model: usage},
        total_time=total.seconds,
        working_time=total.seconds,
        uuid=f"{run.path.name}/{record.id}",
        error=EvalError(message=str(record.error), traceback="", traceback_ansi="") if failed else None,
    )


def _scores(run: Run, record: SampleRecord) -> dict[str, "Score"]:
    """A sample's metrics that are one number each; NaN, inspect_ai's unscored value, for a main metric without one."""
    from inspect_ai.scorer import Score

    main = run.metrics.metric
    reason = record.error or record.details.get("reason")
    scores = {main: Score(value=float("nan") if record.score is None else record.score)}
    for name in run.metrics.metrics:
        value = sample_metric(record, name, main)
        if isinstance(value, bool | int | float):
            scores[name] = Score(value=float(value))
    extra = {"answer": record.filtered_resps[0], "explanation": None if reason is None else str(reason)}
    return {name: score.model_copy(update=extra) for name, score in scores.items()}


def _metadata(record: SampleRecord) -> dict[str, Any]:
    """The record without texts, score and token ids: lengths and their changes, cost ledger, scorer's details.

    The ledger's main numbers are repeated at the top, since the viewer shows nested values folded.
    """
    left_out = {"id", "doc_id", "prompt", "target", "resps", "filtered_resps", "canvas_ids", "score", "error"}
    total, probe = record.ledger.total, record.ledger.probe
    costs = {"nfe": total.nfe, "probe_nfe": probe.nfe, "flops_reference": total.flops_reference}
    return costs | record.model_dump(mode="json", exclude=left_out)


def _epoch(run: Run, record: SampleRecord) -> int:
    """Number of the sample among those of its problem, from 1."""
    if run.problem_of(record.id) == record.id:
        return 1
    return int(record.id.rpartition("#")[2]) + 1
