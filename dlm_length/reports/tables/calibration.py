"""Values of a policy's parameter at a certified loss: the tables, the JSON and the config of `dlmlen calibrate`."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dlm_length.analysis.calibrated import Calibrated, Split, Sweep, calibrate_sweep, runs_alone, sweeps_of
from dlm_length.analysis.parameters import exact_text, is_number
from dlm_length.analysis.sections import Compared
from dlm_length.common import counted, printable
from dlm_length.config import load_config
from dlm_length.records.run_folder import CONFIG
from dlm_length.reports.table import Cell, Column, Group, Number, Quantity, ReportTable, Row, p_text, p_value
from dlm_length.reports.tables.cells import NO_VALUE, ends, heading, notes_on
from dlm_length.stats import CONFIDENCE, RISK, Estimate, KnobSweep, StatisticsError

_KNOB = (
    Column("certified", numeric=False),
    Column("n"),
    Column("loss (%)", higher_is_better=False),
    Column("p"),
    Column("FLOPs saved (%)", higher_is_better=True),
)
_HELD_OUT = (
    Column("held-out n"),
    Column("held-out loss (%)", higher_is_better=False, own_columns=("low", "high")),
    Column("low"),
    Column("high"),
    Column("held-out saved (%)", higher_is_better=True),
)


def calibration_table(calibrated: Calibrated) -> ReportTable:
    """A row per value of the parameter (the knob), in the order of the tests."""
    held = _HELD_OUT if calibrated.result.held_out is not None else ()
    rows = [_knob_row(calibrated, knob) for knob in (test.knob for test in calibrated.result.certificate.sequence)]
    return ReportTable(
        "calibration",
        f"{calibrated.sweep.key}, against {calibrated.sweep.section.label_of[calibrated.sweep.fixed.path]}",
        (Column(calibrated.sweep.series.field, numeric=False), *_KNOB, *held),
        (Group("", tuple(rows)),),
        tuple(calibration_notes([calibrated])),
    )


def _knob_row(calibrated: Calibrated, knob: str) -> Row:
    found = calibrated.result
    value = calibrated.sweep.series.values[calibrated.sweep.names.index(knob)]
    shown = Quantity(exact_text(value), value) if is_number(value) else exact_text(value)
    cells: tuple[Cell, ...] = (shown, *_knob_cells(calibrated, knob))
    if found.held_out is not None:
        cells += _held_out_cells(found.held_out, found.held_out.risk[knob], knob)
    return Row(cells, (*calibrated.run_of(knob).paths, *calibrated.sweep.fixed.paths))


def _knob_cells(calibrated: Calibrated, knob: str) -> tuple[Cell, ...]:
    """The cells of the columns `_KNOB`."""
    made = calibrated.result.certificate
    test = next(test for test in made.sequence if test.knob == knob)
    word = "chosen" if test is made.chosen else "yes" if test.certified else "no"
    return (
        word,
        Number(test.n, 0),
        Number(100 * test.empirical_risk, 2),
        p_value(test.p),
        Number(100 * calibrated.result.calibration.saving[knob], 1),
    )


def _held_out_cells(held_out: KnobSweep[str], risk: Estimate, knob: str) -> tuple[Cell, ...]:
    """The cells of the columns `_HELD_OUT`."""
    loss = Number(100 * risk.value, 2, 100 * risk.low, 100 * risk.high)
    return (
        Number(held_out.n, 0),
        loss,
        *ends(loss),
        Number(100 * held_out.saving[knob], 1),
    )


def calibration_notes(each: Iterable[Calibrated]) -> Iterator[str]:
    """What was tested, on which samples, and in which order; `each` is not empty."""
    shown = list(each)
    made = shown[0].result.certificate
    tests = " or ".join(dict.fromkeys(one.result.certificate.test for one in shown))
    yield (
        f"Learn then Test: expected loss at most {made.risk:g} with confidence {made.confidence:g}, by {tests} p values"
        " in a fixed sequence, from the value that saves least; it ends at the first that is not rejected. loss: what"
        " the score lost against the fixed canvas, max(0, fixed - policy), mean over the samples (of a problem's"
        f" samples first). Without any loss, n = {made.n_at_no_loss:,} would be needed."
    )
    if any(one.result.held_out is None for one in shown):
        yield (
            "No sample was held out: the samples that decided the order of the sequence also give losses and savings."
            " The command “dlmlen calibrate” holds samples out."
        )
    else:
        yield (
            "The sequence is in the order of the FLOPs saved on the held-out samples, which are independent of the"
            " losses tested; the held-out losses decide nothing. low and high: 95% interval of the held-out loss."
        )
    if left := sum(one.left_out for one in shown):
        without = ("sample without a score on the fixed canvas is", "samples without a score on the fixed canvas are")
        yield f"{counted(left, *without)} left out of every run."
    if lost := sum(one.result.calibration.unscored for one in shown):
        yield (
            f"{counted(lost, 'score is', 'scores are')} missing where the fixed canvas has one; each"
            f" counts as the lowest score."
        )


def verdict(calibrated: Calibrated) -> str:
    """What is certified, or why nothing is, in one sentence."""
    made, sweep = calibrated.result.certificate, calibrated.sweep
    promise = f"expected loss of {sweep.section.metric} against the fixed canvas at most {made.risk:g}"
    if (chosen := made.chosen) is not None:
        saved = calibrated.result.calibration.saving[chosen.knob]
        return (
            f"{sweep.series.policy} with {chosen.knob}: {promise}, with confidence {made.confidence:g}"
            f" (p {p_text(chosen.p, '= ')}, n = {chosen.n:,}); {100 * saved:.1f}% of the FLOPs saved."
        )
    if any(test.certified for test in made.sequence):
        return f"The values that are certified ({promise}) save nothing: the fixed canvas stays."
    n = made.sequence[0].n
    few = f"; n = {n:,} here is too small for any certificate" if n < made.n_at_no_loss else f"; here n = {n:,}"
    return (
        f"Nothing is certified: {promise} is not shown with confidence {made.confidence:g} for"
        f" {made.sequence[0].knob}, which saves least. Without any loss, n = {made.n_at_no_loss:,} would be"
        f" needed{few}."
    )


def as_data(calibrated: Calibrated) -> dict[str, Any]:
    """The sweep and its certificate as plain data for JSON; None where a number is undefined."""
    found, sweep = calibrated.result, calibrated.sweep
    made = found.certificate
    risks = None if found.held_out is None else found.held_out.risk
    savings = found.calibration.saving
    values = dict(zip(sweep.names, sweep.series.values, strict=True))
    chosen = made.chosen
    return {
        "section": sweep.section.title,
        "metric": sweep.section.metric,
        "policy": sweep.series.policy,
        "knob": sweep.series.field,
        "baseline": [_source(path) for path in sweep.fixed.paths],
        "risk": made.risk,
        "confidence": made.confidence,
        "test": made.test,
        "n": found.calibration.n,
        "n_at_no_loss": made.n_at_no_loss,
        "left_out": calibrated.left_out,
        "calibration_share": None if calibrated.split is None else calibrated.split.share,
        "seed": None if calibrated.split is None else calibrated.split.seed,
        "chosen": None if chosen is None else values[chosen.knob],
        "verdict": verdict(calibrated),
        "knobs": [
            {
                "value": values[test.knob],
                "runs": [_source(path) for path in calibrated.run_of(test.knob).paths],
                "loss": test.empirical_risk,
                "p": test.p,
                "certified": test.certified,
                "flops_saved": savings[test.knob],
                "held_out": None
                if found.held_out is None or risks is None
                else {
                    "n": found.held_out.n,
                    "loss": risks[test.knob].value,
                    "low": _defined(risks[test.knob].low),
                    "high": _defined(risks[test.knob].high),
                    "flops_saved": found.held_out.saving[test.knob],
                },
            }
            for test in made.sequence
        ],
    }


def certified_config(calibrated: Calibrated) -> str | None:
    """The chosen run's config for all problems, for `dlmlen run --config FILE`; None where no knob is chosen.

    Equal runs give equal text, so that writing it again changes nothing. Raises ConfigError for a run whose config this
    version cannot read.
    """
    run, chosen = calibrated.chosen, calibrated.result.certificate.chosen
    if run is None or chosen is None:
        return None
    config = load_config(str(run.path / CONFIG))
    name = f"{config.benchmark.name}_{config.policy.name}_certified"
    whole = config.model_copy(update={"experiment": name, "benchmark": config.benchmark.with_every_problem()})
    return "".join(f"# {printable(line)}\n" for line in _header(calibrated)) + whole.to_yaml()


def _header(calibrated: Calibrated) -> Iterator[str]:
    found, sweep = calibrated.result, calibrated.sweep
    made = found.certificate
    assert made.chosen is not None, "a header is of a chosen knob"
    knob = made.chosen.knob
    yield f"Written by `dlmlen calibrate`. {verdict(calibrated)}"
    yield (
        f"risk {made.risk:g}, confidence {made.confidence:g}, n {made.chosen.n}, mean loss"
        f" {made.chosen.empirical_risk:.4g}, p {made.chosen.p:.4g} ({made.test}, Learn then Test)"
    )
    if calibrated.split is not None:
        yield f"calibration share {calibrated.split.share:g}, seed {calibrated.split.seed}"
    if found.held_out is not None:
        held = found.held_out.risk[knob]
        yield (
            f"held out: n {found.held_out.n}, mean loss {held.value:.4g} (95% interval {held.low:.4g} to"
            f" {held.high:.4g}), FLOPs saved {100 * found.held_out.saving[knob]:.1f}%"
        )
    yield f"fixed canvas: {', '.join(_source(path) for path in sweep.fixed.paths)}"
    for test in made.sequence:
        runs = ", ".join(_source(path) for path in calibrated.run_of(test.knob).paths)
        yield f"{test.knob}: {runs}"


def _source(run: Path) -> str:
    """A run by its experiment's name and its own, which are the same on every machine."""
    return f"{run.parent.name}/{run.name}"


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


_EVERY_SAMPLE = Split(share=1)
_CERTIFIED_NOTE = (
    "Per policy and knob (a parameter that was varied), the value with the largest saving among those certified; each"
    " row is certified by itself. A policy that was run with one value is tested as it was run. Where none is"
    " certified, n, loss and p are of the value that saves least."
)


def certified_table(
    sections: Sequence[Compared], *, risk: float = RISK, confidence: float = CONFIDENCE
) -> ReportTable | None:
    """For each swept parameter, the certified value that saves most; None without a sweep and a fixed canvas.

    A section has a row per sweep and, if there is a sweep, a row for every other run; each uses all its samples. A
    sweep has no row, and a note says why, if its scores are not in [0, 1] or no sample is scored in every run.
    """
    groups: list[Group] = []
    shown: list[Calibrated] = []
    refused: list[str] = []
    for each in sections:
        rows: list[Row] = []
        swept = tuple(sweeps_of(each.section))
        for sweep in (*swept, *(runs_alone(each.section) if swept else ())):
            try:
                found = calibrate_sweep(sweep, risk=risk, confidence=confidence, split=_EVERY_SAMPLE)
            except StatisticsError as error:
                refused.append(f"{sweep.key}: {error}")
                continue
            shown.append(found)
            rows.append(_sweep_row(sweep, found))
        if rows:
            groups.append(Group(heading(each.section), tuple(rows)))
    if not groups:
        return None
    return ReportTable(
        "certified",
        f"FLOPs saved at a certified loss of at most {100 * risk:g}%",
        (
            Column("policy, knob", numeric=False),
            Column("chosen", numeric=False),
            *_KNOB[1:],
            Column("values tried", detail=True),
        ),
        tuple(groups),
        (
            _CERTIFIED_NOTE,
            *calibration_notes(shown),
            *refused,
            *notes_on(sections, (each.run_of(knob) for each in shown for knob in each.sweep.names)),
        ),
    )


def _sweep_row(sweep: Sweep, found: Calibrated) -> Row:
    """The cells of the chosen value; where none is chosen, those of the value that saves least, without its saving."""
    made = found.result.certificate
    test = made.chosen or made.sequence[0]
    _, *numbers = _knob_cells(found, test.knob)
    swept, value = bool(sweep.series.field), sweep.shown(test.knob)
    cells: list[Cell] = [sweep.name if swept else value, value if swept else "as run", *numbers]
    if made.chosen is None:
        cells[1] = "nothing saves" if test.certified else f"none ({value} is not)" if swept else "none"
        cells[-1] = NO_VALUE
    sources = (*found.run_of(test.knob).paths, *sweep.fixed.paths)
    return Row((*cells, Number(len(made.sequence), 0)), sources)
