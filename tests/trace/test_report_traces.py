"""Traces for a report: of the recorded answers, or none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import dlm_length.runner.devices
from dlm_length.config import RunConfig
from dlm_length.records import read_samples
from dlm_length.reports.rendering import ShownSample
from dlm_length.runner import Progress, run
from dlm_length.trace.report import RunTracer


@pytest.fixture
def recorded(configure: Callable[..., RunConfig], watch: Progress) -> tuple[Path, list[ShownSample]]:
    """A finished run, and its samples."""
    folder = run(configure("hardware.seed=3"), watch).path
    return folder, [ShownSample.of(record) for record in read_samples(folder)]


def test_traces_are_of_the_recorded_answers_and_the_model_is_loaded_once(
    recorded: tuple[Path, list[ShownSample]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, samples = recorded
    load, loaded = dlm_length.runner.devices.load, []
    monkeypatch.setattr(dlm_length.runner.devices, "load", lambda *given: loaded.append(given) or load(*given))
    tracer = RunTracer(lambda _: None)
    for sample in samples[:2]:
        page = tracer(folder, sample)
        assert page is not None
        assert json.dumps(sample.answers[0]).strip('"')[:20] in page
        assert f"<title>{sample.id} · fixed · llada-tiny</title>" in page
    assert len(loaded) == 1
    assert not tracer.left_out


@pytest.mark.parametrize("field", ["answers", "nfe", "n_token"])
def test_a_trace_of_another_answer_is_left_out_with_the_reason(
    recorded: tuple[Path, list[ShownSample]], field: str
) -> None:
    folder, (sample, *_) = recorded
    other = ShownSample(**vars(sample) | {field: ("another",) if field == "answers" else 1})
    tracer = RunTracer(lambda _: None)
    assert tracer(folder, other) is None
    (reason,) = tracer.left_out
    assert reason.startswith(f"No trace of {sample.id} in {folder}: denoised now, its answer differs")


def test_a_missing_model_leaves_a_report_without_traces(recorded: tuple[Path, list[ShownSample]]) -> None:
    folder, (sample, *_) = recorded
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("embedded:llada-tiny", "/no/such/checkpoint"))
    tracer = RunTracer(lambda _: None)
    assert tracer(folder, sample) is None
    assert tracer.left_out[0].startswith(f"No trace of {sample.id} in {folder}: ")
