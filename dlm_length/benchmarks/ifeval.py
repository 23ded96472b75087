"""IFEval: instructions that a program can verify. `_ifeval/` has the instructions."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from dlm_length.benchmarks._data import Row, chosen, hub_rows, local_rows, problems_of, whole
from dlm_length.benchmarks._ifeval import RunawayPatternError, instructions_of, verify
from dlm_length.benchmarks._prompts import StyledBenchmark, cut
from dlm_length.benchmarks.base import Column, Problem, Score, detail_columns


class VerifiableInstructions(StyledBenchmark):
    """Prompts with instructions on the answer's form that a program can verify, in the form of IFEval's data set."""

    metric: ClassVar[str] = "prompt_level_strict_acc"
    metric_title: ClassVar[str] = "strict accuracy"
    placeholders: ClassVar[tuple[str, ...]] = ("prompt", "key")

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """The data set's rows, with `key`, `prompt`, `instruction_id_list` and `kwargs`."""

    def problems(self) -> list[Problem]:
        return chosen(problems_of(self.rows(), ("prompt",), partial(ifeval_problem, benchmark=self.name)), self)

    def score(self, problem: Problem, answer: str) -> Score:
        answer = cut(answer, self.style.stop)
        ids = problem.fields["instruction_id_list"]
        try:
            verdict = verify(ids, problem.fields["kwargs"], answer)
        except RunawayPatternError as error:
            return Score(None, answer, {"whole": answer}, {"reason": f"not scored: {error}"})
        value = float(all(verdict.strict))
        reason = "followed" if value else "not_followed" if answer.strip() else "no_answer"
        details = {
            "reason": reason,
            "prompt_level_loose_acc": all(verdict.loose),
            "inst_level_strict_acc": list(verdict.strict),
            "inst_level_loose_acc": list(verdict.loose),
            "failed_instructions": [name for name, followed in zip(ids, verdict.strict, strict=True) if not followed],
        }
        return Score(value, answer, {"whole": answer}, details)

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        """The four accuracies; those at instruction level are over all instructions of all prompts."""
        scored = {name: score.details for name, score in scores.items() if score.value is not None}
        pooled: dict[str, Column] = {
            name: {sample: (float(sum(each[name])), float(len(each[name]))) for sample, each in scored.items()}
            for name in ("inst_level_strict_acc", "inst_level_loose_acc")
        }
        prompt_level = super().columns(scores) | detail_columns(scores, ("prompt_level_loose_acc",))
        return prompt_level | {
            name: column for name, column in pooled.items() if any(given for _, given in column.values())
        }


class IFEval(VerifiableInstructions):
    """IFEval: 541 prompts with 834 instructions on form, such as `at least 300 words` or `no commas`.

    The score is 1 where every instruction is followed by the official rules (strict). Also recorded: the verdict on
    each instruction, and both for the answer without its first line, last line or asterisks (loose).
    """

    version: ClassVar[int] = 1
    title: ClassVar[str] = "IFEval"
    source: ClassVar[str] = "Zhou et al. 2023, arXiv 2311.07911; google/IFEval, split train"

    name: Literal["ifeval"] = "ifeval"
    prompt_style: Literal["chat_bare", "text_bare"] = "chat_bare"
    """The bare prompt, as a turn of a chat as in LLaDA's evaluation, or as a text as in lm-eval's ifeval."""

    def rows(self) -> Iterator[Row]:
        return local_rows(self.path) if self.path is not None else hub_rows("google/IFEval", None, "train")


def ifeval_problem(index: int, fields: Mapping[str, Any], *, benchmark: str = "ifeval") -> Problem:
    """The problem of a row of the data set. Raises ValueError for a malformed one."""
    key = whole(fields.get("key"))
    if not isinstance(key, int | str) or isinstance(key, bool):
        raise ValueError(f"expected a number or a text in key, found {key!r}.")
    instructions_of(fields.get("instruction_id_list", ()), fields.get("kwargs", ()))
    return Problem(id=f"{benchmark}/{key}", index=index, target="", fields=fields)
