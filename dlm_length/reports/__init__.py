"""Tables and figures, from records alone."""

from dlm_length.reports.notes import isolation_notes, isolations
from dlm_length.reports.plan_table import plan_table, study_plan_table
from dlm_length.reports.run_diff import RunDiff, run_diff
from dlm_length.reports.run_table import run_table
from dlm_length.reports.study_table import study_table
from dlm_length.reports.table import ReportTable

__all__ = [
    "ReportTable",
    "RunDiff",
    "isolation_notes",
    "isolations",
    "plan_table",
    "run_diff",
    "run_table",
    "study_plan_table",
    "study_table",
]
