"""Scoring beside the generation: in threads of its own, handed on in the caller's."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dlm_length.benchmarks import Benchmark, Score
from dlm_length.engine import Generation
from dlm_length.runner.prepare import Job
from dlm_length.runner.scoring import Scorers


def asked(name: str) -> Job:
    return cast("Job", SimpleNamespace(problem=name))


def answered(text: str, error: str | None = None) -> Generation:
    return cast("Generation", SimpleNamespace(error=error, text=lambda: text))


def scoring(score: Callable[[str, str], Score]) -> Benchmark:
    return cast("Benchmark", SimpleNamespace(score=score))


@pytest.fixture
def kept() -> list[tuple[Any, Score, int]]:
    """(problem, score, thread) of what was handed on."""
    return []


@pytest.fixture
def keep(kept: list[tuple[Any, Score, int]]) -> Callable[[Job, Generation, Score], None]:
    """The sink of the scores."""
    return lambda job, _, score: kept.append((job.problem, score, threading.get_ident()))


def test_scores_are_worked_out_in_threads_and_handed_on_in_the_callers(
    keep: Callable[..., None], kept: list[tuple[Any, Score, int]]
) -> None:
    workers: set[int] = set()

    def score(problem: str, text: str) -> Score:
        workers.add(threading.get_ident())
        return Score(1.0, f"{problem}: {text}")

    with Scorers(scoring(score), keep) as scorers:
        for name in "abc":
            scorers.submit(asked(name), answered(f"answer {name}"))
        scorers.drain(to_the_end=True)
    assert sorted((problem, score.answer) for problem, score, _ in kept) == [
        (name, f"{name}: answer {name}") for name in "abc"
    ]
    assert {thread for *_, thread in kept} == {threading.get_ident()}
    assert threading.get_ident() not in workers


def test_draining_does_not_wait_for_a_slow_score(keep: Callable[..., None], kept: list[tuple[Any, Score, int]]) -> None:
    go = threading.Event()

    def score(problem: str, text: str) -> Score:
        assert go.wait(60)
        return Score(0.5)

    with Scorers(scoring(score), keep) as scorers:
        scorers.drain()
        scorers.submit(asked("slow"), answered("x"))
        scorers.drain()
        assert kept == []
        go.set()
        scorers.drain(to_the_end=True)
        assert [problem for problem, *_ in kept] == ["slow"]
        scorers.drain(to_the_end=True)
    assert len(kept) == 1, "nothing is handed on twice"


def test_what_was_not_generated_is_not_scored(keep: Callable[..., None], kept: list[tuple[Any, Score, int]]) -> None:
    with Scorers(scoring(lambda *_: pytest.fail("scored")), keep) as scorers:
        scorers.submit(asked("long"), answered("", error="too long"))
        scorers.drain(to_the_end=True)
    ((_, score, _),) = kept
    assert (score.value, score.details["reason"]) == (None, "not generated")


def test_a_failing_score_reaches_the_caller(keep: Callable[..., None]) -> None:
    def score(problem: str, text: str) -> Score:
        raise RuntimeError("bug in a scorer")

    with Scorers(scoring(score), keep) as scorers:
        scorers.submit(asked("a"), answered("x"))
        with pytest.raises(RuntimeError, match="bug in a scorer"):
            scorers.drain(to_the_end=True)


def test_an_interrupt_leaves_the_scores_that_have_not_begun(keep: Callable[..., None]) -> None:
    begun: list[str] = []
    go = threading.Event()

    def score(problem: str, text: str) -> Score:
        begun.append(problem)
        assert go.wait(60)
        return Score(1.0)

    def interrupted() -> None:
        with Scorers(scoring(score), keep) as scorers:
            for number in range(1000):
                scorers.submit(asked(str(number)), answered("x"))
            threading.Timer(0.1, go.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(begun) < 1000, "who interrupts does not wait for all of them"
