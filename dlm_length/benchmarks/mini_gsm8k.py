"""Mini-GSM8K: 200 word problems of one to six steps."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from dlm_length.benchmarks._data import Row, packaged_rows
from dlm_length.benchmarks.gsm8k import WordProblems


class MiniGSM8K(WordProblems):
    """Mini-GSM8K: 200 word problems of one to six steps, for a model of some million weights.

    Made by a seeded generator. Scored as GSM8K, by the number after `####`. No story in the model's training data has
    the same sequence of numbers (that of a short one may begin a longer one).
    """

    version: ClassVar[int] = 2
    title: ClassVar[str] = "mini-GSM8K"
    source: ClassVar[str] = "made by `python -m scripts.mini_benchmarks` in the repository"

    name: Literal["mini_gsm8k"] = "mini_gsm8k"
    prompt_style: Literal["plain"] = "plain"
    """The bare question as a turn of a chat."""

    def rows(self) -> Iterator[Row]:
        return packaged_rows(self.name, self.path)
