"""Aligning runs by sample, the first step of every comparison (docs/methods.md section 7)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dlm_length.common import counted, first_few, listing
from dlm_length.stats.arrays import FloatArray
from dlm_length.stats.errors import StatisticsError

Incomplete = Literal["refuse", "leave_out"]
"""How a sample without a value is treated: the comparison is refused, or the sample is left out of every run."""


@dataclass(frozen=True, eq=False)
class Paired:
    """One quantity of several runs over the same samples. `paired[run]` is a run's values, (samples,) float64."""

    what: str
    """Name of the quantity."""
    runs: tuple[str, ...]
    """Names, in the order given."""
    ids: tuple[str, ...]
    """Sorted ids of samples or units, as seeded resamples must not depend on the order in which samples finished."""
    values: FloatArray
    """(runs, samples), finite, read-only."""
    left_out: tuple[str, ...]
    """Sorted ids of the samples that were left out, as a run has no value of them."""

    @property
    def n(self) -> int:
        """Number of samples or units."""
        return len(self.ids)

    def __getitem__(self, run: str) -> FloatArray:
        if run not in self.runs:
            raise KeyError(f"no run is called {run!r}; there are {listing(self.runs)}")
        return np.asarray(self.values[self.runs.index(run)])


def pair(
    runs: Mapping[str, tuple[Sequence[str], ArrayLike]],
    *,
    what: str = "score",
    incomplete: Incomplete = "refuse",
    unit_of: Callable[[str], str] | None = None,
) -> Paired:
    """Align runs by sample id.

    `runs`: name -> (ids, values), one value per sample in any order; None or NaN where a sample has no value.
    `unit_of`: sample id -> name of its independent unit. Several answers to one problem are not independent, and
    counting each would overstate n and significance: the values of a unit are averaged, and its name becomes the id.

    Raises StatisticsError where runs do not cover the same samples (naming the missing ones), where an id occurs twice,
    where ids and values differ in number, where a value is infinite or, with `incomplete` "refuse", absent, and where
    no sample remains.
    """
    if not runs:
        raise StatisticsError(f"{what}: there is no run to compare.")
    columns = {run: _column(run, ids, values, what) for run, (ids, values) in runs.items()}
    _same_samples({run: set(column) for run, column in columns.items()})
    ids = sorted(next(iter(columns.values())))
    table = np.array([[column[name] for name in ids] for column in columns.values()], dtype=np.float64)
    absent = np.isnan(table)
    if incomplete == "refuse" and absent.any():
        raise StatisticsError(_absent(what, list(columns), ids, absent))
    complete = np.atleast_1d(~absent.any(axis=0))
    if not complete.any():
        raise StatisticsError(f"{what}: no sample has a value in every run, so there is nothing to compare.")
    names = list(compress(ids, complete))
    left_out = tuple(sorted(set(ids) - set(names)))
    values = table[:, complete]
    if unit_of is not None:
        names, values = _averaged([unit_of(name) for name in names], values)
    values.setflags(write=False)
    return Paired(what, tuple(columns), tuple(names), values, left_out)


def _column(run: str, ids: Sequence[str], values: ArrayLike, what: str) -> dict[str, float]:
    """Sample id -> value of one run."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(ids),):
        raise StatisticsError(f"run {run!r}: {len(ids):,} sample ids, but {what} has shape {array.shape}.")
    twice = sorted(name for name, count in Counter(ids).items() if count > 1)
    if twice:
        raise StatisticsError(
            f"run {run!r}: {counted(len(twice), 'sample id occurs', 'sample ids occur')} more than once"
            f" ({first_few(twice)}); remove the duplicates."
        )
    infinite = list(compress(ids, np.isinf(array)))
    if infinite:
        raise StatisticsError(
            f"run {run!r}: {what} is infinite in {counted(len(infinite), 'sample')} ({first_few(infinite)})."
        )
    return dict(zip(ids, array.tolist(), strict=True))


def _same_samples(covered: Mapping[str, set[str]]) -> None:
    every = set().union(*covered.values())
    lacking = {run: sorted(every - ids) for run, ids in covered.items() if ids != every}
    if lacking:
        described = "; ".join(
            f"{run!r} ({counted(len(covered[run]), 'sample')}) lacks {len(missing):,} of another ({first_few(missing)})"
            for run, missing in lacking.items()
        )
        raise StatisticsError(
            f"A comparison is paired, but these runs do not cover the same samples: {described}. Use the same"
            f" benchmark.limit, subset_seed and sample_ids for all, and let every run finish."
        )


def _absent(what: str, runs: Sequence[str], ids: Sequence[str], absent: np.ndarray) -> str:
    described = "; ".join(
        f"{run!r} has none in {row.sum():,} of {counted(row.size, 'sample')} ({first_few(list(compress(ids, row)))})"
        for run, row in zip(runs, absent, strict=True)
        if row.any()
    )
    return f"{what}: a comparison needs a value from every run: {described}. Leave those samples out of all runs."


def _averaged(units: Sequence[str], values: FloatArray) -> tuple[list[str], FloatArray]:
    """Means over the samples of each unit: sorted unit names, and values (runs, units)."""
    names, inverse, counts = np.unique(np.array(units), return_inverse=True, return_counts=True)
    sums = np.array([np.bincount(inverse, weights=row) for row in values])
    return [str(name) for name in names], np.asarray(sums / counts)
