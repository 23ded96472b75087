"""Scoring without generation: recorded answers, whose new scores `record_run` records as a run, or those of a file."""

import os
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlm_length.benchmarks import Benchmark, Problem, Score
from dlm_length.common import ConfigError, UserError, counted, first_few
from dlm_length.common.program import command_line, git_commit, package_version
from dlm_length.config import RunConfig
from dlm_length.policies.precomputed_lengths import LengthsFromRuns
from dlm_length.records import (
    RecordError,
    RunFolder,
    RunMetrics,
    SampleRecord,
    read_metrics,
    read_sample_ids,
    read_samples,
    read_summaries,
)
from dlm_length.runner.answer_files import read_answers
from dlm_length.runner.checks import check_answers
from dlm_length.runner.prepare import prepare, resolve_policy
from dlm_length.runner.scoring import score_all, summarise, uncertainty
from dlm_length.stats import Estimate

_ONLY_SCORES = (
    "The data must be the same, and only fields that decide nothing but scores may differ, such as"
    " benchmark.execute_code."
)


@dataclass(frozen=True)
class Scored:
    """Answers with their scores."""

    benchmark: str
    problems: int
    """Problems of the benchmark; `scores` may have fewer."""
    scores: Mapping[str, Score]
    """By sample id, in the order of the problems."""
    metrics: Mapping[str, float]
    """Over the samples that were scored, by name."""
    uncertainty: Mapping[str, Estimate]
    """The same with their standard errors and 95% intervals."""
    changed: Sequence[str] = ()
    """Samples whose recorded score, or any further metric, is another."""
    recorded: Path | None = None
    """The new run, where the scores were recorded as one."""


def score_run(config: RunConfig, path: Path, watch: Callable[[int, int], None]) -> Scored:
    """Score a run's recorded answers again. `config`: the run's own, perhaps with other settings of its scoring.

    `watch`: called with the number of answers scored so far and in all. Raises UserError where the config's problems
    are not those that the run answered.
    """
    ids = read_sample_ids(path) if RunFolder(path).finished else None
    records = {record.id: record for record in read_samples(path, only=ids)}
    if not records:
        raise UserError(f"run {path}: has no samples.")
    (prepared,) = prepare([config])
    problems = {problem.id: problem for problem in prepared.problems}
    check_answers(RunFolder(path), records, problems, _ONLY_SCORES)
    return score_records(config.benchmark, problems, records, watch)


def score_records(
    benchmark: Benchmark,
    problems: Mapping[str, Problem],
    records: Mapping[str, SampleRecord],
    watch: Callable[[int, int], None],
) -> Scored:
    """Score recorded answers to these problems again, both by id; see `score_run` for `watch`."""
    answers = {name: record.resps[0][0] for name, record in records.items() if record.error is None}
    scored = _scored(benchmark, problems, answers, watch)
    failed = {name: Score(None, details={"reason": "not generated"}) for name in records if name not in answers}
    changed = [
        name
        for name, score in scored.scores.items()
        if _numbers(score.value, score.details) != _numbers(records[name].score, records[name].details)
    ]
    return replace(scored, scores={**scored.scores, **failed}, changed=changed)


def score_answers(benchmark: Benchmark, file: Path, watch: Callable[[int, int], None]) -> Scored:
    """Score a file of answers; see `answer_files.read_answers` for its forms, `score_run` for `watch`."""
    problems = {problem.id: problem for problem in benchmark.problems()}
    return _scored(benchmark, problems, read_answers(file, benchmark.name, list(problems.values())), watch)


def _scored(
    benchmark: Benchmark, problems: Mapping[str, Problem], answers: Mapping[str, str], watch: Callable[[int, int], None]
) -> Scored:
    answered = [(problem, answers[name]) for name, problem in problems.items() if name in answers]
    scores = {
        problem.id: score for (problem, _), score in zip(answered, score_all(benchmark, answered, watch), strict=True)
    }
    sure = uncertainty(benchmark, scores)
    return Scored(benchmark.label, len(problems), scores, benchmark.aggregate(scores), sure)


def _numbers(value: float | None, details: Mapping[str, Any]) -> tuple[float | None, dict[str, Any]]:
    """The parts of a score that enter metrics. Texts in the details, such as an error message, may vary."""
    return value, {name: detail for name, detail in details.items() if not isinstance(detail, str | None)}


def record_run(config: RunConfig, path: Path, watch: Callable[[int, int], None]) -> Scored:
    """Score a finished run's answers by `config` and write the run of that config next to the other.

    `config`: the run's own with other settings of its scoring. `watch`: as in `score_run`.
    Raises UserError where that run is not finished, where `config` has other problems or prompts than it answered,
    where the scores are recorded already, and where the run to be written exists. Nothing else is written.
    """
    _check_version(config, path, read_metrics(path))
    ids = read_sample_ids(path)
    sessions = RunFolder(path).sessions
    if not sessions:
        raise RecordError(f"run {path}: does not say how its answers were made (no environment.json there).")
    records = {record.id: record for record in read_samples(path, only=ids)}
    (prepared,) = prepare([config])
    problems = {problem.id: problem for problem in prepared.problems}
    remedy = f"{_ONLY_SCORES} For anything else `dlmlen run` generates the answers."
    check_answers(RunFolder(path), records, problems, remedy, jobs=prepared.jobs, complete=True)

    here = Path(os.path.normpath(path.absolute()))  # not resolve(): a link's own name and place count
    target = here.with_name(config.run_name)
    if target == here:
        raise _recorded_already(config, path, score_records(config.benchmark, problems, records, watch))
    _check_lengths(config, path, records)
    with RunFolder(target) as folder:
        _check_vacant(folder, records)
        scored = score_records(config.benchmark, problems, records, watch)
        samples = [_with_score(record, scored.scores[name]) for name, record in records.items()]
        if (lengths := RunFolder(path).lengths) is not None:
            folder.write_lengths(lengths)
        folder.fill(config.to_yaml(), [_rescored(session, here) for session in sessions], samples)
        folder.finish(summarise(config, samples, sessions, list(problems)))
    return replace(scored, recorded=target)


def _check_version(config: RunConfig, path: Path, metrics: RunMetrics) -> None:
    """Raise ConfigError where the config's policy gives other tokens now than when the run was generated."""
    if metrics.policy_version != config.policy.version:
        raise ConfigError(
            f"run {path}: its answers are of version {metrics.policy_version} of policy {config.policy.name!r}, whose"
            f" version is {config.policy.version} now, so that the same config would give others. `dlmlen run`"
            " generates them."
        )


def _check_lengths(config: RunConfig, path: Path, sample_ids: Collection[str]) -> None:
    """Raise ConfigError where the policy's lengths would be others with the scores of this config."""
    if not isinstance(config.policy, LengthsFromRuns) or config.policy.lengths is not None:
        return
    kept = RunFolder(path).lengths
    if kept is not None:
        kept = {name: kept[name] for name in sample_ids if name in kept}
    if kept is None or resolve_policy(config, None, sample_ids) != config.policy.with_lengths(kept):
        raise ConfigError(
            f"run {path}: policy {config.policy.name!r} learns its lengths from the scores of earlier runs, and by"
            " the scores of this config they are others. `dlmlen run` generates the answers of those lengths."
        )


def _check_vacant(folder: RunFolder, sample_ids: Collection[str]) -> None:
    recorded = {record.id for record in read_summaries(folder.path)}
    if folder.finished and recorded >= set(sample_ids):
        raise RecordError(
            f"run {folder.path}: is there already, finished, and `dlmlen run` with this config finds it."
            " To record it again, move it away first."
        )
    if folder.finished:
        raise RecordError(
            f"run {folder.path}: is there already, with {len(recorded & set(sample_ids)):,} of these"
            f" {counted(len(sample_ids), 'sample')}; `dlmlen run` with this config generates the others."
            f" To record all of them"
            " again, move it away first."
        )
    if recorded:
        raise RecordError(
            f"run {folder.path}: is begun already, and not finished. Continue it with `dlmlen run`, or move it away"
            " first."
        )


def _recorded_already(config: RunConfig, path: Path, scored: Scored) -> ConfigError:
    """Why a config that is the run's own is not recorded."""
    if not scored.changed:
        return ConfigError(
            f"run {path}: has these scores already, under this very config. Another run is one with another"
            " benchmark.FIELD=VALUE."
        )
    benchmark = type(config.benchmark)
    return ConfigError(
        f"run {path}: {counted(len(scored.changed), 'sample scores', 'samples score')} otherwise now"
        f" ({first_few(scored.changed)}), under the very"
        " config they are recorded with, so that both would be the same run. Unless a time limit decided them, scoring"
        f" was changed: raise {benchmark.__name__}.version, now {benchmark.version}, and record again."
    )


def _with_score(record: SampleRecord, score: Score) -> SampleRecord:
    fields = {
        "filtered_resps": [score.answer],
        "score": score.value,
        "extracted": dict(score.extracted),
        "details": dict(score.details),
    }
    return SampleRecord.model_validate(dict(record) | fields)


def _rescored(session: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """A session of the run in the folder `source` whose answers were scored again now, after any earlier times."""
    now = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": str(source),
        "dlmlen": package_version(),
        "git_commit": git_commit(),
        "command": command_line(),
        "python": platform.python_version(),
    }
    return {**session, "rescored": [*session.get("rescored", ()), now]}
