"""`dlmlen calibrate`: which of a sweep's runs keeps a promise about its loss, as a table, as data and as a config."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlm_length.analysis.parameters import Series, series_of
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.common import SELECTION, ConfigError, UserError, listing, printable, suggestion
from dlm_length.config import load_config
from dlm_length.records.run_folder import CONFIG
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row, p_text, p_value
from dlm_length.stats import Calibration, Estimate, KnobSweep, Outcomes, calibrate


@dataclass(frozen=True)
class Sweep:
    """Runs of one policy with several values of one knob, beside a fixed canvas on the same samples."""

    section: Section
    series: Series
    """Without the fixed canvas itself."""
    fixed: Run

    @property
    def title(self) -> str:
        return f"{self.section.title}: {self.series.title if self.series.field else self.series.policy}"

    @property
    def names(self) -> tuple[str, ...]:
        """Of its knobs: `tau 0.9`; the label of a run that is alone."""
        if not self.series.field:
            return tuple(map(str, self.series.values))
        return tuple(f"{self.series.field} {_exactly(value)}" for value in self.series.values)

    def outcomes(self, low: float, high: float) -> KnobSweep[str]:
        """Losses and FLOPs by the knobs' names. Raises StatisticsError as `KnobSweep.of`."""
        fixed = _outcomes(self.fixed)
        runs = {name: _outcomes(run, (self.fixed, low)) for name, run in zip(self.names, self.series.runs, strict=True)}
        return KnobSweep.of(runs, fixed, unit_of=self.fixed.unit_of, low=low, high=high)


def _exactly(value: Any) -> str:
    """With every digit, so that no two values have one name."""
    return value if isinstance(value, str) else json.dumps(value)


def _outcomes(run: Run, against: tuple[Run, float] | None = None) -> Outcomes:
    """Scores and FLOPs of a run's samples.

    `against`: the fixed canvas, and the lowest score. A sample that fails where the fixed canvas answered has that
    score and saves nothing: left out, a policy that fails on hard samples would look safe.
    """
    scores: list[float | None] = []
    flops: list[float] = []
    for sample in run.samples.values():
        score, cost = sample.score, sample.ledger.total.flops_reference
        if sample.error:
            score = None
            if against is not None and (other := against[0].samples.get(sample.id)) and not other.error:
                score, cost = against[1], other.ledger.total.flops_reference
        scores.append(score)
        flops.append(float(cost))
    return Outcomes(list(run.samples), scores, flops)


def sweeps_of(section: Section) -> Iterator[Sweep]:
    """Every sweep of a section whose baseline is a fixed canvas: runs of one policy that differ in one field alone."""
    fixed = section.baseline
    if fixed is None or fixed.declared.role != "baseline":
        return
    for series in series_of(section.runs):
        pairs = [(value, run) for value, run in zip(series.values, series.runs, strict=True) if run is not fixed]
        if len(pairs) > 1:
            values, runs = zip(*pairs, strict=True)
            yield Sweep(section, Series(series.policy, series.field, values, runs, series.among), fixed)


def runs_alone(section: Section) -> Iterator[Sweep]:
    """Every other run that is compared with a fixed canvas, as a sweep of one value without a field."""
    fixed, swept = section.baseline, {run.path for sweep in sweeps_of(section) for run in sweep.series.runs}
    if fixed is None or fixed.declared.role != "baseline":
        return
    for run in section.others:
        if run.path not in swept:
            label = section.label_of[run.path]
            yield Sweep(section, Series(run.metrics.policy, "", (label,), (run,), ()), fixed)


def find_sweep(sections: Sequence[Section], *, policy: str | None = None, knob: str | None = None) -> Sweep:
    """The one sweep among these runs of that policy and knob, which may be None where there is one.

    Raises UserError where there is none, ConfigError where there are several or none of that name.
    """
    found = [sweep for section in sections for sweep in sweeps_of(section)]
    if not found:
        raise UserError(
            "calibrate: found no two runs of one policy that differ in one field alone, beside a fixed canvas on the"
            " same samples; `dlmlen sweep tau --config NAME` makes such runs."
        )
    if policy is None:
        found = [sweep for sweep in found if sweep.series.runs[0].declared.role != "baseline"] or found
    found = _only("--policy", policy, found, [sweep.series.policy for sweep in found])
    found = _only("--knob", knob, found, [sweep.series.field for sweep in found])
    if len(found) > 1:
        titles = listing(sweep.title for sweep in found)
        raise ConfigError(f"calibrate: found {len(found)} sweeps; name the folders of one of them: {titles}.")
    return found[0]


def _only(option: str, wanted: str | None, found: list[Sweep], names: list[str]) -> list[Sweep]:
    """Those of that name, where several have different ones."""
    allowed = list(dict.fromkeys(names))
    if wanted is None:
        if len(allowed) > 1:
            raise ConfigError(f"{option}: several vary among these runs; name one of {listing(allowed)}.")
        return found
    if wanted not in allowed:
        raise ConfigError(
            f"{option} {wanted}: found {wanted!r}, allowed are {listing(allowed)}.{suggestion(wanted, allowed)}"
        )
    return [sweep for sweep, name in zip(found, names, strict=True) if name == wanted]


@dataclass(frozen=True)
class Split:
    """How units were split into calibration and held-out ones."""

    share: float = 0.5
    """Of the problems; 1: none are held out."""
    seed: int = 0

    @property
    def sentence(self) -> str:
        return f"calibration share {self.share:g}, seed {self.seed}"


@dataclass(frozen=True)
class Calibrated:
    """A sweep with its certificate."""

    sweep: Sweep
    found: Calibration[str]
    split: Split | None
    """None where the held-out samples are runs of their own."""
    left_out: int
    """Samples without a score in some run."""

    @property
    def chosen(self) -> Run | None:
        """The run of the chosen knob; None where no knob is certified that saves anything."""
        chosen = self.found.certificate.chosen
        return None if chosen is None else self.run_of(chosen.knob)

    def run_of(self, knob: str) -> Run:
        return self.sweep.series.runs[self.sweep.names.index(knob)]

    @property
    def verdict(self) -> str:
        """One sentence: what is promised, or why nothing is."""
        made = self.found.certificate
        promise = f"expected loss of {self.sweep.section.metric} against the fixed canvas at most {made.risk:g}"
        if (chosen := made.chosen) is not None:
            saved = self.found.calibration.saving[chosen.knob]
            return (
                f"{self.sweep.series.policy} with {chosen.knob}: {promise}, with confidence {made.confidence:g}"
                f" (p {p_text(chosen.p, '= ')}, n = {chosen.n:,}); {100 * saved:.1f}% of the FLOPs saved."
            )
        if any(test.certified for test in made.sequence):
            return f"The knobs that are certified ({promise}) save nothing: the fixed canvas stays."
        n = made.sequence[0].n
        few = f"; with the n = {n:,} here none could" if n < made.n_at_no_loss else f"; here n = {n:,}"
        return (
            f"Nothing is certified: {promise} is not shown with confidence {made.confidence:g} for"
            f" {made.sequence[0].knob}, which saves least. Without any loss it takes n = {made.n_at_no_loss:,}{few}."
        )


def calibrate_sweep(
    sweep: Sweep,
    *,
    risk: float,
    confidence: float,
    split: Split,
    held_out: Sweep | None = None,
    low: float = 0.0,
    high: float = 1.0,
) -> Calibrated:
    """Choose a knob of a sweep on its calibration samples; `held_out`: the same sweep on others, instead of a split.

    `low`, `high`: the range that scores can have. Raises StatisticsError as `calibrate`, ConfigError for a held-out
    sweep of other knobs or of the same samples.
    """
    own = sweep.outcomes(low, high)
    if held_out is not None:
        others = held_out.outcomes(low, high)
        _check_held_out(sweep, held_out, own, others)
        found = calibrate(own, others, risk=risk, confidence=confidence)
        return Calibrated(sweep, found, None, own.left_out + others.left_out)
    if not 0 < split.share <= 1:
        raise ConfigError(
            f"--calibration-share {split.share:g}: allowed: above 0 and up to 1, which holds nothing out."
        )
    first, second = own.split(split.share, split.seed)
    rest = None if split.share == 1 else second
    if not first.n or (rest is not None and not rest.n):
        raise ConfigError(
            f"--calibration-share {split.share:g}: splits {own.n:,} problems into {first.n:,} and {second.n:,} held"
            " out; each needs one, and 1 holds nothing out."
        )
    return Calibrated(sweep, calibrate(first, rest, risk=risk, confidence=confidence), split, own.left_out)


def _check_held_out(sweep: Sweep, held_out: Sweep, own: KnobSweep[str], others: KnobSweep[str]) -> None:
    if set(own.knobs) != set(others.knobs) or sweep.series.policy != held_out.series.policy:
        raise ConfigError(
            f"--held-out: holds {held_out.series.policy} with {listing(others.knobs)}, the calibration"
            f" {sweep.series.policy} with {listing(own.knobs)}; run the same sweep on both."
        )
    both = sorted(set(own.units) & set(others.units))
    if both and _questions(sweep) == _questions(held_out):
        raise ConfigError(
            f"--held-out: {len(both):,} of its {others.n:,} problems are the calibration's ({both[0]}, ...); what was"
            " calibrated on is not held out."
        )


def _questions(sweep: Sweep) -> dict[str, Any]:
    """The benchmark, whichever of its problems were asked for."""
    return {field: value for field, value in sweep.fixed.config["benchmark"].items() if field not in SELECTION}


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


def calibration_sheet(calibrated: Calibrated) -> ReportTable:
    """A row a knob, in the order of the tests."""
    held = _HELD_OUT if calibrated.found.held_out is not None else ()
    rows = [_row(calibrated, knob) for knob in (test.knob for test in calibrated.found.certificate.sequence)]
    return ReportTable(
        "calibration",
        f"{calibrated.sweep.title}, against {calibrated.sweep.section.label_of[calibrated.sweep.fixed.path]}",
        (Column(calibrated.sweep.series.field, numeric=False), *_KNOB, *held),
        (Group("", tuple(rows)),),
        tuple(calibration_notes([calibrated])),
    )


def _row(calibrated: Calibrated, knob: str) -> Row:
    found = calibrated.found
    value = _exactly(calibrated.sweep.series.values[calibrated.sweep.names.index(knob)])
    cells: tuple[Cell, ...] = (value, *knob_cells(calibrated, knob))
    if found.held_out is not None:
        cells += _held_out_cells(found.held_out, found.held_out.risk[knob], knob)
    return Row(cells, (*calibrated.run_of(knob).paths, *calibrated.sweep.fixed.paths))


def knob_cells(calibrated: Calibrated, knob: str) -> tuple[Cell, ...]:
    """Those of `certified` to `FLOPs saved (%)`."""
    made = calibrated.found.certificate
    test = next(test for test in made.sequence if test.knob == knob)
    word = "chosen" if test is made.chosen else "yes" if test.certified else "no"
    return (
        word,
        Number(test.n, 0),
        Number(100 * test.empirical_risk, 2),
        p_value(test.p),
        Number(100 * calibrated.found.calibration.saving[knob], 1),
    )


def _held_out_cells(held_out: KnobSweep[str], risk: Estimate, knob: str) -> tuple[Cell, ...]:
    mean, low, high = (100 * value for value in (risk.value, risk.low, risk.high))
    return (
        Number(held_out.n, 0),
        Number(mean, 2, low, high),
        Number(low, 2),
        Number(high, 2),
        Number(100 * held_out.saving[knob], 1),
    )


def calibration_notes(each: Iterable[Calibrated]) -> Iterator[str]:
    """What was tested, on which samples, and in which order."""
    shown = list(each)
    made = shown[0].found.certificate
    tests = " or ".join(dict.fromkeys(one.found.certificate.test for one in shown))
    yield (
        f"Learn then Test: expected loss at most {made.risk:g} with confidence {made.confidence:g}, by {tests} p values"
        " in a fixed sequence, from the knob that saves least on; the first that is not rejected ends it. loss: what"
        " the score lost against the fixed canvas, max(0, fixed - policy), mean over the samples (of a problem's"
        f" samples first). Without any loss it takes n = {made.n_at_no_loss:,}."
    )
    if any(one.found.held_out is None for one in shown):
        yield (
            "No sample was held out: losses and savings are the calibration's own, and so is the order of the sequence."
            " `dlmlen calibrate` holds samples out."
        )
    else:
        yield (
            "The sequence is in the order of the FLOPs saved on the held-out samples, which owe nothing to the losses"
            " tested; their own losses decide nothing. low and high: 95% interval of the held-out loss."
        )
    if left := sum(one.left_out for one in shown):
        yield f"{left:,} samples without a score on the fixed canvas are left out of every run."
    if lost := sum(one.found.calibration.unscored for one in shown):
        yield f"{lost:,} scores are missing where the fixed canvas has one; each counts as the lowest score."


def as_data(calibrated: Calibrated) -> dict[str, Any]:
    """Everything as plain data for JSON; what is undefined is None."""
    found, sweep = calibrated.found, calibrated.sweep
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
        "baseline": [source(path) for path in sweep.fixed.paths],
        "risk": made.risk,
        "confidence": made.confidence,
        "test": made.test,
        "n": found.calibration.n,
        "n_at_no_loss": made.n_at_no_loss,
        "left_out": calibrated.left_out,
        "calibration_share": None if calibrated.split is None else calibrated.split.share,
        "seed": None if calibrated.split is None else calibrated.split.seed,
        "chosen": None if chosen is None else values[chosen.knob],
        "verdict": calibrated.verdict,
        "knobs": [
            {
                "value": values[test.knob],
                "runs": [source(path) for path in calibrated.run_of(test.knob).paths],
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
    """A config for `dlmlen run --config FILE`: the chosen run's, for all problems; None where no knob is chosen.

    The same for the same runs, so that writing it again changes nothing. Raises ConfigError for a run whose config is
    not one of this version.
    """
    run, chosen = calibrated.chosen, calibrated.found.certificate.chosen
    if run is None or chosen is None:
        return None
    config = load_config(str(run.path / CONFIG))
    name = f"{config.benchmark.name}_{config.policy.name}_certified"
    whole = config.model_copy(update={"experiment": name, "benchmark": config.benchmark.with_every_problem()})
    return "".join(f"# {printable(line)}\n" for line in _header(calibrated)) + whole.to_yaml()


def _header(calibrated: Calibrated) -> Iterator[str]:
    found, sweep = calibrated.found, calibrated.sweep
    made = found.certificate
    assert made.chosen is not None, "a header is of a chosen knob"
    knob = made.chosen.knob
    yield f"Written by `dlmlen calibrate`. {calibrated.verdict}"
    yield (
        f"risk {made.risk:g}, confidence {made.confidence:g}, n {made.chosen.n}, mean loss"
        f" {made.chosen.empirical_risk:.4g}, p {made.chosen.p:.4g} ({made.test}, Learn then Test)"
    )
    if calibrated.split is not None:
        yield calibrated.split.sentence
    if found.held_out is not None:
        held = found.held_out.risk[knob]
        yield (
            f"held out: n {found.held_out.n}, mean loss {held.value:.4g} (95% interval {held.low:.4g} to"
            f" {held.high:.4g}), FLOPs saved {100 * found.held_out.saving[knob]:.1f}%"
        )
    yield f"fixed canvas: {', '.join(source(path) for path in sweep.fixed.paths)}"
    for test in made.sequence:
        runs = ", ".join(source(path) for path in calibrated.run_of(test.knob).paths)
        yield f"{test.knob}: {runs}"


def source(run: Path) -> str:
    """A run by its name and its experiment's, which are the same on every machine."""
    return f"{run.parent.name}/{run.name}"


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
