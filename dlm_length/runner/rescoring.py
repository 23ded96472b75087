"""Scores without generation: of a run's recorded answers, or of answers from elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlm_length.benchmarks import Benchmark, Problem, Score
from dlm_length.common import ConfigError, UserError, listing
from dlm_length.config import RunConfig
from dlm_length.records import RunFolder, SampleRecord, read_sample_ids, read_samples
from dlm_length.runner.answers import read_answers
from dlm_length.runner.scoring import score_all
from dlm_length.runner.uncertainty import uncertainty
from dlm_length.stats import Estimate


@dataclass(frozen=True)
class Scored:
    """Answers with their verdicts."""

    benchmark: str
    problems: int
    """Those of the benchmark; `scores` may have fewer."""
    scores: Mapping[str, Score]
    """By sample id, in the order of the problems."""
    metrics: Mapping[str, float]
    """Over the samples that were scored, by name."""
    uncertainty: Mapping[str, Estimate]
    """The same with their standard errors and 95% intervals."""
    changed: Sequence[str] = ()
    """Samples that were recorded with another score, be it one beside the main one."""
    recorded: Path | None = None
    """The run that has these scores, where they were recorded as one."""


def score_run(config: RunConfig, path: Path, watch: Callable[[int, int], None]) -> Scored:
    """Score a run's recorded answers again. `config`: the run's own, perhaps with other settings of its scoring.

    `watch` is told how many answers are scored, and of how many. Raises UserError where the config's problems are not
    those the run answered.
    """
    asked = read_sample_ids(path) if RunFolder(path).finished else None
    records = {record.id: record for record in read_samples(path, only=asked)}
    if not records:
        raise UserError(f"run {path}: has no samples.")
    problems = {problem.id: problem for problem in config.benchmark.problems()}
    _check_problems(path, records, problems)
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
    """Score a file of answers; see `answers.read_answers` for its forms, `score_run` for `watch`."""
    problems = {problem.id: problem for problem in benchmark.problems()}
    return _scored(benchmark, problems, read_answers(file, benchmark.name, list(problems.values())), watch)


def _scored(
    benchmark: Benchmark, problems: Mapping[str, Problem], answers: Mapping[str, str], watch: Callable[[int, int], None]
) -> Scored:
    asked = [(problem, answers[name]) for name, problem in problems.items() if name in answers]
    scores = {problem.id: score for (problem, _), score in zip(asked, score_all(benchmark, asked, watch), strict=True)}
    sure = uncertainty(benchmark, scores)
    return Scored(benchmark.name, len(problems), scores, benchmark.aggregate(scores), sure)


def _numbers(value: float | None, details: Mapping[str, Any]) -> tuple[float | None, dict[str, Any]]:
    """What of a score goes into metrics. The words beside it, such as a failed program's, may be others each time."""
    return value, {name: detail for name, detail in details.items() if not isinstance(detail, str | None)}


def _check_problems(path: Path, records: Mapping[str, SampleRecord], problems: Mapping[str, Problem]) -> None:
    absent = sorted(set(records) - set(problems))
    if absent:
        raise ConfigError(
            f"run {path}: answers {len(absent)} problems that benchmark does not have now ({listing(absent[:5])})."
            " Only fields that decide scores may differ, such as benchmark.execute_code."
        )
    other = [name for name, record in records.items() if record.target != problems[name].target]
    if other:
        raise UserError(
            f"run {path}: {len(other)} problems have another reference answer now ({listing(other[:5])})."
            " Did the file behind benchmark.path change?"
        )
