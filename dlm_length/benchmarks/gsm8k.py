"""GSM8K: grade-school mathematics in words, scored by the value of one number."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from dlm_length.benchmarks import _numbers
from dlm_length.benchmarks._data import Row, chosen, hub_rows, local_rows, problems_of
from dlm_length.benchmarks._prompts import StyledBenchmark, cut
from dlm_length.benchmarks.base import Column, Problem, Score, detail_columns


class WordProblems(StyledBenchmark):
    """Word problems whose answer is a number, in the form of GSM8K's data set."""

    metric: ClassVar[str] = "exact_match"
    metric_title: ClassVar[str] = "accuracy"
    placeholders: ClassVar[tuple[str, ...]] = ("question",)

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """The data set's rows, with `question` and `answer`."""

    def problems(self) -> list[Problem]:
        build = partial(gsm8k_problem, benchmark=self.name)
        return chosen(problems_of(self.rows(), ("question", "answer"), build), self)

    def score(self, problem: Problem, answer: str) -> Score:
        answer = cut(answer, self.style.stop)
        extracted = {name: extract(answer) for name, extract in _numbers.EXTRACTIONS.items()}
        target = _numbers.value(problem.target)
        correct = {name: number is not None and _numbers.value(number) == target for name, number in extracted.items()}
        main = self.style.extraction
        reason = "correct" if correct[main] else "no_answer" if extracted[main] is None else "wrong_answer"
        details = {f"{self.metric}_{name}": float(verdict) for name, verdict in correct.items()}
        return Score(
            float(correct[main]), extracted[main], extracted, {"reason": reason, "extraction": main, **details}
        )

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        by_extraction = (f"{self.metric}_{name}" for name in _numbers.EXTRACTIONS)
        return super().columns(scores) | detail_columns(scores, by_extraction)


class GSM8K(WordProblems):
    """GSM8K: 1,319 grade-school word problems with a number as their answer.

    Answers are compared by their exact values: `1,450.00`, `$1450` and `2900/2` are equal. Three extractions are
    recorded for every answer: `strict` (the number after `####`), `flexible` (the last number) and `boxed` (LaTeX); the
    prompt style determines which one is the main metric.
    """

    version: ClassVar[int] = 5
    title: ClassVar[str] = "GSM8K"
    source: ClassVar[str] = "Cobbe et al. 2021, arXiv 2110.14168; openai/gsm8k, config main, split test"

    name: Literal["gsm8k"] = "gsm8k"
    prompt_style: Literal["chat_cot_4shot", "chat_tags", "text_cot_5shot", "text_cot_0shot"] = "chat_cot_4shot"
    """The form of prompt and extraction; the words are ours.

    chat_cot_4shot: four worked examples as chat turns, last number, as in LLaDA's evaluation. chat_tags: zero-shot chat
    with tags, boxed number, as in DAEDAL's. text_cot_5shot: five worked examples in one text, number after ####, as in
    lm-eval's gsm8k. text_cot_0shot: zero-shot text, last number, as in lm-eval's gsm8k_cot_zeroshot.
    """

    def rows(self) -> Iterator[Row]:
        return local_rows(self.path) if self.path is not None else hub_rows("openai/gsm8k", "main", "test")


def gsm8k_problem(index: int, fields: Mapping[str, Any], *, benchmark: str = "gsm8k") -> Problem:
    """The problem of a row of the data set. Raises ValueError for a malformed one."""
    number = _numbers.reference(fields["answer"])
    if number is None:
        raise ValueError(f"expected an answer that ends in `#### NUMBER`, found {fields['answer'][-60:]!r}.")
    return Problem(id=f"{benchmark}/{index}", index=index, target=_numbers.plain(number), fields=fields)
