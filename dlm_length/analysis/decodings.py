"""Runs of one length policy that differ in their decoding (stop rule, threshold, cache, ...), and their comparison."""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlm_length.analysis.effects import USUAL, Effect, Testing, compare_all
from dlm_length.analysis.parameters import format_value, parameters
from dlm_length.analysis.runs import Run, mean_score
from dlm_length.denoising import Decoder

COLLAPSE = 0.2
"""A run whose mean score is lower by more than this, on the scale from 0 to 1, and significantly, has collapsed."""
PLAIN = "plain"
"""Name of the decoding with all fields at their defaults."""

_CACHE = frozenset({"cache", "refresh_interval"})
_STOP = frozenset({"stop", "stop_tokens"})
_EARLY_STOPS = ("block_any", "cut", "eos_prefix", "crop_fill")
"""Rules that can stop a full canvas early, those of the reference implementations first."""
_VARIES_WITH_STOP = _STOP | {"block_length", "include_eot", "preset"}
"""Fields that can differ between a canvas with a stop rule and one without: rules at block ends need
a `block_length`."""


def decoding_of(run: Run) -> dict[str, Any]:
    """The fields of the decoding that are not at their defaults, with their values."""
    own = parameters(run)
    defaults = {field: Decoder.model_fields[field].default for field in Decoder.decoding_fields()}
    return {field: own[field] for field, default in defaults.items() if field in own and not _same(own[field], default)}


def decoding_text(run: Run) -> str:
    """The decoding in words: `stop block_any cache dual`, or `plain`."""
    return " ".join(f"{field} {format_value(value)}" for field, value in decoding_of(run).items()) or PLAIN


def length_label(run: Run, label: str) -> str:
    """A run's label without its decoding."""
    own = parameters(run)
    for field in Decoder.decoding_fields():
        label = re.sub(rf" {field} {re.escape(str(own.get(field)))}(?= |$)", "", label)
    return label


def plain_twins(runs: Sequence[Run]) -> dict[Path, Run]:
    """For each run that is not in plain decoding, by folder: the run of the same length policy that is."""
    return _twins(runs, frozenset(Decoder.decoding_fields()), decoding_of)


def uncached_twins(runs: Sequence[Run]) -> dict[Path, Run]:
    """For each run with a cache, by folder: the run that differs from it only in having none."""
    return _twins(runs, _CACHE, lambda run: decoding_of(run).keys() & _CACHE)


def _twins(runs: Sequence[Run], apart: AbstractSet[str], sets: Callable[[Run], object]) -> dict[Path, Run]:
    """For each run that `sets` any of the fields `apart`, by folder: one that sets none and is otherwise equal."""
    without = [run for run in runs if not sets(run)]
    found = {}
    for run in runs:
        same = [other for other in without if sets(run) and _alike(run, other, apart)]
        if same:
            found[run.path] = same[0]
    return found


def _alike(run: Run, other: Run, apart: AbstractSet[str]) -> bool:
    """Whether two runs over the same samples have the same config, except these fields of the policy."""
    mine, theirs = parameters(run), parameters(other)
    return (
        run.metrics.policy == other.metrics.policy
        and all(mine.get(field) == theirs.get(field) for field in (mine.keys() | theirs.keys()) - apart)
        and _comparable(run, other)
    )


def _comparable(run: Run, other: Run) -> bool:
    """Whether two runs have the same samples and dtype."""
    return _dtype(run) == _dtype(other) and run.samples.keys() == other.samples.keys()


def _dtype(run: Run) -> object:
    return (run.config.get("hardware") or {}).get("dtype")


def _same(value: object, default: object) -> bool:
    """Whether a recorded value is the default; records have lists for tuples."""
    return value == (list(default) if isinstance(default, tuple) else default)


def stops_early(run: Run) -> bool:
    """Whether a run has a stop rule."""
    return bool(parameters(run).get("stop", "none") != "none")


def early_stop_of(runs: Sequence[Run], baseline: Run | None) -> Run | None:
    """The run that differs from `baseline` only by a stop rule, over the same samples; None where there is none.

    A saving that vanishes against this run is not due to the length policy.
    """
    if baseline is None or stops_early(baseline):
        return None
    own = parameters(baseline)

    def is_one(run: Run) -> bool:
        theirs = parameters(run)
        shared = (own.keys() & theirs.keys()) - _VARIES_WITH_STOP
        return (
            baseline.metrics.policy in (run.metrics.policy, run.declared.variant_of)
            and theirs.get("stop") in _EARLY_STOPS
            and all(own[field] == theirs[field] for field in shared)
            and {**decoding_of(run), **dict.fromkeys(_STOP)} == {**decoding_of(baseline), **dict.fromkeys(_STOP)}
            and _comparable(run, baseline)
        )

    def distance(run: Run) -> tuple[bool, int]:
        theirs = parameters(run)
        return theirs.get("block_length") != own.get("block_length"), _EARLY_STOPS.index(theirs["stop"])

    return min(filter(is_one, runs), key=distance, default=None)


@dataclass(frozen=True)
class AgainstPlain:
    """A run compared with the same length policy in plain decoding."""

    run: Run
    plain: Run
    delta: Effect | None
    """Relative change of the mean score; None where no sample is scored in both runs."""

    @property
    def has_collapsed(self) -> bool:
        """Whether the mean score is lower by more than `COLLAPSE`, and its paired test has a star."""
        fall = mean_score(self.plain) - mean_score(self.run)
        return self.delta is not None and bool(self.delta.stars) and fall > COLLAPSE


def against_plain(runs: Sequence[Run], testing: Testing = USUAL) -> dict[Path, AgainstPlain]:
    """By folder, the runs that have a run in plain decoding among these; those of one policy are a family of tests."""
    twins = plain_twins(runs)
    by_twin: Mapping[Path, list[Run]] = {twin.path: [] for twin in twins.values()}
    for run in runs:
        if run.path in twins:
            by_twin[twins[run.path].path].append(run)
    found = {}
    for arms in by_twin.values():
        plain = twins[arms[0].path]
        effects = compare_all(arms, plain, testing=testing)
        for run in arms:
            found[run.path] = AgainstPlain(run, plain, effects.get((run.path, "performance_delta")))
    return found
