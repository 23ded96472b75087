"""Length policies by decodings: score, cost and wall-clock of every combination."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dlm_length.analysis.agreement import equal_token_share
from dlm_length.analysis.decodings import (
    AgainstPlain,
    against_plain,
    decoding_of,
    decoding_text,
    uncached_twins,
)
from dlm_length.analysis.sections import Compared
from dlm_length.reports.notes import STARS, collapse_notes, pace_notes
from dlm_length.reports.table import Cell, Column, Group, ReportTable, Row
from dlm_length.reports.tables.cells import (
    all_runs,
    effect_cell,
    heading,
    mean_gflops,
    notes_on,
    number_cell,
    score_cell,
    scores_note,
    seconds_cell,
    tokens_per_second_cell,
)

_COLUMNS = (
    Column("length policy", numeric=False),
    Column("decoding", numeric=False),
    Column("score", higher_is_better=True),
    Column("delta vs plain (%)", higher_is_better=True),
    Column("GFLOPs", higher_is_better=False),
    Column("wall-clock s", higher_is_better=False),
    Column("tokens/s", higher_is_better=True),
    Column("tokens as uncached (%)", higher_is_better=True),
)


def decoding_table(sections: Sequence[Compared]) -> ReportTable | None:
    """The grid of length policies and decodings; None where no section has two decodings."""
    shown = [each for each in sections if len({decoding_text(run) for run in each.section.runs}) > 1]
    if not shown:
        return None
    arms = {path: arm for each in shown for path, arm in each.once(_against_plain).items()}
    labels = {path: label for each in shown for path, label in each.section.label_of.items()}
    runs = all_runs(shown)
    return ReportTable(
        "decoding",
        "Length policies under each decoding",
        _COLUMNS,
        tuple(Group(heading(each.section), tuple(_rows(each, arms))) for each in shown),
        (
            *collapse_notes(arms.values(), labels),
            *_notes(bool(arms)),
            *pace_notes(runs),
            *scores_note(shown),
            *notes_on(sections, runs),
        ),
    )


def _against_plain(each: Compared) -> dict[Path, AgainstPlain]:
    return against_plain(each.section.runs, each.testing)


def _rows(each: Compared, arms: Mapping[Path, AgainstPlain]) -> Iterator[Row]:
    """The rows of a section: those of one length policy together, plain decoding first."""
    runs = each.section.runs
    lengths = {run.path: each.section.length_name(run) for run in runs}
    order = list(dict.fromkeys(lengths.values()))
    uncached = uncached_twins(runs)
    for run in sorted(
        runs, key=lambda run: (order.index(lengths[run.path]), bool(decoding_of(run)), decoding_text(run))
    ):
        arm, twin = arms.get(run.path), uncached.get(run.path)
        cells: tuple[Cell, ...] = (
            lengths[run.path],
            each.section.decoding_name(run),
            score_cell(each.section, run),
            effect_cell(None if arm is None else arm.delta),
            mean_gflops(run),
            seconds_cell(run),
            tokens_per_second_cell(run),
            number_cell(None if twin is None else equal_token_share(run, twin), digits=2, unit=100),
        )
        others = [other for other in (None if arm is None else arm.plain, twin) if other is not None]
        sources = dict.fromkeys(path for other in (run, *others) for path in other.paths)
        yield Row(cells, tuple(sources), baseline=run is each.section.baseline)


def _notes(tested: bool) -> Iterator[str]:
    yield (
        "Plain decoding: no threshold, stop rule, early commit, adaptive blocks or cache. GFLOPs: mean per sample, only"
        " what was computed where there is a cache. tokens/s: tokens that are neither EOS nor EOT, by wall-clock."
        " tokens as uncached: equal tokens, of the longer canvas, of the run and of the one that differs only in its"
        " cache."
    )
    if tested:
        yield (
            "delta vs plain: relative change of the mean score against the same length policy in plain decoding."
            f" {STARS}, paired; a family is the decodings of one length policy."
        )
