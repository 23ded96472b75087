"""Mini-IFEval: 200 prompts with verifiable instructions."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from dlm_length.benchmarks._data import Row, packaged_rows
from dlm_length.benchmarks.ifeval import VerifiableInstructions


class MiniIFEval(VerifiableInstructions):
    """Mini-IFEval: 200 prompts with verifiable instructions, for a model of some million weights.

    Made by a seeded generator. Scored as IFEval, by the same verifiers. No request in the model's training data has the
    same instructions, in any words.
    """

    version: ClassVar[int] = 2
    title: ClassVar[str] = "mini-IFEval"
    source: ClassVar[str] = "made by `python -m scripts.mini_benchmarks` in the repository"

    name: Literal["mini_ifeval"] = "mini_ifeval"
    prompt_style: Literal["plain"] = "plain"
    """The bare prompt as a turn of a chat."""

    def rows(self) -> Iterator[Row]:
        return packaged_rows(self.name, self.path)
