"""Reading answers from files: texts by sample id, or another harness's sample log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm_length.benchmarks import Problem, local_rows, whole
from dlm_length.common import UserError, counted, suggestion

NAMES = ("id", "doc_id", "task_id", "key", "prompt")
"""Fields that name the problem; the first that a line has is used."""
TEXTS = ("text", "resps", "completion", "response")
"""Fields of the answer; the first that a line has is used."""
FORMS = "`id` and `text`, lm-eval's `doc_id` and `resps`, `task_id` and `completion`, or `prompt` and `response`"
DOCUMENT_FIELDS = ("question", "problem", "prompt", "text", "task_id", "key", "unique_id")
"""Fields of a row that identify its data set; a sample log repeats them."""


def read_answers(file: Path, benchmark: str, problems: Sequence[Problem]) -> dict[str, str]:
    """The answers in a JSONL or Parquet file, by problem id, in any of the usual forms (`FORMS`).

    Several samples of one problem are named `HumanEval/0#1` each (in `doc.id` too), or come in order: as one line's
    `resps`, or as lines that name the problem. lm-eval's second line of a sample, for another filter, is skipped.
    Raises UserError, by row, for a line of another form, one that answers no problem or one of another data set, one
    answer too many, and a line that could be another sample as well as the same one under another
    of lm-eval's filters.
    """
    lookup, filters = _Problems(benchmark, problems), _Filters()
    answers: dict[str, str] = {}
    for where, line in local_rows(file):
        field = _first(NAMES, line, where)
        texts = _texts(line, where)
        samples = _named_by(line.get("doc"), lookup.of(field, whole(line[field]), where))
        _check_document(line.get("doc"), samples[0], where)
        if filters.repeats(line, samples, where):
            continue
        free = [sample.id for sample in samples if sample.id not in answers]
        if len(texts) > 1 and len(texts) != len(samples):
            raise UserError(
                f"{where}: has {len(texts)} answers to {line[field]!r}, where"
                f" {counted(len(samples), 'is', 'are')} scored; benchmark.samples_per_problem says how many,"
                " where a benchmark has it."
            )
        if len(texts) > len(free):
            again = "a second time" if len(samples) == 1 else f"more than {len(samples)} times"
            raise UserError(f"{where}: answers {line[field]!r} {again}.")
        answers |= zip(free, texts, strict=False)
    return answers


class _Filters:
    """Tells apart a second sample and a log's second line of the same one, which lm-eval writes for another filter.

    Every line of a sample repeats its `resps`; what the filter made of them is in `filtered_resps`. Newer logs name the
    `filter`; in older ones two filters with the same result leave two equal lines.
    """

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}

    def repeats(self, line: Mapping[str, Any], samples: Sequence[Problem], where: str) -> bool:
        """Whether an earlier line was of the same sample. Raises UserError where that cannot be decided."""
        seen = self._seen.setdefault(samples[0].id, [])
        same = [(place, earlier) for place, earlier in seen if earlier.get("resps") == line.get("resps")]
        seen.append((where, line))
        if not same:
            return False
        place, earlier = same[0]
        if line.get("filter") != earlier.get("filter"):
            return True
        if "filter" in line or "filtered_resps" not in line:
            return False
        if line["filtered_resps"] != earlier.get("filtered_resps") or len(samples) == 1:
            return True
        raise UserError(
            f"{where}: answers {samples[0].id.rpartition('#')[0]!r} as {place} does, word for word, and neither line"
            " names its `filter`: it may be another sample, or another filter's line of the same one. Give one filter's"
            " lines alone, or all samples of a problem in one line's `resps`."
        )


class _Problems:
    """Finds the problem of an answer, by any of its names.

    A number is the data set's own (IFEval's `key`, MBPP's `task_id`), where its problems are named by one, else the
    row, which is counted from 0; lm-eval's `doc_id` is always the row.
    """

    def __init__(self, benchmark: str, problems: Sequence[Problem]) -> None:
        self._problems = problems
        self._rows: dict[str, list[Problem]] = {}
        self._prompts: dict[str, list[Problem]] = {}
        for problem in problems:
            self._rows.setdefault(str(problem.index), []).append(problem)
            if isinstance(prompt := problem.fields.get("prompt"), str):
                self._prompts.setdefault(prompt, []).append(problem)
        names = {_name(samples): samples for samples in self._rows.values()}
        own = f"{benchmark}/"
        numbers = {name.removeprefix(own): samples for name, samples in names.items() if name.startswith(own)}
        self._names = (numbers or self._rows) | names | {problem.id: [problem] for problem in problems}

    def of(self, field: str, name: str | int, where: str) -> list[Problem]:
        """The samples of the problem that is named in that field; several where it is sampled repeatedly."""
        if isinstance(name, bool) or not isinstance(name, str if field == "prompt" else str | int):
            raise UserError(f"{where}: expected a problem's id or number in {field!r}, found {name!r:.60}.")
        known = {"doc_id": self._rows, "prompt": self._prompts}.get(field, self._names)
        if str(name) not in known:
            first, last = self._problems[0], self._problems[-1]
            near = suggestion(name, known) if field not in ("doc_id", "prompt") else ""
            raise UserError(
                f"{where}: answers {field} {name!r:.60}, which is none of the"
                f" {counted(len(self._problems), 'problem')} from"
                f" {first.id!r} to {last.id!r}.{near} benchmark.limit, subset_seed and sample_ids choose the problems."
            )
        return known[str(name)]


def _name(samples: Sequence[Problem]) -> str:
    """The name of the problem that these are samples of."""
    first = samples[0].id
    return first if len(samples) == 1 else first.rpartition("#")[0]


def _first(fields: Sequence[str], line: Mapping[str, Any], where: str) -> str:
    first = next((field for field in fields if field in line), None)
    if first is None:
        raise UserError(f"{where}: expected {FORMS}; found {', '.join(line) or 'nothing'}.")
    return first


def _texts(line: Mapping[str, Any], where: str) -> list[str]:
    """The answers of one line: several where a log has several samples."""
    field = _first(TEXTS, line, where)
    match line[field]:
        case str() as text if field != "resps":
            return [text]
        case [[*texts]] if field == "resps" and texts and all(isinstance(text, str) for text in texts):
            return texts
    form = "a list of answers inside a list" if field == "resps" else "a text"
    raise UserError(f"{where}: expected {form} in {field!r}, found {line[field]!r:.60}.")


def _named_by(document: object, samples: list[Problem]) -> list[Problem]:
    """Of a problem's samples the one whose id a log's `doc` has, as those that `dlmlen export` writes; else all."""
    name = document.get("id") if isinstance(document, Mapping) else None
    return [sample for sample in samples if sample.id == name] or samples


def _check_document(document: object, problem: Problem, where: str) -> None:
    """Raise UserError where a log's copy of the data set's row differs from the problem that its number names."""
    if not isinstance(document, Mapping):
        return
    for field in DOCUMENT_FIELDS:
        theirs, ours = document.get(field), problem.fields.get(field)
        if theirs is not None and ours is not None and theirs != ours:
            raise UserError(
                f"{where}: answers another data set: {field} is {theirs!r:.60} there, {ours!r:.60} in {problem.id!r}."
            )
