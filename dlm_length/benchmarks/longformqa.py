"""LongFormQA: questions with long reference answers, scored by ROUGE."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from dlm_length.benchmarks._data import Row, chosen, hub_rows, local_rows, problems_of
from dlm_length.benchmarks._prompts import StyledBenchmark, cut
from dlm_length.benchmarks.base import Column, Problem, Score, detail_columns

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

LFQA = "vblagoje/lfqa"


class LongAnswers(StyledBenchmark):
    """Questions with one or several long reference answers, scored by ROUGE-1."""

    metric: ClassVar[str] = "rouge1"
    metric_title: ClassVar[str] = "ROUGE-1"
    placeholders: ClassVar[tuple[str, ...]] = ("question",)

    question_field: str = "question"
    """The field of a row with the question; a dot leads into a mapping."""
    answer_field: str = "answer"
    """The field of a row with the reference answer or answers."""
    multi_reference: bool = True
    """Score against the best matching one of several references; else against the first."""
    stemming: bool = True
    """Compare the stems of words (Porter), as is usual for ROUGE."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """The data set's rows."""

    def problems(self) -> list[Problem]:
        build = partial(longformqa_problem, self)
        return chosen(problems_of(self.rows(), (), build), self)

    def score(self, problem: Problem, answer: str) -> Score:
        answer = cut(answer, self.style.stop)
        references = problem.fields["references"] if self.multi_reference else problem.fields["references"][:1]
        first = _scorer(("rouge1",), self.stemming)
        best = max(references, key=lambda reference: first.score(reference, answer)["rouge1"].fmeasure)
        shared = _scorer(("rouge1", "rouge2"), self.stemming).score(best, answer)
        compared = _first_words(best), _first_words(answer)
        shared |= _scorer(("rougeL",), self.stemming).score(*compared)
        measures = {name: shared[name].fmeasure for name in ROUGE}
        lengths = {"answer_words": len(answer.split()), "reference_words": len(best.split())}
        if compared != (best, answer):
            lengths["rougeL_words"] = MOST_WORDS
        reason = "scored" if answer.strip() else "no_answer"
        return Score(measures["rouge1"], answer, {"answer": answer}, {"reason": reason, **measures, **lengths})

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        return detail_columns(scores, (*ROUGE, "answer_words"))


class LongFormQA(LongAnswers):
    """LongFormQA: questions with long answers, by default 500 of ELI5, scored by ROUGE-1.

    SmartCrop's paper names the benchmark but not its source, so that any data set of questions and answers can be used:
    `path`, `config_name`, `split` and the two fields choose it. The default is the community's copy of ELI5. ROUGE uses
    only the letters a to z and digits, so that it cannot score languages in other scripts.
    """

    version: ClassVar[int] = 2
    title: ClassVar[str] = "LongFormQA"
    source: ClassVar[str] = "Fan et al. 2019, arXiv 1907.09190 (ELI5); vblagoje/lfqa, split test"

    name: Literal["longformqa"] = "longformqa"
    prompt_style: Literal["plain", "completion"] = "plain"
    """plain: the question as a chat turn. completion: one text, `Question: ... Answer:`."""
    path: str | None = None
    """A data set on the hub, or a local file (JSONL or Parquet) with the same fields; None: vblagoje/lfqa."""
    config_name: str | None = None
    """The data set's configuration on the hub, where it has several."""
    split: str = "test"
    """The data set's split on the hub."""
    question_field: str = "title"
    """The field of a row with the question; a dot leads into a mapping."""
    answer_field: str = "answers.text"
    """The field of a row with the reference answer or answers."""
    limit: PositiveInt | None = 500
    """Only this many questions: the first ones, or a random choice with `subset_seed`; null: all."""
    subset_seed: int | None = Field(default=0, ge=0)
    """Seed of the random choice of `limit` questions; the same seed chooses the same ones on every machine."""

    def rows(self) -> Iterator[Row]:
        if self.path is not None and (Path(self.path).expanduser().exists() or Path(self.path).suffix in FILES):
            return local_rows(self.path)
        return hub_rows(self.path or LFQA, self.config_name, self.split)


ROUGE = ("rouge1", "rouge2", "rougeL")
_WORD = re.compile("[A-Za-z0-9]")
_WORDS = re.compile("[A-Za-z0-9]+")
MOST_WORDS = 2_500
"""Words of the answer and of the reference that ROUGE-L compares, as its time and memory grow with the product of both;
if one is longer, the record has `rougeL_words`. ROUGE-1 and ROUGE-2 compare the whole texts."""
FILES = (".jsonl", ".json", ".gz", ".parquet")
"""Suffixes by which `path` is a local file, even if it is missing."""


@cache
def _scorer(kinds: Sequence[str], stemming: bool) -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(kinds), use_stemmer=stemming)


def _first_words(text: str) -> str:
    """The text up to its `MOST_WORDS`-th word, as ROUGE counts words."""
    after = next(islice(_WORDS.finditer(text), MOST_WORDS, None), None)
    return text if after is None else text[: after.start()]


def longformqa_problem(benchmark: LongAnswers, index: int, fields: Mapping[str, Any]) -> Problem:
    """The problem of a row of the data set. Raises ValueError for a malformed one."""
    question_field, answer_field = benchmark.question_field, benchmark.answer_field
    question, answers = _at(fields, question_field), _at(fields, answer_field)
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"expected a question as text in {question_field!r}, found {_brief(question)}.")
    references = [answers] if isinstance(answers, str) else answers
    if not isinstance(references, list) or not all(isinstance(text, str) for text in references):
        raise ValueError(f"expected an answer or a list of them in {answer_field!r}, found {_brief(answers)}.")
    references = [text for text in references if text.strip()]
    if not references:
        raise ValueError(f"expected at least one answer that is not empty in {answer_field!r}.")
    if not any(_WORD.search(text) for text in (references if benchmark.multi_reference else references[:1])):
        raise ValueError(f"expected an answer with a-z or 0-9 in {answer_field!r}: ROUGE ignores all else.")
    sample_id = fields.get("q_id", fields.get("id"))
    return Problem(
        id=f"{benchmark.name}/{index}" if sample_id is None else str(sample_id),
        index=index,
        target=references[0],
        fields={"question": question, "references": references},
    )


def _at(fields: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path. Raises ValueError where there is none."""
    value: Any = fields
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            there = f"the fields {', '.join(value)}" if isinstance(value, Mapping) else _brief(value)
            raise ValueError(f"expected the field {path!r}, found {there} where {part!r} should be.")
        value = value[part]
    return value


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
