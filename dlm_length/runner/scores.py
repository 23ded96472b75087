"""Scoring beside the generation: each answer is scored in a thread, and handed on as soon as its score is there."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from dlm_length.benchmarks import Benchmark, Problem, Score
from dlm_length.engine import Generation
from dlm_length.runner.prepare import Job

Sink = Callable[[Job, Generation, Score], None]


class Scorers:
    """A pool of threads; scores reach the sink in the caller's thread, when it drains.

    Half the cores: the forward and the programs under test share the machine.
    """

    def __init__(self, benchmark: Benchmark, sink: Sink) -> None:
        self._benchmark = benchmark
        self._sink = sink
        self._pool = ThreadPoolExecutor(max_workers=max(1, _cores() // 2), thread_name_prefix="score")
        self._scoring: dict[Future[Score], tuple[Job, Generation]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def backlog(self) -> int:
        """Answers that are not handed on yet."""
        return len(self._scoring)

    def submit(self, job: Job, generation: Generation) -> None:
        """Score an answer in its turn."""
        future = self._pool.submit(_score, self._benchmark, job.problem, generation)
        self._scoring[future] = job, generation

    def drain(self, *, to_the_end: bool = False) -> None:
        """Hand on what is scored by now, or wait for all of it."""
        while self._scoring:
            scored, _ = wait(self._scoring, timeout=None if to_the_end else 0, return_when=FIRST_COMPLETED)
            if not scored:
                return
            for future in scored:
                self._sink(*self._scoring.pop(future), future.result())


def score_all(
    benchmark: Benchmark, asked: Sequence[tuple[Problem, str]], watch: Callable[[int, int], None]
) -> list[Score]:
    """The verdict on each (problem, answer), in their order. `watch` is told how many are scored, and of how many."""
    with ThreadPoolExecutor(max_workers=_cores(), thread_name_prefix="score") as pool:
        scores: list[Score] = []
        for score in pool.map(lambda pair: benchmark.score(*pair), asked):
            scores.append(score)
            watch(len(scores), len(asked))
        return scores


def _score(benchmark: Benchmark, problem: Problem, generation: Generation) -> Score:
    if generation.error is not None:
        return Score(None, details={"reason": "not generated"})
    return benchmark.score(problem, generation.text())


def _cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
