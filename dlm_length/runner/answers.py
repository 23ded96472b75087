"""Answers from elsewhere: a file of texts by sample, or another harness's sample log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm_length.benchmarks import Problem, local_rows
from dlm_length.common import UserError, suggestion


def read_answers(file: Path, problems: Sequence[Problem]) -> dict[str, str]:
    """The answers in a JSONL file, by problem id.

    A line has either `id` (a problem's id, or its row in the data set) and `text`, or lm-eval's `doc_id` and `resps`.
    Raises UserError, by row, for what is neither, answers no problem, or answers one twice.
    """
    by_name = {str(problem.index): problem.id for problem in problems} | {p.id: p.id for p in problems}
    answers: dict[str, str] = {}
    for where, line in local_rows(file):
        name, text = _answer(line, where)
        if name not in by_name:
            near = suggestion(name, by_name)
            raise UserError(
                f"{where}: answers {name!r}, which is none of the {len(problems)} problems from {problems[0].id!r} to"
                f" {problems[-1].id!r}.{near} benchmark.limit, subset_seed and sample_ids choose the problems."
            )
        if by_name[name] in answers:
            raise UserError(f"{where}: answers {name!r} a second time.")
        answers[by_name[name]] = text
    if not answers:
        raise UserError(f"{file}: holds no answers.")
    return answers


def _answer(line: Mapping[str, Any], where: str) -> tuple[str, str]:
    """(id or row, text) of one line."""
    match line:
        case {"id": str() | int() as name, "text": str() as text}:
            return str(name), text
        case {"doc_id": int() as row, "resps": [[str() as text, *_], *_]}:
            return str(row), text
    raise UserError(
        f"{where}: expected `id` and `text`, or lm-eval's `doc_id` and `resps`; found {', '.join(line) or 'nothing'}."
    )
