"""Whether records answer what is asked now: the one place where answers and questions are compared."""

from collections.abc import Iterator, Mapping, Sequence

from dlm_length.benchmarks import Problem
from dlm_length.common import first_few
from dlm_length.records import RecordError, RunFolder, SampleRecord
from dlm_length.runner.prepare import Job


def check_answers(
    folder: RunFolder,
    records: Mapping[str, SampleRecord],
    problems: Mapping[str, Problem],
    remedy: str,
    *,
    jobs: Sequence[Job] | None = None,
    complete: bool = False,
) -> None:
    """Raise RecordError where records are not answers to these problems, saying which and why.

    `records`, `problems`: by sample id. `remedy`: sentences on what to do about it. `jobs`: the problems whose prompts
    are compared too. `complete`: every problem must have its record, made from the same row of the data.
    """
    if faults := list(_differences(records, problems, jobs or (), complete=complete)):
        raise RecordError(
            f"run {folder.path}: samples there answer other questions than are asked now: {'; '.join(faults)}. {remedy}"
        )


def _differences(
    records: Mapping[str, SampleRecord], problems: Mapping[str, Problem], jobs: Sequence[Job], *, complete: bool
) -> Iterator[str]:
    both = [(record, problems[name]) for name, record in records.items() if name in problems]
    asked = [(records[job.problem.id], job) for job in jobs if job.problem.id in records]
    differing: dict[str, list[str]] = {
        "have no answer there": [name for name in problems if complete and name not in records],
        "are not asked now": [name for name in records if name not in problems],
        "have another prompt, in its text or its number of tokens": [
            record.id
            for record, job in asked
            if record.prompt != job.text or (complete and record.prompt_length != len(job.prompt_ids))
        ],
        "have another reference answer": [record.id for record, problem in both if record.target != problem.target],
        "are another row of the data": [
            record.id for record, problem in both if complete and record.doc_id != problem.index
        ],
    }
    return (f"{len(names)} samples {what}: {first_few(names)}" for what, names in differing.items() if names)
