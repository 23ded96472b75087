"""Code execution metrics of lm-eval tasks, run in the sandbox instead of in this process.

Tasks that score by running code (HumanEval, MBPP and their relatives) load Hugging Face's metric `code_eval`, which
needs the network and an environment variable, and runs programs in children of this process with all of its rights.
While such a task is loaded, `CodeEval` replaces that metric.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dlm_length.benchmarks._execution import CodeExecution
from dlm_length.benchmarks.humaneval import pass_at_k

METRIC = "code_eval"


@dataclass
class CodeEval:
    """`evaluate.load("code_eval")` with programs in a sandbox: the same arguments and results.

    As there, a program is a candidate followed by its test, and passes if it raises no exception. The time limit is
    `benchmark.timeout`, in CPU time, instead of 3 s of wall-clock time.
    """

    execution: CodeExecution
    used: bool = False
    """Whether the task loaded it."""
    _running: threading.local = field(default_factory=threading.local)

    @contextmanager
    def recording(self) -> Iterator[list[dict[str, Any]]]:
        """Execute programs within this context, and yield the details of each outcome, in order.

        Outside it no program is executed and all of them fail.
        """
        self._running.details = []
        try:
            yield self._running.details
        finally:
            del self._running.details

    def compute(
        self,
        references: Sequence[str],
        predictions: Sequence[Sequence[str]],
        k: Sequence[int] = (1, 10, 100),
        **_: object,
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:
        """pass@k over tasks, for every k for which each task has k candidates, and the outcome of each candidate.

        `references`: (tasks,) tests; `predictions`: (tasks,) lists of candidates.
        """
        passed = [
            [self._passes(code, test) for code in codes] for codes, test in zip(predictions, references, strict=True)
        ]
        fewest = min(map(len, passed), default=0)
        scores = {
            f"pass@{each}": sum(pass_at_k(len(task), sum(task), each) for task in passed) / len(passed)
            for each in k
            if each <= fewest
        }
        return scores, {
            number: [(at, {"task_id": number, "passed": verdict}) for at, verdict in enumerate(task)]
            for number, task in enumerate(passed)
        }

    def _passes(self, candidate: str, test: str) -> bool:
        details: list[dict[str, Any]] | None = getattr(self._running, "details", None)
        if details is None:
            return False
        value, found = self.execution.run_tests(f"{candidate}\n{test}", "")
        details.append(found)
        return value == 1.0

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Within this context, `evaluate.load("code_eval")` returns this object."""
        import evaluate

        load = evaluate.load

        def load_instead(path: str, *args: Any, **kwargs: Any) -> Any:
            if path != METRIC:
                return load(path, *args, **kwargs)
            self.used = True
            return self

        evaluate.load = load_instead
        try:
            yield
        finally:
            evaluate.load = load
