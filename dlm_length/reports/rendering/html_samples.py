"""The samples of a page, compressed: the numbers of all in one block, their texts in blocks that are read when needed.

A block is JSON, gzipped, in base64, in a `<script>` element that no browser executes; `templates/samples.js` reads it.
"""

import base64
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from dlm_length.records import SampleRecord

_BLOCK = 256_000
"""Approximate characters of a block of texts: few enough to unpack quickly, enough to compress well."""


@dataclass(frozen=True)
class ShownSample:
    """The part of a sample's record that a page shows."""

    id: str
    score: float | None
    n_token: int
    """Canvas length, tokens."""
    e_token: int
    """Answer length: canvas tokens that are neither EOS nor EOT."""
    nfe: int
    flops: int
    """By the reference formula, probes included."""
    prompt: str
    target: str
    answers: tuple[str, ...]
    found: tuple[str | None, ...]
    """What was extracted from each answer to be scored."""
    reason: str | None
    """Why it failed or was scored as it is."""

    @classmethod
    def of(cls, record: SampleRecord) -> Self:
        """The shown part of a record, which is far larger as it has the tokens of the canvas."""
        reason = record.error or record.details.get("reason")
        return cls(
            id=record.id,
            score=record.score,
            n_token=record.n_token,
            e_token=record.e_token,
            nfe=record.ledger.total.nfe,
            flops=record.ledger.total.flops_reference,
            prompt=record.prompt,
            target=record.target,
            answers=tuple(answer for answers in record.resps for answer in answers),
            found=tuple(record.filtered_resps),
            reason=_in_words(reason) if isinstance(reason, str) else None,
        )


def _in_words(reason: str) -> str:
    """`wrong answer` for a scorer's `wrong_answer`; a sentence is not changed."""
    return reason.replace("_", " ") if re.fullmatch(r"[a-z]+(_[a-z]+)+", reason) else reason


@dataclass(frozen=True)
class RunSamples:
    """The samples of a run that a page shows."""

    run: Path
    label: str
    section: str
    samples: Sequence[ShownSample]
    """All samples of the run, or the first of them."""
    total: int
    """Number of samples that the run has."""
    baseline: Path | None = None
    """Folder of the run that its samples are compared with; its own where it is that run."""


@dataclass(frozen=True)
class Packed:
    """A page's samples as its elements hold them."""

    index: str
    """The numbers of every sample, and which block has its texts."""
    blocks: tuple[str, ...]
    """The texts."""


def sections_of(samples: Sequence[RunSamples]) -> Iterator[tuple[int, str, list[tuple[int, RunSamples]]]]:
    """The sections in order, each with its number, its title and its numbered runs; numbers begin at 1."""
    numbered = enumerate(samples, start=1)
    for number, (section, members) in enumerate(groupby(numbered, key=lambda pair: pair[1].section), start=1):
        yield number, section, list(members)


def pack(content: object) -> str:
    """JSON of the content, gzipped, in base64: equal content gives equal text."""
    return _packed(_json(content))


def _json(content: object) -> str:
    """JSON in ASCII, so that lone surrogates, which UTF-8 cannot encode, stay escaped."""
    return json.dumps(content, separators=(",", ":"))


def _packed(text: str) -> str:
    # Level 9 would take 1.7 times as long and save 6 bytes of a thousand.
    return base64.b64encode(gzip.compress(text.encode("ascii"), 6, mtime=0)).decode("ascii")


def pack_samples(samples: Sequence[RunSamples], traces: Mapping[tuple[Path, str], str] | None = None) -> Packed:
    """Pack the samples of all runs. `traces`: pages by the run's folder and the sample's id, each in its own block."""
    blocks: list[str] = []
    places = {run.run: number for number, run in enumerate(samples)}
    index: list[dict[str, Any]] = []
    for _, title, members in sections_of(samples):
        runs = [run for _, run in members]
        by_id = [{sample.id: sample for sample in run.samples} for run in runs]
        ids = list(dict.fromkeys(name for own in by_id for name in own))
        rows = (_row([own.get(name) for own in by_id]) for name in ids)
        starts = []
        for start, block in _blocks(rows):
            starts.append([start, len(blocks)])
            blocks.append(_packed(block))
        index.append(
            {
                "title": title,
                "ids": ids,
                "blocks": starts,
                "runs": [
                    _numbers(run, own, ids, None if run.baseline is None else places.get(run.baseline))
                    for run, own in zip(runs, by_id, strict=True)
                ],
            }
        )
        for (run, sample), page in (traces or {}).items():
            place = next((place for place, each in enumerate(runs) if each.run == run), None)
            if place is not None and sample in by_id[place]:
                index[-1]["runs"][place]["traces"][ids.index(sample)] = len(blocks)
                blocks.append(pack(page))
    return Packed(pack(index), tuple(blocks))


def _numbers(
    run: RunSamples, own: Mapping[str, ShownSample], ids: Sequence[str], baseline: int | None
) -> dict[str, Any]:
    """A run's columns, in the order of the section's ids; null where it does not have the sample."""
    present = [own.get(name) for name in ids]
    columns = {
        name: [None if sample is None else getattr(sample, name) for sample in present]
        for name in ("n_token", "e_token", "nfe", "flops")
    }
    scores = [-1 if sample is None else sample.score for sample in present]
    return {"label": run.label, "baseline": baseline, "score": scores, "traces": {}} | columns


def _row(samples: Sequence[ShownSample | None]) -> list[Any]:
    """Prompt and reference, then each run's texts; null for a run without this sample.

    A run's texts end with its own prompt and reference only where these differ from the first run's.
    """
    first = next(sample for sample in samples if sample is not None)
    row: list[Any] = [first.prompt, first.target]
    for sample in samples:
        if sample is None:
            row.append(None)
            continue
        texts: list[Any] = [list(sample.answers), list(sample.found), sample.reason]
        if (sample.prompt, sample.target) != (first.prompt, first.target):
            texts += [sample.prompt, sample.target]
        row.append(texts)
    return row


def _blocks(rows: Iterable[list[Any]]) -> Iterator[tuple[int, str]]:
    """Rows in blocks of about equal size, as JSON, each with the number of its first row."""
    start, held = 0, list[str]()
    for row in rows:
        held.append(_json(row))
        if sum(map(len, held)) >= _BLOCK:
            yield start, f"[{','.join(held)}]"
            start, held = start + len(held), []
    if held:
        yield start, f"[{','.join(held)}]"
