"""A report's tables, figures and samples as LaTeX, Markdown, CSV and one HTML page."""

from collections.abc import Callable, Mapping
from typing import Literal

from dlm_length.reports.rendering.csv_files import csv_table
from dlm_length.reports.rendering.figure import Figure, FigureFormat
from dlm_length.reports.rendering.html_page import html_page
from dlm_length.reports.rendering.html_samples import RunSamples, ShownSample
from dlm_length.reports.rendering.latex import latex_document, latex_table
from dlm_length.reports.rendering.markdown import markdown_notes, markdown_table
from dlm_length.reports.table import ReportTable

TextFormat = Literal["markdown", "csv", "latex"]

__all__ = [
    "Figure",
    "FigureFormat",
    "RunSamples",
    "ShownSample",
    "csv_table",
    "html_page",
    "latex_document",
    "latex_table",
    "markdown_notes",
    "markdown_table",
    "render_table",
]

_RENDERERS: Mapping[TextFormat, Callable[[ReportTable], str]] = {
    "markdown": markdown_table,
    "csv": csv_table,
    "latex": latex_table,
}


def render_table(table: ReportTable, form: TextFormat) -> str:
    """The table as Markdown, CSV or LaTeX; CSV has no notes."""
    return _RENDERERS[form](table)
