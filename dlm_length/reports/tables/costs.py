"""What runs score and cost: by policy, by the value of one field, and by decoding."""

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
from dlm_length.analysis.parameters import Series, is_number, series_of
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared
from dlm_length.reports.notes import STARS, collapse_notes, pace_notes
from dlm_length.reports.table import TOKEN_COUNTS, Cell, Column, Group, Quantity, ReportTable, Row
from dlm_length.reports.tables.cells import (
    RunColumn,
    all_runs,
    beyond_columns,
    beyond_notes,
    effect_cell,
    ends,
    heading,
    mean_gflops,
    notes_on,
    number_cell,
    sample_mean,
    score_cell,
    scores_note,
    seconds_cell,
    spread_columns,
    table_of_runs,
    tokens_per_second_cell,
)
from dlm_length.reports.tables.measures import ranked

_SCORE: RunColumn = (Column("score", higher_is_better=True), lambda each, run: score_cell(each.section, run))
_COSTS: tuple[RunColumn, ...] = (
    (Column("NFE", higher_is_better=False), lambda _, run: number_cell(run.metrics.nfe)),
    (Column("probes", detail=True), lambda _, run: number_cell(run.metrics.probe_nfe, digits=2)),
    (
        Column("sum L (10³)", higher_is_better=False, detail=True),
        lambda _, run: sample_mean(run, lambda sample: sample.ledger.total.length_sum / 1e3, digits=2),
    ),
    (
        Column("sum L² (10⁶)", higher_is_better=False, detail=True),
        lambda _, run: sample_mean(run, lambda sample: sample.ledger.total.length_squared_sum / 1e6, digits=3),
    ),
    (Column("GFLOPs", higher_is_better=False), lambda _, run: mean_gflops(run)),
    (
        Column("GFLOPs executed", higher_is_better=False, detail=True),
        lambda _, run: sample_mean(run, lambda sample: sample.ledger.total.flops_executed / 1e9, digits=2),
    ),
    (Column("forward s", higher_is_better=False, detail=True), lambda _, run: number_cell(run.metrics.forward_seconds)),
    (Column("wall-clock s", higher_is_better=False), lambda _, run: seconds_cell(run)),
    (Column("tokens/s", higher_is_better=True), lambda _, run: tokens_per_second_cell(run)),
)
_ENERGY: RunColumn = (Column("J", higher_is_better=False), lambda _, run: number_cell(_joules(run)))
_ENERGY_NOTE = (
    "J: joules per sample that NVML counted for the whole card during the forwards, by token share, idle power and"
    " other processes on it included; without CPU and cooling."
)
_SHARED_ENERGY_NOTE = (
    "Where runs were made together, equal forwards of theirs ran once, and J has each run's share of them: less than"
    " the run would take by itself."
)


def _joules(run: Run) -> float | None:
    """Mean over the samples that ran; None where one of them has none."""
    joules = [sample.ledger.total.joules for sample in run.samples.values() if sample.error is None]
    measured = [each for each in joules if each is not None]
    return sum(measured) / len(measured) if measured and len(measured) == len(joules) else None


def cost_table(sections: Sequence[Compared]) -> ReportTable:
    """What each policy costs, in every unit at once, with its quality."""
    runs = all_runs(sections)
    energy = (_ENERGY,) if any(_joules(run) is not None for run in runs) else ()
    return table_of_runs(
        "cost",
        "What each policy costs",
        sections,
        (_SCORE, *spread_columns(runs), *_COSTS, *energy, *beyond_columns(sections)),
        (
            "NFE, probes (part of NFE), sums over forwards of the length L and of L², and FLOPs: means per sample."
            " FLOPs are analytic, a multiply-add as 2, the vocabulary head over every position as in the reference"
            " implementations; executed: over the positions where it was needed. forward s: of all forwards of the run,"
            " by token share; wall-clock: per sample, the samples of a batch side by side, loading the model excluded,"
            " the starts and shards of a run added up, of all devices of a start together; tokens/s: tokens of answers"
            " by wall-clock.",
            *(_ENERGY_NOTE for _ in energy),
            *(_SHARED_ENERGY_NOTE for _ in energy if any(run.metrics.runs_together > 1 for run in runs)),
            *beyond_notes(sections),
            *pace_notes(runs),
            *scores_note(sections),
            *notes_on(sections, runs),
        ),
    )


_LENGTHS_AND_COSTS: tuple[RunColumn, ...] = (
    (Column("e_token"), lambda _, run: number_cell(run.metrics.e_token)),
    (Column("n_token"), lambda _, run: number_cell(run.metrics.n_token)),
    (Column("E_ratio (%)", higher_is_better=True), lambda _, run: number_cell(run.metrics.e_ratio, unit=100)),
    (Column("NFE"), lambda _, run: number_cell(run.metrics.nfe)),
    (Column("GFLOPs", higher_is_better=False), lambda _, run: mean_gflops(run)),
)


def ablation_table(sections: Sequence[Compared]) -> ReportTable | None:
    """Runs that differ in one field of their policy; None where there are none."""
    found = [(each, series) for each in sections for series in series_of(each.section.runs)]
    if not found:
        return None
    runs = [run for _, series in found for run in series.runs]
    columns = (*spread_columns(runs, digits=1, unit=100), *_LENGTHS_AND_COSTS)
    return ReportTable(
        "ablations",
        "One field at a time",
        (
            Column("value", numeric=False),
            Column("score (%)", higher_is_better=True, own_columns=("low", "high")),
            Column("low", detail=True),
            Column("high", detail=True),
            *(column for column, _ in columns),
        ),
        tuple(
            Group(
                f"{heading(each.section)}: {each.section.series_name(series)}",
                tuple(_of_series(each, series, columns)),
            )
            for each, series in found
        ),
        (
            f"All other fields of the policy are equal within a group. {TOKEN_COUNTS} Token counts, NFE and FLOPs"
            " (analytic, the head over every position): means per sample. Bold: best score of the group, underlined:"
            " the second.",
            *scores_note(each for each, _ in found),
            *notes_on(sections, {run.path: run for run in runs}.values()),
        ),
    )


def _of_series(each: Compared, series: Series, columns: Sequence[RunColumn]) -> Iterator[Row]:
    scores = [score_cell(each.section, run, digits=1, unit=100) for run in series.runs]
    scores = ranked(scores, [True] * len(scores), higher_is_better=True)
    for value, run, score in zip(series.values, series.runs, scores, strict=True):
        shown = Quantity(str(value), value) if is_number(value) else each.section.value_name(value)
        yield Row((shown, score, *ends(score), *(of(each, run) for _, of in columns)), run.paths)


_DECODINGS = (
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
        _DECODINGS,
        tuple(Group(heading(each.section), tuple(_decoding_rows(each, arms))) for each in shown),
        (
            *collapse_notes(arms.values(), labels),
            *_decoding_notes(bool(arms)),
            *pace_notes(runs),
            *scores_note(shown),
            *notes_on(sections, runs),
        ),
    )


def _against_plain(each: Compared) -> dict[Path, AgainstPlain]:
    return against_plain(each.section.runs, each.testing)


def _decoding_rows(each: Compared, arms: Mapping[Path, AgainstPlain]) -> Iterator[Row]:
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


def _decoding_notes(tested: bool) -> Iterator[str]:
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
