"""A report's sheets, figures and samples as LaTeX, Markdown, CSV and one HTML page."""

from dlm_length.reports.rendering.csv_files import csv_table
from dlm_length.reports.rendering.figure import Figure, FigureFormat
from dlm_length.reports.rendering.html_page import html_page
from dlm_length.reports.rendering.html_samples import RunSamples, ShownSample
from dlm_length.reports.rendering.latex import latex_document, latex_table
from dlm_length.reports.rendering.markdown import markdown_notes, markdown_table
from dlm_length.reports.rendering.one_table import render_table

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
