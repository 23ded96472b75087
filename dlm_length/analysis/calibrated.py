"""Chooses the run of a sweep that saves most FLOPs with a certified loss (docs/methods.md, section 7)."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dlm_length.analysis.parameters import Series, exact_text, series_of
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.common import SELECTION, ConfigError, listing, suggestion
from dlm_length.stats import Calibration, KnobSweep, Outcomes, calibrate


@dataclass(frozen=True)
class Sweep:
    """Runs of one policy with several values of one parameter (the knob), and a fixed canvas on the same samples."""

    section: Section
    series: Series
    """The runs of the policy, without the fixed canvas."""
    fixed: Run
    """The run on the fixed canvas."""

    @property
    def key(self) -> str:
        """Identifies the sweep: its section and its series."""
        return f"{self.section.title}: {self.name}"

    @property
    def name(self) -> str:
        """The series, or the policy where it has a single run, as the section names it."""
        section, series = self.section, self.series
        return section.series_name(series) if series.field else section.policy_name(series.policy)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the knob's values, such as `tau 0.9`; the label of a run that is alone."""
        if not self.series.field:
            return tuple(map(str, self.series.values))
        return tuple(f"{self.series.field} {exact_text(value)}" for value in self.series.values)

    def shown(self, name: str) -> str:
        """A value of the knob, given by its name in `names`, as the section names it."""
        value = self.series.values[self.names.index(name)]
        if not self.series.field:
            return self.section.label_of[self.series.runs[0].path]
        return self.section.setting_name(self.series, value)

    def outcomes(self, low: float, high: float) -> KnobSweep[str]:
        """Losses and FLOPs by the knob's names. `low`, `high`: the range of scores. Raises as `KnobSweep.of`."""
        fixed = _outcomes(self.fixed)
        runs = {name: _outcomes(run, (self.fixed, low)) for name, run in zip(self.names, self.series.runs, strict=True)}
        return KnobSweep.of(runs, fixed, unit_of=self.fixed.unit_of, low=low, high=high)


def _outcomes(run: Run, against: tuple[Run, float] | None = None) -> Outcomes:
    """Scores and FLOPs of a run's samples.

    `against`: the fixed canvas, and the lowest score. A sample that fails where the fixed canvas answered gets that
    score and saves nothing: if it were left out, a policy that fails on hard samples would look safe.
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
    """Every sweep of a section whose baseline is a fixed canvas: runs of one policy that differ in one field only."""
    fixed = section.baseline
    if fixed is None or fixed.declared.role != "baseline":
        return
    for series in series_of(section.runs):
        pairs = [(value, run) for value, run in zip(series.values, series.runs, strict=True) if run is not fixed]
        if len(pairs) > 1:
            values, runs = zip(*pairs, strict=True)
            yield Sweep(section, Series(series.policy, series.field, values, runs, series.among), fixed)


def runs_alone(section: Section) -> Iterator[Sweep]:
    """Every run that is in no sweep but is compared with a fixed canvas, as a sweep of one value without a field."""
    fixed, swept = section.baseline, {run.path for sweep in sweeps_of(section) for run in sweep.series.runs}
    if fixed is None or fixed.declared.role != "baseline":
        return
    for run in section.others:
        if run.path not in swept:
            label = section.label_of[run.path]
            yield Sweep(section, Series(run.metrics.policy, "", (label,), (run,), ()), fixed)


def find_sweep(sections: Sequence[Section], *, policy: str | None = None, knob: str | None = None) -> Sweep:
    """The sweep of that policy and knob in these sections; None where only one policy or knob is swept.

    Raises ConfigError where there is no such sweep, where there are several, and for an unknown name.
    """
    found = [sweep for section in sections for sweep in sweeps_of(section)]
    if not found:
        raise ConfigError(
            "calibrate: found no two runs of one policy that differ only in one field, next to a fixed canvas on the"
            " same samples; `dlmlen sweep tau --config NAME` makes such runs."
        )
    if policy is None:
        found = [sweep for sweep in found if sweep.series.runs[0].declared.role != "baseline"] or found
    found = _only("--policy", policy, found, [sweep.series.policy for sweep in found])
    found = _only("--knob", knob, found, [sweep.series.field for sweep in found])
    if len(found) > 1:
        keys = "; ".join(sweep.key for sweep in found)
        raise ConfigError(
            f"calibrate: found {len(found)} sweeps ({keys}); allowed: one. Name the folders of its runs and of its"
            f" fixed canvas only, such as `dlmlen calibrate {_common_start(found[0])}*`."
        )
    return found[0]


def _common_start(sweep: Sweep) -> str:
    """The common beginning of the folders of a sweep and of its fixed canvas, for a pattern of the shell."""
    return os.path.commonprefix([str(run.path) for run in (*sweep.series.runs, sweep.fixed)])  # noqa: RUF071 - by characters on purpose


def _only(option: str, wanted: str | None, found: list[Sweep], names: list[str]) -> list[Sweep]:
    """The sweeps with the wanted name, which is required where the names differ; `names`: one for each sweep."""
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
    """Share of the problems used for calibration; 1: none are held out."""
    seed: int = 0
    """Seed of the random split."""


@dataclass(frozen=True)
class Calibrated:
    """A sweep with its certificate."""

    sweep: Sweep
    result: Calibration[str]
    split: Split | None
    """None where the held-out samples are runs of their own."""
    left_out: int
    """Number of samples that are left out for want of a score on the fixed canvas."""

    @property
    def chosen(self) -> Run | None:
        """The run with the chosen value of the knob; None where no certified value saves anything."""
        chosen = self.result.certificate.chosen
        return None if chosen is None else self.run_of(chosen.knob)

    def run_of(self, knob: str) -> Run:
        """The run with that value of the knob, by its name."""
        return self.sweep.series.runs[self.sweep.names.index(knob)]


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
    """Choose a value of a sweep's knob on its calibration samples.

    `risk`: the largest expected loss. `held_out`: the same sweep on other samples, in place of a split. `low`, `high`:
    the range of scores. Raises StatisticsError as `calibrate`, ConfigError for a share out of range and for a held-out
    sweep with other values of the knob or the same samples.
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
    """The settings of the benchmark, whichever of its problems were run."""
    return {field: value for field, value in sweep.fixed.config["benchmark"].items() if field not in SELECTION}
