"""One table in whichever text format is asked for."""

from typing import Literal

from dlm_length.reports.rendering.csv_files import csv_table
from dlm_length.reports.rendering.latex import latex_table
from dlm_length.reports.rendering.markdown import markdown_table
from dlm_length.reports.table import ReportTable

TextFormat = Literal["markdown", "csv", "latex"]

_RENDERERS = {"markdown": markdown_table, "csv": csv_table, "latex": latex_table}


def render_table(table: ReportTable, form: TextFormat) -> str:
    """The table as Markdown, CSV or LaTeX; CSV has no notes."""
    return _RENDERERS[form](table)
