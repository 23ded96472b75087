"""Tables and figures, from records alone."""

from dlm_length.reports.run_table import run_table
from dlm_length.reports.study_table import study_table
from dlm_length.reports.tables import Table

__all__ = ["Table", "run_table", "study_table"]
