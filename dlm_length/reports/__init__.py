"""Tables and figures, from records only."""

from dlm_length.reports.notes import isolation_notes, isolations
from dlm_length.reports.table import ReportTable
from dlm_length.reports.tables.plan import plan_table, study_plan_table
from dlm_length.reports.tables.run import RunDiff, run_diff, run_table, study_table

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
