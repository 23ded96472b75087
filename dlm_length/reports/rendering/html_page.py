"""A whole report as a page: a single HTML file that needs nothing else and links to the folders of the runs.

Tables are plain HTML, which the page's script can sort; samples are data, which it shows on request. The template is
`templates/report.html`.
"""

import base64
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dlm_length.records import SampleRecord
from dlm_length.records.run_folder import SAMPLES
from dlm_length.reports.rendering.figure import Figure
from dlm_length.reports.rendering.html_templates import render_page
from dlm_length.reports.rendering.text import baseline_note, slug
from dlm_length.reports.table import Number, ReportTable, p_text

_LARGEST_SVG = 2_000_000
"""Bytes; a drawing of more, as of very many points, is shown as pixels."""
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Lone surrogates that stand for no byte of a path, as the others do: no folder's name has them."""


@dataclass(frozen=True)
class RunSamples:
    """Samples of a run, to be read."""

    run: Path
    label: str
    section: str
    samples: Sequence[SampleRecord]
    """All of them, or as many as the page shall hold."""
    total: int
    """That the run has."""


def html_page(
    title: str,
    tables: Sequence[ReportTable],
    figures: Sequence[Figure],
    samples: Sequence[RunSamples],
    notes: Sequence[str],
    folder: Path,
) -> str:
    """The page as HTML text, to be written into `folder`: its links to the runs are relative to that.

    A run that has samples here is linked to them from every row and figure behind which it stands. A click on a
    column's title sorts rows within their group.
    """
    return render_page(
        __package__,
        "report",
        title=title,
        notes=notes,
        tables=tables,
        figures=figures,
        sections=list(_sections(samples)),
        contents=_contents(tables, figures, samples),
        runs=_Runs(folder, samples),
        data=[[_sample_data(sample) for sample in run.samples] for run in samples],
        data_address=_data_address,
        described=_described,
        has_value=_has_value,
        interval_text=_interval_text,
        js_number=_js_number,
        notes_below=_notes_below,
        slug=slug,
    )


def _sections(samples: Sequence[RunSamples]) -> Iterator[tuple[int, str, list[tuple[int, RunSamples]]]]:
    """Neighbouring runs of one section, both numbered from 1."""
    numbered = enumerate(samples, start=1)
    for number, (section, members) in enumerate(groupby(numbered, key=lambda pair: pair[1].section), start=1):
        yield number, section, list(members)


def _contents(
    tables: Sequence[ReportTable], figures: Sequence[Figure], samples: Sequence[RunSamples]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Kinds of the page's parts, each with anchor and title of its members."""
    return [
        ("Tables", [(f"table-{slug(table.name)}", table.title) for table in tables]),
        ("Figures", [(f"figure-{slug(figure.name)}", figure.title) for figure in figures]),
        ("Samples", [(f"section-{number}", section) for number, section, _ in _sections(samples)]),
    ]


class _Runs:
    """The runs' places: their folders as seen from the page's own, and their numbers on the page."""

    def __init__(self, folder: Path, samples: Sequence[RunSamples]) -> None:
        self._folder = folder
        self._samples = {_absolute(run.run): (number, run) for number, run in enumerate(samples, start=1)}

    def number(self, run: Path) -> int | None:
        """Of the run's samples on the page, from 1; None where the page has none of them."""
        shown = self._samples.get(_absolute(run))
        return None if shown is None else shown[0]

    def label(self, run: Path) -> str:
        """The run's label; the folder's name where the page does not know the run."""
        shown = self._samples.get(_absolute(run))
        return run.name if shown is None else shown[1].label

    def folder(self, run: Path) -> str:
        """Address of a run's folder."""
        path = os.path.relpath(_absolute(run), _absolute(self._folder))
        return f"{quote(os.fsencode(_NO_BYTES.sub('?', path)))}/"

    def records(self, run: Path) -> str:
        """Address of a run's samples.jsonl."""
        return f"{self.folder(run)}{SAMPLES}"


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 -- drops `..`, and unlike `resolve` leaves links as they were named


def _has_value(number: Number) -> bool:
    return not math.isnan(number.value)


def _js_number(value: float) -> str:
    """As JavaScript reads it, which spells infinity out."""
    return repr(float(value)).replace("inf", "Infinity")


def _has_interval(number: Number) -> bool:
    return not (math.isnan(number.low) and math.isnan(number.high))


def _interval_text(number: Number) -> str:
    """The interval with the value's digits; empty where there is none."""
    if not _has_interval(number):
        return ""
    low, high = (Number(end, number.digits).text for end in (number.low, number.high))
    return f"[{low}, {high}]"


def _described(number: Number) -> str:
    """What a number shows when it is pointed at: more digits, its interval and its p."""
    parts = [f"{number.value:.6g}"]
    if _has_interval(number):
        parts.append(f"interval {number.low:.6g} to {number.high:.6g}")
    if not math.isnan(number.p):
        parts.append(f"p {p_text(number.p, equal='= ', resamples=number.resamples)}")
    return "; ".join(parts)


def _notes_below(table: ReportTable) -> list[str]:
    return [*table.all_notes, *baseline_note(table, "Shaded")]


def _data_address(figure: Figure) -> str:
    kind, image = "svg+xml", figure.render("svg")
    if len(image) > _LARGEST_SVG:
        kind, image = "png", figure.render("png")
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def _sample_data(sample: SampleRecord) -> dict[str, Any]:
    """What the script shows of a sample."""
    return {
        "id": sample.id,
        "score": sample.score,
        "n_token": sample.n_token,
        "e_token": sample.e_token,
        "nfe": sample.ledger.total.nfe,
        "prompt": sample.prompt,
        "target": sample.target,
        "answers": [answer for answers in sample.resps for answer in answers],
        "found": sample.filtered_resps,
        "reason": sample.error or sample.details.get("reason"),
    }
