"""Tables and figures, from records alone."""

from dlm_length.reports.isolation import isolation_notes, isolations
from dlm_length.reports.run_table import run_table
from dlm_length.reports.side_by_side import SideBySide, side_by_side
from dlm_length.reports.study_table import study_table
from dlm_length.reports.tables import Table

__all__ = ["SideBySide", "Table", "isolation_notes", "isolations", "run_table", "side_by_side", "study_table"]
