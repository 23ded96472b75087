"""The papers' tables from any runs, and the cost table that no paper has."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlm_length.records import SampleSummary
from dlm_length.reports.collection import Section
from dlm_length.reports.comparison import SEED, Comparison, Effect, Run, adjusted_p, compare_all, mean_score
from dlm_length.reports.controls import CONTROLS, uncharged_notes
from dlm_length.reports.effects import effect_notes
from dlm_length.reports.run_notes import run_notes
from dlm_length.reports.series import Series, series_of
from dlm_length.reports.sheet import Cell, Column, Group, Mark, Number, Row, Sheet, p_value
from dlm_length.reports.tables import NOTHING
from dlm_length.stats import STARS_BY, TestName, TestResult, further_tests, run_test

UNSTARRED = Number(math.nan)
"""A cell that has no value."""
_GIGA = 1e9


@dataclass(frozen=True)
class Compared:
    """A section with every run but the baseline held against it."""

    section: Section
    comparisons: Mapping[Path, Comparison]
    """By the run's folder; empty without a baseline."""

    def of(self, run: Run) -> Comparison:
        return self.comparisons.get(run.path, Comparison(None, None, None))


def compared(sections: Sequence[Section], stars_by: TestName = STARS_BY) -> list[Compared]:
    """Every section's runs against its baseline. Raises StatisticsError where the test of the stars does not apply."""
    made = []
    for section in sections:
        others = section.others if section.baseline is not None else ()
        found = [] if section.baseline is None else compare_all(others, section.baseline, stars_by=stars_by)
        made.append(Compared(section, {run.path: each for run, each in zip(others, found, strict=True)}))
    return made


def smartcrop_table(sections: Sequence[Compared]) -> Sheet:
    """SmartCrop's table 1 (arXiv 2603.06123) over every policy: lengths, metric, and both effects with their stars."""
    effects = [each.of(run) for each in sections for run in each.section.runs]
    found = [effect for each in effects for effect in (each.flops_saved, each.performance_delta) if effect is not None]
    holm = iter(adjusted_p([effect.test.p for effect in found]))
    groups = []
    for each in sections:
        section = each.section
        rows = []
        for run, label in zip(section.runs, section.labels, strict=True):
            metrics, against = run.metrics, each.of(run)
            cells = (
                label,
                _number(metrics.prompt_length),
                _number(metrics.processed_length),
                _number(mean_score(run), digits=4),
                *_effect_cells(against.flops_saved, holm),
                *_effect_cells(against.performance_delta, holm),
            )
            rows.append(_row(section, run, cells))
        groups.append(Group(heading(section), tuple(rows)))
    return Sheet(
        "smartcrop",
        "Length policies against the fixed canvas",
        (
            Column("policy", numeric=False),
            Column("prompt length"),
            Column("processed length", higher_is_better=False),
            Column("score", higher_is_better=True),
            Column("FLOPs saved (%)", higher_is_better=True),
            Column("p of FLOPs"),
            Column("Holm's p of FLOPs"),
            Column("delta (%)", higher_is_better=True),
            Column("p of delta"),
            Column("Holm's p of delta"),
        ),
        tuple(groups),
        (
            "processed length: prompt and final canvas, mean a sample. FLOPs saved: 1 - sum FLOPs / sum of the"
            " baseline's, analytic, the vocabulary head over every position, probes included. delta: relative change of"
            " the mean score against the baseline, the first row of each group. Holm's adjustment takes all p of this"
            " table as one family.",
            *effect_notes([comparison for each in sections for comparison in each.comparisons.values()]),
            *_notes(_runs(sections)),
        ),
    )


_NOT_BESIDE_DAEDAL = ("smartcrop", *CONTROLS)
"""SmartCrop has a table of its own, a row a tau; controls are no methods."""


def daedal_table(sections: Sequence[Compared]) -> Sheet | None:
    """DAEDAL's main table (arXiv 2508.00819): accuracy and token counts, a column a fixed length or dynamic policy.

    None where no section has two such runs.
    """
    kept = [
        (each.section, [run for run in each.section.runs if run.metrics.policy not in _NOT_BESIDE_DAEDAL])
        for each in sections
    ]
    kept = [(section, runs) for section, runs in kept if len(runs) > 1]
    if not kept:
        return None
    labels = {section.label_of[run.path]: _place(run) for section, runs in kept for run in runs}
    order = sorted(labels, key=lambda label: (labels[label], label))
    quantities: tuple[tuple[str, Callable[[Run], float | None], bool], ...] = (
        ("score (%)", lambda run: 100 * mean_score(run), True),
        ("e_token", lambda run: run.metrics.e_token, False),
        ("n_token", lambda run: run.metrics.n_token, False),
        ("e_ratio (%)", lambda run: _hundred(run.metrics.e_ratio), True),
    )
    groups = []
    for section, runs in kept:
        by_label = {section.label_of[run.path]: run for run in runs}
        rows = []
        for name, of, marked in quantities:
            numbers = [_number(of(by_label[label])) if label in by_label else UNSTARRED for label in order]
            cells: list[Cell] = [name, *(_marked(numbers) if marked else numbers)]
            rows.append(Row(tuple(cells), tuple(by_label[label].path for label in order if label in by_label)))
        groups.append(Group(heading(section), tuple(rows)))
    return Sheet(
        "daedal",
        "Accuracy and token counts over fixed and dynamic canvases",
        (Column("", numeric=False), *(Column(label) for label in order)),
        tuple(groups),
        (
            "e_token: canvas tokens that are neither EOS nor EOT; n_token: final canvas; means a sample. e_ratio:"
            " sum e_token / sum n_token. Bold: the best of the row, underlined: the second.",
            *_notes(run for _, runs in kept for run in runs),
        ),
    )


def ablation_table(sections: Sequence[Compared]) -> Sheet | None:
    """Runs that differ in one field of their policy, as DAEDAL's ablations; None where there are none."""
    found = [(each.section, series) for each in sections for series in series_of(each.section)]
    if not found:
        return None
    groups = [Group(f"{heading(section)}: {series.title}", tuple(_ablation_rows(series))) for section, series in found]
    return Sheet(
        "ablations",
        "One field at a time",
        (
            Column("value", numeric=False),
            Column("score (%)", higher_is_better=True),
            Column("e_token"),
            Column("n_token"),
            Column("e_ratio (%)", higher_is_better=True),
            Column("NFE"),
            Column("GFLOPs", higher_is_better=False),
        ),
        tuple(groups),
        (
            "All other fields of the policy are equal within a group. Tokens, NFE and FLOPs (analytic, the head over"
            " every position): means a sample. Bold: the best score of the group, underlined: the second.",
            *_notes({run.path: run for _, series in found for run in series.runs}.values()),
        ),
    )


def _ablation_rows(series: Series) -> Iterator[Row]:
    scores = _marked([_number(100 * mean_score(run)) for run in series.runs])
    for value, run, score in zip(series.values, series.runs, scores, strict=True):
        metrics = run.metrics
        cells = (
            str(value),
            score,
            _number(metrics.e_token),
            _number(metrics.n_token),
            _number(_hundred(metrics.e_ratio)),
            _number(metrics.nfe),
            _number(_mean(run, lambda sample: sample.ledger.total.flops_reference / _GIGA), digits=2),
        )
        yield Row(cells, (run.path,))


def cost_table(sections: Sequence[Compared]) -> Sheet:
    """What each policy costs, in every unit at once, beside its quality."""
    groups = []
    for each in sections:
        section = each.section
        rows = []
        for run, label in zip(section.runs, section.labels, strict=True):
            metrics = run.metrics
            cells = (
                label,
                _number(mean_score(run), digits=4),
                _number(metrics.nfe),
                _number(metrics.probe_nfe, digits=2),
                _number(_mean(run, lambda sample: sample.ledger.total.length_sum / 1e3), digits=2),
                _number(_mean(run, lambda sample: sample.ledger.total.length_squared_sum / 1e6), digits=3),
                _number(_mean(run, lambda sample: sample.ledger.total.flops_reference / _GIGA), digits=2),
                _number(_mean(run, lambda sample: sample.ledger.total.flops_executed / _GIGA), digits=2),
                _number(metrics.forward_seconds),
                _number(metrics.wall_clock_seconds),
                _number(metrics.tokens_per_second),
            )
            rows.append(_row(section, run, cells))
        groups.append(Group(heading(section), tuple(rows)))
    together = max((run.metrics.runs_together for each in sections for run in each.section.runs), default=1)
    shared = (
        f"Up to {together} runs were made together, on one clock: their wall-clock and tokens/s are of all of them;"
        " forward s is each run's own."
    )
    return Sheet(
        "cost",
        "What each policy costs",
        (
            Column("policy", numeric=False),
            Column("score", higher_is_better=True),
            Column("NFE", higher_is_better=False),
            Column("probes"),
            Column("sum L (10^3)", higher_is_better=False),
            Column("sum L^2 (10^6)", higher_is_better=False),
            Column("GFLOPs", higher_is_better=False),
            Column("GFLOPs executed", higher_is_better=False),
            Column("forward s", higher_is_better=False),
            Column("wall-clock s", higher_is_better=False),
            Column("tokens/s", higher_is_better=True),
        ),
        tuple(groups),
        (
            "NFE, probes (part of NFE), sums over forwards of the length L and of L^2, and FLOPs: means a sample. FLOPs"
            " are analytic, a multiply-add as 2, the vocabulary head over every position as in the released programs;"
            " executed: over the positions where it was needed. forward s: of all forwards of the run, by token share;"
            " wall-clock: of the run, loading the model excluded; tokens/s: tokens of answers by wall-clock.",
            *((shared,) if together > 1 else ()),
            *_notes(_runs(sections)),
        ),
    )


def effects_table(sections: Sequence[Compared]) -> Sheet | None:
    """Every effect with its interval, and every paired test of the scores; None where no section has a baseline."""
    rows_of: list[tuple[str, list[tuple[Row, float]]]] = []
    for each in sections:
        section = each.section
        rows = []
        for run, label in zip(section.runs, section.labels, strict=True):
            effects = each.of(run)
            kinds = (("FLOPs saved (%)", effects.flops_saved), ("delta (%)", effects.performance_delta))
            for kind, effect in kinds:
                if effect is None:
                    continue
                test = effect.estimate.test
                assert test is not None, "an effect has a test"
                rows.append(_test_row(section, run, (label, kind), _effect_cell(effect), test))
            if effects.scores is None:
                continue
            ours, theirs = effects.scores["run"], effects.scores["baseline"]
            for name in further_tests(ours, theirs):
                test = run_test(name, ours, theirs, rng=SEED)
                rows.append(_test_row(section, run, (label, "score"), UNSTARRED, test))
        rows_of.append((heading(section), rows))
    holm = iter(adjusted_p([p for _, rows in rows_of for _, p in rows]))
    groups = [
        Group(title, tuple(replace(row, cells=(*row.cells, p_value(next(holm)))) for row, _ in rows))
        for title, rows in rows_of
        if rows
    ]
    if not groups:
        return None
    return Sheet(
        "tests",
        "Effects and tests",
        (
            Column("policy", numeric=False),
            Column("of", numeric=False),
            Column("effect"),
            Column("low"),
            Column("high"),
            Column("test", numeric=False),
            Column("n"),
            Column("resamples"),
            Column("p"),
            Column("p (Holm)"),
        ),
        tuple(groups),
        (
            "Against the baseline of each group; two-sided, paired by sample. low and high: 95% percentile interval of"
            " the paired bootstrap. Holm's adjustment takes all p of this table as one family.",
        ),
    )


def _test_row(
    section: Section, run: Run, names: tuple[str, str], effect: Number, test: TestResult
) -> tuple[Row, float]:
    drawn = math.nan if test.resamples is None else float(test.resamples)
    cells = (
        *names,
        effect,
        Number(effect.low, effect.digits),
        Number(effect.high, effect.digits),
        test.name,
        Number(test.n, 0),
        Number(drawn, 0),
        p_value(test.p, test.stars),
    )
    return _row(section, run, cells), test.p


def heading(section: Section) -> str:
    """The section with what its score is and over how many samples."""
    return f"{section.title}: {section.metric}, {section.runs[0].told_n}"


def _runs(sections: Sequence[Compared]) -> list[Run]:
    return [run for each in sections for run in each.section.runs]


def _notes(runs: Iterable[Run]) -> Iterator[str]:
    shown = list(runs)
    yield from uncharged_notes(shown)
    yield from run_notes(shown)


def _row(section: Section, run: Run, cells: tuple[Cell, ...]) -> Row:
    against = () if section.baseline is None or run is section.baseline else (section.baseline.path,)
    return Row(cells, (run.path, *against), baseline=run is section.baseline)


def _place(run: Run) -> tuple[object, ...]:
    """Order of the DAEDAL table's columns: fixed lengths ascending, then the other policies."""
    fixed = run.metrics.policy == "fixed"
    return not fixed, run.config["policy"].get("length", 0) if fixed else 0, run.metrics.policy


def _number(value: float | None, *, digits: int = 1) -> Number:
    return UNSTARRED if value is None else Number(value, digits)


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _effect_cells(effect: Effect | None, holm: Iterator[float]) -> tuple[Number, Number, Number]:
    """An effect, its p, and the p that `holm` has for it."""
    if effect is None:
        return UNSTARRED, UNSTARRED, UNSTARRED
    return _effect_cell(effect), p_value(effect.test.p), p_value(next(holm))


def _effect_cell(effect: Effect) -> Number:
    """An effect in per cent."""
    estimate, test = effect.estimate, effect.test
    value, low, high = (100 * each for each in (estimate.value, estimate.low, estimate.high))
    stars = "" if math.isnan(value) else test.stars  # beside no number there is nothing to star
    return Number(value, 2, low, high, test.p, stars)


def _mean(run: Run, of: Callable[[SampleSummary], float]) -> float | None:
    """Over the samples that ran."""
    values = [of(sample) for sample in run.samples.values() if sample.error is None]
    return math.fsum(values) / len(values) if values else None


def _marked(numbers: Sequence[Number]) -> list[Number]:
    """The highest marked as the best and the next lower as the second, by what is shown: equal digits share a mark."""
    shown = sorted({float(number.text) for number in numbers if number.text != NOTHING}, reverse=True)
    if len(shown) < 2:
        return list(numbers)
    marks: dict[float, Mark] = {shown[0]: "best", shown[1]: "second"}
    return [
        number if number.text == NOTHING else replace(number, mark=marks.get(float(number.text))) for number in numbers
    ]
