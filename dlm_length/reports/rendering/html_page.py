"""A whole report as a page: a single HTML file that needs nothing else and links to the runs beside it.

Its parts lie beside this module as html_page.html, .css and .js. Tables are plain HTML, which the script can sort;
samples are data, which it shows when asked. Whatever is written in either, it is never HTML or script.
"""

import base64
from collections.abc import Sequence
from pathlib import Path

from dlm_length.reports.rendering.figure import Figure
from dlm_length.reports.rendering.html_parts import Runs, RunSamples, paragraphs, text
from dlm_length.reports.rendering.html_samples import samples_data, samples_section, sections
from dlm_length.reports.rendering.html_sheet import sheet_section
from dlm_length.reports.rendering.html_shell import data_element, html_document
from dlm_length.reports.rendering.text import slug
from dlm_length.reports.table import ReportTable

_LARGEST_SVG = 2_000_000
"""Bytes; a drawing of more, as of very many points, is shown as pixels."""


def html_page(
    title: str,
    sheets: Sequence[ReportTable],
    figures: Sequence[Figure],
    samples: Sequence[RunSamples],
    notes: Sequence[str],
    folder: Path,
) -> str:
    """The page as HTML text, to be written into `folder`: its links to the runs are relative to that.

    A run that has samples here is linked to them from every row and figure behind which it stands. A click on a
    column's title sorts rows within their group.
    """
    runs = Runs(folder, samples)
    parts = {
        "title": text(title),
        "notes": paragraphs(notes),
        "contents": _contents(sheets, figures, samples),
        "tables": "\n".join(sheet_section(sheet, runs) for sheet in sheets),
        "figures": "\n".join(_figure(figure, runs) for figure in figures),
        "samples": samples_section(samples, runs),
        "data": data_element("samples-data", [samples_data(run) for run in samples]),
    }
    return html_document(__package__, "html_page", parts)


def _contents(sheets: Sequence[ReportTable], figures: Sequence[Figure], samples: Sequence[RunSamples]) -> str:
    entries = {
        "Tables": [(f"table-{slug(sheet.name)}", sheet.title) for sheet in sheets],
        "Figures": [(f"figure-{slug(figure.name)}", figure.title) for figure in figures],
        "Samples": [(f"section-{number}", section) for number, section, _ in sections(samples)],
    }
    return "\n".join(
        f"<section><h2>{kind}</h2><ul>{''.join(_entry(*place) for place in places)}</ul></section>"
        for kind, places in entries.items()
        if places
    )


def _entry(anchor: str, title: str) -> str:
    return f'<li dir="auto"><a href="#{anchor}">{text(title)}</a></li>'


def _figure(figure: Figure, runs: Runs) -> str:
    kind, image = "svg+xml", figure.render("svg")
    if len(image) > _LARGEST_SVG:
        kind, image = "png", figure.render("png")
    data = base64.b64encode(image).decode("ascii")
    number = len(figure.sources)
    behind = f"<details><summary>runs ({number})</summary>{runs.listed(figure.sources)}</details>" if number else ""
    return f"""<figure id="figure-{slug(figure.name)}">
<h2 dir="auto">{text(figure.title)}</h2>
<img src="data:image/{kind};base64,{data}" alt="{text(figure.title)}">
<figcaption><p dir="auto">{text(figure.caption)}</p>{behind}</figcaption>
</figure>"""
