"""What exporters read of a run in addition to its metrics: samples with their texts, times, and versions."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dlm_length.analysis.runs import Run
from dlm_length.records import RunFolder, SampleRecord, read_samples


def samples_of(run: Run) -> list[SampleRecord]:
    """The samples that a run's metrics count, in the benchmark's order."""
    records = {record.id: record for record in read_samples(run.path, only=run.metrics.sample_ids)}
    return [records[name] for name in run.metrics.sample_ids or sorted(records)]


def sessions_of(run: Run) -> list[dict[str, Any]]:
    """The run's sessions in environment.json; empty where there is no such file."""
    return RunFolder(run.path).sessions


def started(session: Mapping[str, Any]) -> datetime:
    """Start of a session, in UTC; the Unix epoch where its record does not say."""
    try:
        return datetime.fromisoformat(session["started"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return datetime.fromtimestamp(0, UTC)


def span(run: Run) -> tuple[datetime, datetime]:
    """Start of a run's first session, and the time its last sample was recorded, in UTC."""
    sessions = sessions_of(run) or [{}]
    ends = [
        started(sessions[sample.session]) + timedelta(seconds=sample.elapsed)
        for sample in run.samples.values()
        if sample.session < len(sessions)
    ]
    begin = started(sessions[0])
    return begin, max(ends, default=begin)


def sample_metric(record: SampleRecord, metric: str, main: str) -> Any:
    """A sample's value of a metric: a number, or a list where the metric pools several; None where it has none.

    `main`: name of the main metric, whose value is the score.
    """
    value = record.score if metric == main else record.details.get(metric)
    return value if isinstance(value, bool | int | float | list) else None
