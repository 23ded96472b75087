"""The schema of a plan, which maps each published number of a paper to a run and lists further runs."""

from typing import Any, Literal

from pydantic import Field, PositiveInt

from dlm_length.common import Parameters

Quantity = Literal[
    "score", "prompt_length", "processed_length", "e_token", "n_token", "e_ratio", "flops_saved", "performance_delta"
]
"""Name of a published quantity; docs/methods.md section 6 defines each."""
EFFECTS: frozenset[Quantity] = frozenset({"flops_saved", "performance_delta"})
"""Quantities that compare a run with its baseline."""
Unit = Literal["", "%", "tokens"]
"""Unit of a published number; empty: a ratio."""


class NumberColumn(Parameters):
    """A column of a CSV that holds published numbers."""

    quantity: Quantity
    unit: Unit
    stars: str | None = None
    """Name of the column with the stars of its test."""
    benchmark: str | None = None
    """The benchmark of this column, where each benchmark has its own; None: a column `benchmark` names it."""


class BenchmarkNames(Parameters):
    """The names in this package of a paper's benchmark."""

    name: str
    mini: str
    """Name of its mini version, which ships with the package."""
    n: PositiveInt | None = None
    """Number of problems behind the paper's numbers; None where the paper does not say."""


class MiniRun(Parameters):
    """The run that stands in for a row on the mini benchmarks, where that is not the row's own run."""

    config: str
    policy: dict[str, Any]


class RowRule(Parameters):
    """The run that the matching rows of a table report.

    In its texts `{column}` stands for the row's value in that column, `{column:PREFIX}` for that value without PREFIX.
    """

    when: dict[str, str] = Field(default_factory=dict)
    """Column -> value that a row must have for the rule to match; empty: every row matches."""
    method: str
    """The paper's name of the row."""
    config: str
    """Name of a run config, where `{benchmark}` stands for this package's name of the row's benchmark."""
    policy: dict[str, Any]
    """The policy's name, and the fields that distinguish the row's run from others of the config. A mapping gives a
    field's value by the paper's name of the benchmark."""
    baseline: bool = False
    """Whether this row is the baseline of the table's effects."""
    mini: MiniRun | None = None


class Remark(Parameters):
    """A caveat about published numbers."""

    says: str
    """The sentence."""
    when: dict[str, str] = Field(default_factory=dict)
    """Column -> value of the rows that it is about; empty: all rows."""


class TablePlan(Parameters):
    """A published table: the file with its numbers, and the run of each row."""

    name: str
    source: str
    """Number or name of the table in the paper."""
    file: str
    """Name of the CSV file, next to this module."""
    of: dict[str, str] = Field(default_factory=dict)
    """Column -> value of this table's rows, where the file holds other tables too."""
    group: str
    """The part of the paper's runs that it belongs to, which can be run by itself."""
    model: str | None = None
    """The paper's name of the model; None: a column `model` names it."""
    rows: tuple[RowRule, ...] = Field(strict=False, min_length=1)
    """Of these rules, the first that matches a row applies to it."""
    remarks: tuple[Remark, ...] = Field(default=(), strict=False)


class Claim(Parameters):
    """A claim of a paper about its scores without a number, tested here as non-inferiority within a margin."""

    says: str
    """The claim; in the paper's words where they are quoted."""
    table: str
    """Name of the table whose rows it is about."""
    policy: str
    """Name of the policy of these rows."""
    against: Literal["baseline", "best_fixed"]
    """baseline: the table's baseline; best_fixed: its fixed canvas with the best score in the runs made here."""


class FurtherRuns(Parameters):
    """Runs of the paper that have no published number here."""

    group: str
    """As in `TablePlan`."""
    config: str
    """As in `RowRule`."""
    vary: dict[str, list[Any]] = Field(default_factory=dict)
    """Dotted field -> its values; every combination is run."""
    benchmarks: tuple[str, ...] | None = Field(default=None, strict=False)
    """The paper's names of the benchmarks to run; None: all."""
    on: Literal["both", "minis"] = "both"
    """minis: only on the mini benchmarks; both: on the paper's own too."""


class Plan(Parameters):
    """All runs that reproduce a paper, with its tables and claims."""

    method: str
    """Name of the paper's method."""
    title: str
    arxiv: str
    models: dict[str, str]
    """The paper's name of a model -> the name of its config; the first is run by default."""
    benchmarks: dict[str, BenchmarkNames]
    """By the paper's name of the benchmark."""
    columns: dict[str, NumberColumn]
    """Columns of published numbers, by their name in the CSV files."""
    tables: tuple[TablePlan, ...] = Field(strict=False, min_length=1)
    further: tuple[FurtherRuns, ...] = Field(default=(), strict=False)
    remarks: tuple[Remark, ...] = Field(default=(), strict=False)
    """Remarks on every table."""
    claims: tuple[Claim, ...] = Field(default=(), strict=False)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of runs, in the plan's order."""
        named = [*(table.group for table in self.tables), *(part.group for part in self.further)]
        return tuple(dict.fromkeys(named))
