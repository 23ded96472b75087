"""The common part of benchmarks that are scored by running the answer's code."""

import ast
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import Field

from dlm_length.benchmarks import _code_extraction
from dlm_length.benchmarks._prompts import Style, cut
from dlm_length.common import Parameters
from dlm_length.sandbox import Isolation, Outcome, sandbox


class CodeExecution(Parameters):
    """Parameters of a benchmark that runs generated code, only if `execute_code` is set, and in a sandbox."""

    execute_code: bool = False
    """Run the generated code in a sandbox. Without it nothing is executed and nothing scored."""
    isolation: Isolation = "bubblewrap"
    """The sandbox. bubblewrap: no network, no files except the standard library's, separate processes; where it cannot
    run, nothing is generated. process_limits: only limits of time, memory and processes; files are not hidden.
    """
    timeout: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Seconds of CPU time that an answer and its tests may take together."""

    def check_execution(self) -> None:
        """Raise UserError where code is to be executed and cannot be; called before answers are generated."""
        if self.execute_code:
            sandbox(self.isolation).check()

    def run_tests(
        self, code: str | None, tests: str, entry_points: Collection[str] = ()
    ) -> tuple[float | None, dict[str, Any]]:
        """A score's value and details for `code` (None where the answer has none); for the tests see `Sandbox.run`."""
        if not self.execute_code:
            return None, {"reason": "not executed: set benchmark.execute_code=true to run generated code"}
        if code is None:
            return 0.0, {"reason": "no_code"}
        outcome = sandbox(self.isolation).run(code, tests, entry_points=entry_points, timeout=self.timeout)
        details = {"reason": _reason(outcome), "message": outcome.detail, "isolation": outcome.isolation}
        return float(outcome.status == "passed"), details


def extracted_code(style: Style, answer: str, prompt: str, entry_point: str) -> str | None:
    """The program of an answer, by the style's extraction. `prompt`: the code that it may continue, or empty."""
    text = cut(answer, style.stop)
    match style.extraction:
        case "first_fence":
            return _code_extraction.first_fence(text, prompt, entry_point)
        case "answer_fence":
            return _code_extraction.answer_fence(text, prompt, entry_point)
        case _:
            return _code_extraction.completion_or_whole(text, answer, prompt, entry_point)


def parsed(code: str, field: str) -> ast.Module:
    """The syntax tree of Python code in the data set. Raises ValueError where `field` holds something else."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"expected Python in {field!r}, found something else ({error}).") from None


def _reason(outcome: Outcome) -> str:
    """The recorded reason: passed, wrong_answer, `exception: TYPE`, syntax, timeout, memory or crashed."""
    if outcome.status != "failed":
        return outcome.status
    return "wrong_answer" if outcome.exception == "AssertionError" else f"exception: {outcome.exception}"
