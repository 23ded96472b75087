"""Mini-LongFormQA: 200 questions with answers of one to six sentences."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from dlm_length.benchmarks._data import Row, packaged_rows
from dlm_length.benchmarks.longformqa import LongAnswers


class MiniLongFormQA(LongAnswers):
    """Mini-LongFormQA: 200 questions with answers of up to six sentences, for a model of some million weights.

    Made by a seeded generator from some three hundred facts. Scored as LongFormQA. The model's training data have the
    facts, as they must, but no question that asks for the same ones, in any words or order.
    """

    version: ClassVar[int] = 2
    title: ClassVar[str] = "mini-LongFormQA"
    source: ClassVar[str] = "made by `python -m scripts.mini_benchmarks` in the repository"

    name: Literal["mini_longformqa"] = "mini_longformqa"
    prompt_style: Literal["plain"] = "plain"
    """The bare question as a turn of a chat."""

    def rows(self) -> Iterator[Row]:
        return packaged_rows(self.name, self.path)
