"""The form of a plan: which run each published number is of, and what else is run."""

from typing import Any, Literal

from pydantic import Field, PositiveInt

from dlm_length.common import Parameters

Quantity = Literal[
    "score", "prompt_length", "processed_length", "e_token", "n_token", "e_ratio", "flops_saved", "performance_delta"
]
"""docs/methods.md section 6 defines each."""
EFFECTS: frozenset[Quantity] = frozenset({"flops_saved", "performance_delta"})
"""Those that hold a run against another."""
Unit = Literal["", "%", "tokens"]


class NumberColumn(Parameters):
    """A column of a CSV that holds published numbers."""

    quantity: Quantity
    unit: Unit
    stars: str | None = None
    """The column with the stars of its test."""
    benchmark: str | None = None
    """Where each benchmark has a column of its own: whose this one is."""


class BenchmarkNames(Parameters):
    """A benchmark of a paper, by our names."""

    name: str
    mini: str
    """Its small twin, which ships with the package."""
    n: PositiveInt | None = None
    """Problems behind the paper's numbers; None where the paper does not let us know."""


class MiniRun(Parameters):
    """What stands for a row on the mini benchmarks, where that is not the row's own config and fields."""

    config: str
    policy: dict[str, Any]


class RowRule(Parameters):
    """Which run some rows of a table are of.

    `{column}` stands for what a row has in that column, `{column:PREFIX}` for what follows the prefix there.
    """

    when: dict[str, str] = Field(default_factory=dict)
    """What these rows have in which columns; empty: every row."""
    method: str
    """How the paper calls the row."""
    config: str
    """Name of a run config; `{benchmark}` is our name of the row's benchmark."""
    policy: dict[str, Any]
    """The policy's name, and the fields that tell the row's run from others of the config. A mapping gives a field's
    value by the paper's benchmark."""
    baseline: bool = False
    """Whether the table's effects are against this row."""
    mini: MiniRun | None = None


class Remark(Parameters):
    """What a reader of published numbers must know."""

    says: str
    when: dict[str, str] = Field(default_factory=dict)
    """What the rows that it is about have in which columns; empty: it is about all."""


class TablePlan(Parameters):
    """A published table: where its numbers are, and which run each row is of."""

    name: str
    source: str
    """Which table of the paper."""
    file: str
    of: dict[str, str] = Field(default_factory=dict)
    """What the table's rows have in which columns, where the file holds other tables too."""
    group: str
    model: str | None = None
    """As the paper writes it; None: a column says so."""
    rows: tuple[RowRule, ...] = Field(strict=False, min_length=1)
    """The first that fits a row is its own."""
    remarks: tuple[Remark, ...] = Field(default=(), strict=False)


class Claim(Parameters):
    """What a paper says of its scores without a number: tested as non-inferiority within a margin."""

    says: str
    """In the paper's words where they are quoted, else in ours."""
    table: str
    """Whose rows it is about."""
    policy: str
    """The policy of these rows."""
    against: Literal["baseline", "best_fixed"]
    """The table's baseline, or the fixed canvas of the table that scores best in our runs."""


class FurtherRuns(Parameters):
    """Runs that belong to the paper's matrix, and have no published number here."""

    group: str
    config: str
    """As in `RowRule`."""
    vary: dict[str, list[Any]] = Field(default_factory=dict)
    """Dotted fields and the values that each takes: every combination is run."""
    benchmarks: tuple[str, ...] | None = Field(default=None, strict=False)
    """As the paper writes them; None: all of them."""
    on: Literal["both", "minis"] = "both"
    """minis: only where a mini benchmark stands for the paper's."""


class Plan(Parameters):
    """A paper's matrix."""

    method: str
    title: str
    arxiv: str
    models: dict[str, str]
    """The paper's name of a model, and its config's; the first is run by default."""
    benchmarks: dict[str, BenchmarkNames]
    """By the paper's name."""
    columns: dict[str, NumberColumn]
    """Of the CSVs, by name."""
    tables: tuple[TablePlan, ...] = Field(strict=False, min_length=1)
    further: tuple[FurtherRuns, ...] = Field(default=(), strict=False)
    remarks: tuple[Remark, ...] = Field(default=(), strict=False)
    """On every table."""
    claims: tuple[Claim, ...] = Field(default=(), strict=False)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the parts that can be run by themselves, in the plan's order."""
        named = [*(table.group for table in self.tables), *(part.group for part in self.further)]
        return tuple(dict.fromkeys(named))
