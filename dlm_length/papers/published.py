"""Published numbers, each with the run that it belongs to."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from dlm_length.common import ConfigError, listing, suggestion
from dlm_length.papers.plan import EFFECTS, NumberColumn, Plan, Quantity, TablePlan, Unit

PAPERS = ("smartcrop", "daedal", "rho_eos")
_FOLDER = files("dlm_length.papers")
_COLUMN = re.compile(r"\{(\w+)(?::([^}]*))?\}")


@dataclass(frozen=True)
class Recipe:
    """A run, as the name of its config and fields of its policy."""

    config: str
    """Name of the config, with `{benchmark}` in place of the benchmark's name."""
    policy: Mapping[str, Any]
    """Fields of the policy, without its name."""


@dataclass(frozen=True)
class PublishedCell:
    """One number of a paper."""

    paper: str
    table: str
    model: str
    benchmark: str
    method: str
    """The paper's names of the model, the benchmark and the method."""
    policy: Mapping[str, Any]
    """The policy's name, and the fields that identify the run."""
    quantity: Quantity
    printed: str
    """The number as printed."""
    unit: Unit
    stars: str
    baseline: bool
    """Whether this row is the baseline of effects for the same model and benchmark."""
    recipe: Recipe
    mini: Recipe
    """The run that stands in for it on the mini benchmarks."""
    remarks: tuple[str, ...]

    @property
    def value(self) -> float:
        """The number, in `unit`."""
        return float(self.printed)

    @property
    def digits(self) -> int:
        """Number of printed decimals."""
        return len(self.printed.partition(".")[2])

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed digit: the largest rounding error of the printed number."""
        return float(0.5 * 10.0**-self.digits)

    @property
    def is_effect(self) -> bool:
        """Whether the number compares the run with the baseline."""
        return self.quantity in EFFECTS


@dataclass(frozen=True)
class Paper:
    """A paper's plan and all its published numbers."""

    name: str
    plan: Plan
    cells: tuple[PublishedCell, ...]
    """In the order of the tables, their rows and columns."""

    def table(self, name: str) -> TablePlan:
        """The plan of the table with that name."""
        return next(table for table in self.plan.tables if table.name == name)


def load_paper(name: str) -> Paper:
    """The paper of that name. Raises ConfigError where there is none."""
    if name not in PAPERS:
        raise ConfigError(f"no paper is named {name!r}; there are {listing(PAPERS)}.{suggestion(name, PAPERS)}")
    text = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    plan = Plan.model_validate(YAML(typ="safe", pure=True).load(text))
    cells = [cell for table in plan.tables for row in _rows(table) for cell in _cells(name, plan, table, row)]
    return Paper(name, plan, tuple(cells))


@cache
def published_prompt_length(benchmark: str) -> PublishedCell | None:
    """The mean prompt length, in tokens, that a paper reports for a benchmark; None where no paper does.

    `benchmark`: this package's name of it. SmartCrop's values are the average processed length of its fixed canvas less
    the canvas.
    """
    for name in PAPERS:
        paper = load_paper(name)
        for cell in paper.cells:
            if cell.quantity == "prompt_length" and paper.plan.benchmarks[cell.benchmark].name == benchmark:
                return cell
    return None


def _rows(table: TablePlan) -> list[dict[str, str]]:
    """The table's rows in its file, each column -> value."""
    text = (_FOLDER / table.file).read_text(encoding="utf-8")
    return [row for row in csv.DictReader(text.splitlines()) if _fits(row, table.of)]


def _cells(paper: str, plan: Plan, table: TablePlan, row: Mapping[str, str]) -> Iterator[PublishedCell]:
    rule = next((rule for rule in table.rows if _fits(row, rule.when)), None)
    assert rule is not None, f"{table.file}: no rule of table {table.name} fits the row {row}"
    for name, column in plan.columns.items():
        if row[name]:
            benchmark = column.benchmark or row["benchmark"]
            recipe = Recipe(rule.config, _fields(rule.policy, row, benchmark))
            own = rule.mini
            yield PublishedCell(
                paper=paper,
                table=table.name,
                model=table.model or row["model"],
                benchmark=benchmark,
                method=str(_filled(rule.method, row)),
                policy={"name": rule.policy["name"], **recipe.policy},
                quantity=column.quantity,
                printed=row[name],
                unit=column.unit,
                stars=_stars(row, column),
                baseline=rule.baseline,
                recipe=recipe,
                mini=recipe if own is None else Recipe(own.config, _fields(own.policy, row, benchmark)),
                remarks=tuple(remark.says for remark in (*plan.remarks, *table.remarks) if _fits(row, remark.when)),
            )


def _stars(row: Mapping[str, str], column: NumberColumn) -> str:
    return "" if column.stars is None else row[column.stars]


def _fits(row: Mapping[str, str], when: Mapping[str, str]) -> bool:
    return all(row[column] == value for column, value in when.items())


def _fields(policy: Mapping[str, Any], row: Mapping[str, str], benchmark: str) -> dict[str, Any]:
    """Fields of a policy without its name, for one row and benchmark."""
    chosen = {name: value[benchmark] if isinstance(value, dict) else value for name, value in policy.items()}
    return {name: _filled(value, row) for name, value in chosen.items() if name != "name"}


def _filled(value: Any, row: Mapping[str, str]) -> Any:
    """A text with the row's values in place of `{column}`, as a number where it is one; other values unchanged."""
    if not isinstance(value, str):
        return value
    text = _COLUMN.sub(lambda found: row[found[1]].removeprefix(found[2] or ""), value)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
