"""Mini-HumanEval: 200 small Python functions."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from dlm_length.benchmarks._data import Row, packaged_rows
from dlm_length.benchmarks.humaneval import FunctionCompletion


class MiniHumanEval(FunctionCompletion):
    """Mini-HumanEval: 200 small Python functions, for a model of some million weights.

    Made by a seeded generator. Scored as HumanEval, by running tests in a sandbox, with `execute_code: true`. No
    function in the model's training data has the same sequence of steps (a longer one may contain it).
    """

    version: ClassVar[int] = 2
    title: ClassVar[str] = "mini-HumanEval"
    source: ClassVar[str] = "made by `python -m scripts.mini_benchmarks` in the repository"

    name: Literal["mini_humaneval"] = "mini_humaneval"
    prompt_style: Literal["plain"] = "plain"
    """The bare prompt as a turn of a chat."""

    def rows(self) -> Iterator[Row]:
        return packaged_rows(self.name, self.path)
