"""Non-inferiority and equivalence of every run, within a margin."""

from collections.abc import Sequence

from dlm_length.analysis.margins import Judged, judge_margin
from dlm_length.analysis.sections import Compared
from dlm_length.reports.effects import MARGIN_COLUMNS, margin_cells, margin_notes, points
from dlm_length.reports.table import Column, Group, ReportTable
from dlm_length.reports.tables.cells import heading, no_baseline_notes, notes_on, row
from dlm_length.stats import StatisticsError


def margin_table(sections: Sequence[Compared], margin: float) -> ReportTable | None:
    """A row per run that is compared with a baseline; None where none is. `margin`: a share of the score.

    The runs of a section are one family.
    """
    groups: list[Group] = []
    judged: list[Judged] = []
    for each in sections:
        try:
            of = judge_margin(each.scores, margin, each.testing)
        except StatisticsError as error:
            raise StatisticsError(f"{each.section.title}, margin of {points(margin)}: {error}") from error
        judged += of.values()
        rows = tuple(
            row(each.section, run, (each.section.label_of[run.path], *margin_cells(of.get(run.path))))
            for run in each.runs
        )
        if rows:
            groups.append(Group(heading(each.section), rows))
    if not groups:
        return None
    return ReportTable(
        "non-inferiority",
        f"Scores within {points(margin)} of the baseline's",
        (Column("policy", numeric=False), *MARGIN_COLUMNS),
        tuple(groups),
        (
            *margin_notes(margin, judged, sections[0].testing),
            *no_baseline_notes(sections),
            *notes_on(run for each in sections for run in each.section.others),
        ),
    )
