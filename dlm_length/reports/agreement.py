"""Whether two runs have the same tokens, where they part, and what of their machines could be the reason."""

import statistics
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from dlm_length.records import SampleRecord
from dlm_length.reports.table import MISSING, ReportTable, number, text_table

ROUNDING = (
    "device_name",
    "dtype",
    "attention",
    "fused",
    "batch_invariant",
    "compile",
    "torch",
    "transformers",
    "cuda",
    "triton",
    "max_batch_tokens",
    "runs_together",
    "threads",
    "checkpoint",
    "dlmlen",
    "git_commit",
)
"""Fields of environment.json that can change the last bits of a probability, the likeliest first."""
_SHOWN = 5


def agreement_table(
    first: Mapping[str, SampleRecord],
    second: Mapping[str, SampleRecord],
    sessions: tuple[Sequence[Mapping[str, object]], Sequence[Mapping[str, object]]],
) -> ReportTable:
    """Token agreement of two runs over the samples that both have.

    `first`, `second`: records by sample id. `sessions`: what environment.json says of each run.
    """
    shared = [(name, first[name].canvas_ids, second[name].canvas_ids) for name in first if name in second]
    parted = {name: place for name, one, other in shared if (place := first_difference(one, other)) is not None}
    lengths = sum(max(len(one), len(other)) for _, one, other in shared)
    equal = sum(a == b for _, one, other in shared for a, b in zip_longest(one, other))
    rows = [
        ("samples with equal tokens", f"{len(shared) - len(parted):,} of {len(shared):,}", ""),
        ("equal tokens, of the longer canvas", number(equal / lengths, 4) if lengths else MISSING, ""),
    ]
    if parted:
        middle = statistics.median_low(parted.values())
        rows.append(("first difference, median", f"position {middle}", ""))
    rows += [(field, *values) for field, values in _apart(*sessions).items()]
    return text_table("agreement", "Are the tokens the same?", ("", "first", "second"), rows, _notes(parted))


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """The first canvas position, from 0, at which two canvases differ or one has ended; None where they are equal."""
    pairs = enumerate(zip_longest(one, other))
    return next((place for place, (a, b) in pairs if a != b), None)


def _apart(one: Sequence[Mapping[str, object]], other: Sequence[Mapping[str, object]]) -> dict[str, tuple[str, str]]:
    """The fields of ROUNDING that differ, with the values of each run's sessions."""
    values = {field: (_values(one, field), _values(other, field)) for field in ROUNDING}
    return {field: pair for field, pair in values.items() if pair[0] != pair[1]}


def _values(sessions: Sequence[Mapping[str, object]], field: str) -> str:
    found = dict.fromkeys(str(session[field]) for session in sessions if session.get(field) is not None)
    return ", ".join(found) or MISSING


def _notes(parted: Mapping[str, int]) -> list[str]:
    notes = ["Positions count from the canvas's first token, 0. A canvas that ends earlier differs from there on."]
    if parted:
        first = sorted(parted, key=lambda name: (parted[name], name))[:_SHOWN]
        notes.append(f"The earliest: {', '.join(f'{name} at {parted[name]}' for name in first)}.")
    return notes
