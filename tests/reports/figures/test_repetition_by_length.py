"""How much answers repeat themselves, by the length of their canvas."""

from pathlib import Path

import pytest
from figure_helpers import bars, marked, one, points, the_axes

from dlm_length.analysis.sections import collect
from dlm_length.reports.figures.repetition import compute, rates_of, repetition
from dlm_length.reports.names import with_names

ONCE = "one two three four five six seven"
TWICE = "one two three four one two three four"
"""Five 4-grams, of which the last was there before."""


def test_rates_are_the_means_of_answers_that_are_long_enough(finish_run) -> None:
    finish_run(
        "tiny_gsm8k_fixed",
        {"a": {"resps": [[ONCE]], "n_token": 16}, "b": {"resps": [["too short"]], "n_token": 16}},
        "policy.length=16",
    )
    finish_run("tiny_gsm8k_fixed", {"a": {"resps": [[TWICE]], "n_token": 64}, "b": {"resps": [[ONCE]], "n_token": 64}})
    section = with_names(*collect([Path("results")]))
    data = compute(section, {run.path: rates_of(run) for run in section.runs})
    found = dict(zip(data.length.tolist(), zip(data.rate.tolist(), data.answers.tolist(), strict=True), strict=True))
    assert found == {16: (0, 1), 64: (pytest.approx(10), 2)}
    assert data.titles == {"fixed": "Fixed canvas, by L"}
    figure = one(repetition(section))
    axes = the_axes(figure)
    (line,) = marked(axes)
    assert points(line) == [(16, 0), (64, pytest.approx(10))], "joined by length"
    assert [low <= 10 <= high for (x, low), (_, high) in bars(axes) if x == 64] == [True]
    assert "n = 1 to 2 answers of 4 words or more" in figure.caption


def test_several_answers_to_a_problem_are_one_observation(finish_run) -> None:
    several = "benchmark.samples_per_problem=2"
    finish_run("tiny_humaneval_fixed", {"a#0": {"resps": [[ONCE]]}, "a#1": {"resps": [[TWICE]]}}, several)
    (section,) = collect([Path("results")])
    assert rates_of(section.runs[0]).tolist() == [pytest.approx(0.1)]


def test_canvases_of_one_length_have_no_figure(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", {"a": {"resps": [[ONCE]]}})
    finish_run("tiny_gsm8k_smartcrop", {"a": {"resps": [[TWICE]]}})
    section = with_names(*collect([Path("results")]))
    assert not repetition(section)
