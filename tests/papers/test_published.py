"""Every published number is read as it is printed, with the run that it belongs to."""

import csv
import math
from collections import Counter
from importlib.resources import files
from itertools import product

import pytest

from dlm_length.common import ConfigError
from dlm_length.papers import PAPERS, Paper, PublishedCell, load_paper, published_prompt_length

NUMBERS = {"smartcrop": 112, "daedal": 316, "rho_eos": 24}
"""Published numbers in the CSV files, without numbers that identify rows."""


def rows(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader((files("dlm_length.papers") / file).read_text(encoding="utf-8").splitlines()))


def found(paper: Paper, **wanted: object) -> PublishedCell:
    (cell,) = [cell for cell in paper.cells if all(getattr(cell, name) == value for name, value in wanted.items())]
    return cell


@pytest.mark.parametrize("name", PAPERS)
def test_every_number_is_read_once(name: str) -> None:
    paper = load_paper(name)
    assert len(paper.cells) == NUMBERS[name]
    identities = [(c.table, c.model, c.benchmark, c.method, c.quantity) for c in paper.cells]
    assert len(set(identities)) == len(identities)
    printed = Counter(
        row[column]
        for file in {table.file for table in paper.plan.tables}
        for row in rows(file)
        for column in paper.plan.columns
        if row[column]
    )
    assert Counter(cell.printed for cell in paper.cells) == printed


@pytest.mark.parametrize("name", PAPERS)
def test_every_row_of_a_file_belongs_to_one_table_and_one_of_its_rules(name: str) -> None:
    plan = load_paper(name).plan

    def fits(row: dict[str, str], when: dict[str, str]) -> bool:
        return all(row[column] == value for column, value in when.items())

    for file in {table.file for table in plan.tables}:
        tables = [table for table in plan.tables if table.file == file]
        for row in rows(file):
            (table,) = [table for table in tables if fits(row, table.of)]
            assert len([rule for rule in table.rows if fits(row, rule.when)]) == 1
    for table in plan.tables:
        for rule in table.rows:
            assert any(fits(row, table.of) and fits(row, rule.when) for row in rows(table.file)), "no dead rule"


@pytest.mark.parametrize("name", PAPERS)
def test_a_plan_lists_all_models_and_benchmarks_of_its_numbers(name: str) -> None:
    paper = load_paper(name)
    assert {cell.benchmark for cell in paper.cells} == set(paper.plan.benchmarks)
    assert {cell.model for cell in paper.cells} == set(paper.plan.models)
    assert {cell.paper for cell in paper.cells} == {name}
    assert paper.plan.groups[0] == "main"
    for part in paper.plan.further:
        assert set(part.benchmarks or ()) <= set(paper.plan.benchmarks)


def test_a_number_is_as_printed() -> None:
    paper = load_paper("smartcrop")
    cell = found(paper, benchmark="IFEval", method="SC 0.9", quantity="performance_delta")
    assert (cell.printed, cell.value, cell.digits, cell.unit, cell.stars) == ("13.70", 13.7, 2, "%", "**")
    assert cell.rounding == pytest.approx(0.005)
    assert cell.policy == {"name": "smartcrop", "tau": 0.9}
    assert cell.is_effect
    assert not cell.baseline
    score = found(paper, benchmark="GSM8K", method="FC", quantity="score")
    assert (score.value, score.unit, score.stars, score.baseline) == (0.5616, "", "", True)
    tokens = found(
        load_paper("daedal"), table="main", model="LLaDA-1.5", method="DAEDAL", benchmark="MBPP", quantity="n_token"
    )
    assert (tokens.value, tokens.digits, tokens.rounding, tokens.unit) == (645.0, 0, 0.5, "tokens")
    assert not tokens.is_effect


def test_every_ablation_of_daedal_has_its_run() -> None:
    cells = load_paper("daedal").cells
    runs = {(cell.table, cell.method): cell.policy for cell in cells if cell.table != "main"}
    assert runs["stages", "stage1 L_init=64"] == {"name": "daedal", "stages": "initial", "initial_length": 64}
    assert runs["stages", "stage2 L_init=256"] == {"name": "daedal", "stages": "insertion", "initial_length": 256}
    assert runs["stages", "both L_init=64"] == {"name": "daedal", "stages": "both", "initial_length": 64}
    assert runs["initial-length", "L_init=512"] == {"name": "daedal", "initial_length": 512}
    assert runs["expansion-factor", "E_factor=24"] == {"name": "daedal", "expansion_factor": 24}
    assert runs["eos-window", "W_eos=8"] == {"name": "daedal", "eos_window": 8}
    assert len(runs) == 5 + 5 + 4 + 4


@pytest.mark.parametrize("file", ["daedal_main.csv", "daedal_ablations.csv"])
def test_daedals_e_ratio_is_e_by_n_except_in_the_row_that_has_a_remark(file: str) -> None:
    """Within the rounding of all three numbers; a fixed canvas's N is exact."""
    contradicting = []
    for row in rows(file):
        e, n, ratio = (float(row[column]) for column in ("e_token", "n_token", "e_ratio_pct"))
        off = 0.0 if row.get("method") == "fixed" else 0.5
        low, high = 100 * (e - 0.5) / (n + off) - 0.05, 100 * (e + 0.5) / (n - off) + 0.05
        if not low <= ratio <= high:
            contradicting.append(row)
    if file == "daedal_ablations.csv":
        assert contradicting == []
        return
    (row,) = contradicting
    assert (row["model"], row["benchmark"], row["method"]) == ("LLaDA-1.5", "MATH500", "DAEDAL")
    remarked = [cell for cell in load_paper("daedal").cells if len(cell.remarks) > 1]  # every number has one
    assert {(cell.model, cell.benchmark, cell.method) for cell in remarked} == {("LLaDA-1.5", "MATH500", "DAEDAL")}
    assert [cell.printed for cell in remarked] == ["42.4", "588", "743", "75.2"]
    assert f"{100 * 588 / 743:.1f}%" in remarked[0].remarks[1]


def test_rho_eos_fixed_canvas_is_the_one_of_daedal_with_the_nearest_e_ratio() -> None:
    daedal = load_paper("daedal").cells
    cells = [cell for cell in load_paper("rho_eos").cells if cell.method == "fixed"]
    assert {(cell.model, cell.benchmark) for cell in cells} == set(
        product(("LLaDA-8B-Instruct", "LLaDA-1.5"), ("GSM8K", "MATH500", "MBPP", "HumanEval"))
    )
    for cell in cells:
        ratios = {
            other.policy["length"]: other.value
            for other in daedal
            if (other.table, other.model, other.benchmark) == ("main", cell.model, cell.benchmark)
            and (other.quantity, other.policy["name"]) == ("e_ratio", "fixed")
        }
        nearest = min(ratios, key=lambda length: abs(ratios[length] - cell.value))
        assert cell.policy == {"name": "fixed", "length": nearest}
        assert abs(ratios[nearest] - cell.value) <= 0.5 + 1e-9
        assert cell.remarks


def test_smartcrops_deltas_follow_from_its_metrics() -> None:
    """Independent evidence that the columns are read correctly."""
    paper = load_paper("smartcrop")
    for cell in paper.cells:
        if cell.quantity == "performance_delta":
            ours, theirs = (
                found(paper, benchmark=cell.benchmark, method=method, quantity="score").value
                for method in (cell.method, "FC")
            )
            assert math.isclose(cell.value, 100 * (ours / theirs - 1), abs_tol=0.1)


def test_smartcrops_prompt_lengths_are_its_processed_lengths_less_the_canvas() -> None:
    canvases = {"ifeval": 1280, "gsm8k": 256, "humaneval": 512, "longformqa": 512}
    paper = load_paper("smartcrop")
    for published, ours in paper.plan.benchmarks.items():
        (processed,) = [
            cell.value
            for cell in paper.cells
            if (cell.benchmark, cell.method, cell.quantity) == (published, "FC", "processed_length")
        ]
        cell = published_prompt_length(ours.name)
        assert cell is not None
        assert cell.value == pytest.approx(processed - canvases[ours.name], abs=0.05)
    assert published_prompt_length("math500") is published_prompt_length("mini_gsm8k") is None


def test_an_unknown_paper_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(
        ConfigError, match=r"no paper is named 'rho-eos'; there are smartcrop, .* Did you mean 'rho_eos'"
    ):
        load_paper("rho-eos")


def test_the_n_of_a_paper_fits_its_printed_accuracies() -> None:
    """Every accuracy that DAEDAL prints is an integer over its n, rounded; SmartCrop's scores fit no test set's n."""
    daedal = load_paper("daedal")
    accuracies = [cell for cell in daedal.cells if cell.quantity == "score"]
    assert accuracies
    for cell in accuracies:
        n = daedal.plan.benchmarks[cell.benchmark].n
        assert n is not None
        assert is_share(cell.value / 100, cell.rounding / 100, n), cell
    smartcrop = load_paper("smartcrop")
    assert {each.n for each in smartcrop.plan.benchmarks.values()} == {None}
    sizes = {"GSM8K": 1319, "HumanEval": 164, "IFEval": 541}
    scores = [cell for cell in smartcrop.cells if cell.quantity == "score" and cell.benchmark in sizes]
    assert sum(is_share(cell.value, cell.rounding, sizes[cell.benchmark]) for cell in scores) < len(scores) / 4


def is_share(value: float, rounding: float, n: int) -> bool:
    """Whether `value` is an integer over `n`, within `rounding`."""
    return abs(round(value * n) / n - value) <= rounding * (1 + 1e-9)
