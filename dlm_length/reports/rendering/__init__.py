"""A report's tables, figures and samples as LaTeX, Markdown, CSV and one HTML page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from dlm_length.reports.rendering.csv_and_json import csv_table, json_tables
from dlm_length.reports.rendering.figure import Figure, FigureFormat
from dlm_length.reports.rendering.html_page import html_page
from dlm_length.reports.rendering.html_samples import RunSamples, ShownSample
from dlm_length.reports.rendering.latex import latex_document, latex_table
from dlm_length.reports.rendering.markdown import markdown_notes, markdown_table
from dlm_length.reports.table import ReportTable

TextFormat = Literal["markdown", "csv", "latex", "json"]

__all__ = [
    "TABLE_FILES",
    "Figure",
    "FigureFormat",
    "RunSamples",
    "ShownSample",
    "csv_table",
    "html_page",
    "json_tables",
    "latex_document",
    "latex_table",
    "markdown_notes",
    "markdown_table",
    "render_tables",
]

TABLE_FILES: Mapping[TextFormat, tuple[str, Callable[[ReportTable], str]]] = {
    "latex": ("tex", latex_table),
    "markdown": ("md", markdown_table),
    "csv": ("csv", csv_table),
    "json": ("json", lambda table: f"{json_tables([table])}\n"),
}
"""Suffix and renderer of a table's own file."""


def render_tables(tables: Sequence[ReportTable], form: TextFormat) -> str:
    """The tables as Markdown, CSV, LaTeX or JSON, one after the other; JSON is one list. CSV has no notes."""
    if form == "json":
        return json_tables(tables)
    return "\n\n".join(TABLE_FILES[form][1](table).rstrip("\n") for table in tables)
