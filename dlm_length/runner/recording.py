"""Other scores of a finished run's answers as a run of their own: what `run` would have left, without generating."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dlm_length.benchmarks import Score
from dlm_length.common import ConfigError, first_few
from dlm_length.config import RunConfig
from dlm_length.models import load_tokenizer
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
from dlm_length.runner.environment import rescored
from dlm_length.runner.jobs import Job, prepare
from dlm_length.runner.precomputed_lengths import resolve_policy
from dlm_length.runner.rescoring import Scored, score_records
from dlm_length.runner.summary import summarise


def record_run(config: RunConfig, path: Path, watch: Callable[[int, int], None]) -> Scored:
    """Score a finished run's answers by `config` and write the run that this config names, beside the other.

    `config`: the run's own with other settings of its scoring. `watch`: as in `rescoring.score_run`.
    Raises UserError where that run is not finished, where `config` asks it anything else than it answered, where the
    scores are there already, and where the run to be written is. Only that one is written to.
    """
    _check_version(config, path, read_metrics(path))
    asked = read_sample_ids(path)
    sessions = RunFolder(path).sessions
    if not sessions:
        raise RecordError(f"run {path}: does not say how its answers were made (no environment.json there).")
    records = {record.id: record for record in read_samples(path, only=asked)}
    problems = {problem.id: problem for problem in config.benchmark.problems()}
    tokenizer = load_tokenizer(config.model.path, config.model.revision, config.model.file)
    _check_questions(path, records, prepare(config.benchmark, list(problems.values()), tokenizer))

    here = Path(os.path.normpath(path.absolute()))  # not resolve(): a link's own name and place count
    beside = here.with_name(config.run_name)
    if beside == here:
        raise _recorded_already(config, path, score_records(config.benchmark, problems, records, watch))
    _check_lengths(config, path, records)
    with RunFolder(beside) as folder:
        _check_vacant(folder, records)
        scored = score_records(config.benchmark, problems, records, watch)
        samples = [_with_score(record, scored.scores[name]) for name, record in records.items()]
        if (lengths := RunFolder(path).lengths) is not None:
            folder.keep_lengths(lengths)
        folder.fill(config.to_yaml(), [rescored(session, here) for session in sessions], samples)
        folder.finish(summarise(config, samples, sessions, list(problems)))
    return replace(scored, recorded=beside)


def _check_version(config: RunConfig, path: Path, metrics: RunMetrics) -> None:
    """Raise ConfigError where the config's policy gives other tokens by now than it gave then."""
    if metrics.policy_version != config.policy.version:
        raise ConfigError(
            f"run {path}: its answers are of version {metrics.policy_version} of policy {config.policy.name!r}, whose"
            f" version is {config.policy.version} now, so that the same config would give others. `dlmlen run`"
            " generates them."
        )


def _check_questions(path: Path, records: Mapping[str, SampleRecord], jobs: Sequence[Job]) -> None:
    """Raise ConfigError where the answers are not those to what would be asked now."""
    if faults := list(_differences(records, {job.problem.id: job for job in jobs})):
        raise ConfigError(
            f"run {path}: its answers are not those to what is asked now: {'; '.join(faults)}. The data must be the"
            " same, and only fields that decide nothing but scores may differ, such as benchmark.execute_code. For"
            " anything else `dlmlen run` generates the answers."
        )


def _differences(records: Mapping[str, SampleRecord], jobs: Mapping[str, Job]) -> Iterator[str]:
    both = [(record, jobs[name]) for name, record in records.items() if name in jobs]
    differing: dict[str, list[str]] = {
        "have no answer there": [name for name in jobs if name not in records],
        "are not asked now": [name for name in records if name not in jobs],
        "have another prompt, in its text or its number of tokens": [
            r.id for r, job in both if (r.prompt, r.prompt_length) != (job.text, len(job.prompt_ids))
        ],
        "have another reference answer": [r.id for r, job in both if r.target != job.problem.target],
        "are another row of the data": [r.id for r, job in both if r.doc_id != job.problem.index],
    }
    return (f"{len(names)} samples {what}: {first_few(names)}" for what, names in differing.items() if names)


def _check_lengths(config: RunConfig, path: Path, sample_ids: Collection[str]) -> None:
    """Raise ConfigError where other scores of earlier runs would have led to other canvases."""
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
    there = {record.id for record in read_summaries(folder.path)}
    if folder.finished and there >= set(sample_ids):
        raise RecordError(
            f"run {folder.path}: is there already, finished, and `dlmlen run` with this config finds it."
            " To record it anew, move it away first."
        )
    if folder.finished:
        raise RecordError(
            f"run {folder.path}: is there already, with {len(there & set(sample_ids)):,} of these"
            f" {len(sample_ids):,} samples; `dlmlen run` with this config generates the others. To record all of them"
            " anew, move it away first."
        )
    if there:
        raise RecordError(
            f"run {folder.path}: is begun already, and not finished. Continue it with `dlmlen run`, or move it away"
            " first."
        )


def _recorded_already(config: RunConfig, path: Path, scored: Scored) -> ConfigError:
    """Why a config that is still the run's own is not recorded."""
    if not scored.changed:
        return ConfigError(
            f"run {path}: has these scores already, under this very config. Another run is one with another"
            " benchmark.FIELD=VALUE."
        )
    benchmark = type(config.benchmark)
    return ConfigError(
        f"run {path}: {len(scored.changed)} samples score otherwise now ({first_few(scored.changed)}), under the very"
        " config they are recorded with, so that both would be the same run. Unless a time limit decided them, scoring"
        f" was changed: raise {benchmark.__name__}.version, now {benchmark.version}, and record again."
    )


def _with_score(record: SampleRecord, score: Score) -> SampleRecord:
    verdict = {
        "filtered_resps": [score.answer],
        "score": score.value,
        "extracted": dict(score.extracted),
        "details": dict(score.details),
    }
    return SampleRecord.model_validate(dict(record) | verdict)
