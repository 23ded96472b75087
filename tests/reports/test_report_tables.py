"""Tables for submission: what is in them, and that they fit into the papers that they are for."""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from table_helpers import text_rows

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.sections import Compared, collect, compared
from dlm_length.common import ConfigError
from dlm_length.reports.names import Labels, with_readers_names
from dlm_length.reports.rendering import latex_table
from dlm_length.reports.report_tables import PaperStyle, own_layouts, paper_style_tables, report_tables
from dlm_length.reports.table import Number, ReportTable, plain_cell
from dlm_length.reports.tables import effects
from dlm_length.reports.tables.measures import MEASURES, by_uncertainty, can_be_best, choose_columns, ranked
from dlm_length.reports.tables.papers import main_table

FinishRun = Callable[..., Path]
EXAMPLE = Path(__file__).parents[2] / "results/example/study_mini"

pdflatex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")


def answers(right: int, flops: int, n: int = 100) -> dict[str, dict[str, float]]:
    return {f"q{k:03}": {"score": float(k < right), "flops": flops * 10**9} for k in range(n)}


def sections() -> list[Compared]:
    return with_readers_names(compared(collect([Path("results")])))


def marks(table: ReportTable, title: str) -> dict[str, str | None]:
    place = table.titles.index(title)
    return {str(row.cells[0]): cell.mark for row in table.rows if isinstance(cell := row.cells[place], Number)}


# ---- Digits and marks.


@pytest.mark.parametrize(
    ("half_width", "shown"),
    [(12.0, "86"), (9.8, "86.0"), (1.2, "86.0"), (0.98, "86.04"), (0.012, "86.040"), (1e-9, "86.0400")],
)
def test_the_half_width_of_the_interval_decides_the_digits(half_width: float, shown: str) -> None:
    (cell,) = by_uncertainty([Number(86.04, 2, 86.04 - half_width, 86.04 + half_width)])
    assert cell.text == shown


def test_a_column_has_one_number_of_digits_and_without_intervals_its_own() -> None:
    column = [Number(50.0, 2, 40, 60), Number(99.123, 2, 98, 100), Number(98.5, 2, 97.5, 99.5), Number(1.0, 2)]
    assert [cell.text for cell in by_uncertainty(column)] == ["50.0", "99.1", "98.5", "1.0"]
    assert [cell.text for cell in by_uncertainty([Number(1.25, 2), Number(7.0, 1, 7.0, 7.0)])] == ["1.25", "7.0"]


@pytest.mark.parametrize(
    ("values", "eligible", "expected"),
    [
        ((3.0, 2.0, 1.0), (True, True, True), ("best", "second", None)),
        ((3.0, 3.0, 1.0), (True, True, True), ("best", "best", None)),  # the third is no second
        ((3.0, 2.0, 2.0), (True, True, True), ("best", "second", "second")),
        ((3.0, 3.0, 3.0), (True, True, True), (None, None, None)),
        ((3.0, 2.0, 1.0), (False, True, True), (None, "best", "second")),
        ((3.04, 3.01, 1.0), (True, True, True), ("best", "best", None)),  # equal as shown
        ((float("nan"), 2.0, 1.0), (True, True, True), (None, "best", "second")),
        ((3.0,), (True,), (None,)),
    ],
)
def test_marks(values: tuple[float, ...], eligible: tuple[bool, ...], expected: tuple[str | None, ...]) -> None:
    made = ranked([Number(value, 1) for value in values], eligible, higher_is_better=True)
    assert tuple(cell.mark for cell in made) == expected
    upside_down = ranked([Number(-value, 1) for value in values], eligible, higher_is_better=False)
    assert tuple(cell.mark for cell in upside_down) == expected


def test_a_method_that_fails_is_never_the_cheapest(finish_run: FinishRun) -> None:
    """Of four, the cheapest loses half of the score, and the next 5 points without a star; the control is no method."""
    finish_run("tiny_gsm8k_fixed", answers(80, 1000))
    for tau, right, flops in ((0.5, 40, 10), (0.75, 77, 50), (0.9, 80, 500)):
        finish_run("tiny_gsm8k_smartcrop", answers(right, flops), f"policy.tau={tau}")
    finish_run("tiny_gsm8k_daedal", answers(79, 600))
    finish_run("tiny_gsm8k_random_length", answers(80, 1))
    table = main_table(sections(), columns=("score", "flops_saved", "gflops"))
    saved = {
        "Fixed canvas, L = 64": None,
        "SmartCrop, τ = 0.5": None,
        "SmartCrop, τ = 0.75": None,
        "SmartCrop, τ = 0.9": "best",
        "DAEDAL": "second",
        "Random length": None,
    }
    assert marks(table, "GSM8K FLOPs saved (%)") == saved
    assert marks(table, "GSM8K GFLOPs") == saved
    assert marks(table, "GSM8K accuracy (%)") == {
        **dict.fromkeys(saved),
        "Fixed canvas, L = 64": "best",
        "SmartCrop, τ = 0.9": "best",
    }
    (each,) = sections()
    loses = next(run for run in each.section.runs if run.config["policy"].get("tau") == 0.5)
    assert can_be_best(each, loses, MEASURES["score"])
    assert not can_be_best(each, loses, MEASURES["nfe"])


# ---- The main table.


def two_benchmarks(finish_run: FinishRun) -> list[Compared]:
    finish_run("tiny_gsm8k_fixed", answers(80, 1000), "policy.length=128")
    finish_run("tiny_gsm8k_smartcrop", answers(81, 500), "policy.length=128")
    finish_run("tiny_humaneval_fixed", answers(30, 1000, n=50))
    finish_run("tiny_humaneval_daedal", answers(31, 250, n=50))
    return sections()


def test_policies_by_benchmarks(finish_run: FinishRun) -> None:
    table = main_table(two_benchmarks(finish_run))
    assert table.titles == (
        "policy",
        *("GSM8K accuracy (%)", "GSM8K FLOPs saved (%)", "HumanEval pass@1 (%)", "HumanEval FLOPs saved (%)"),
    )
    assert [column.span for column in table.columns] == ["", "GSM8K", "GSM8K", "HumanEval", "HumanEval"]
    rows = {str(row.cells[0]): [plain_cell(cell) for cell in row.cells[1:]] for row in table.rows}
    assert list(rows) == ["Fixed canvas", "SmartCrop, τ = 0.9", "DAEDAL"]
    assert (rows["Fixed canvas"][0], rows["Fixed canvas"][2]) == ("80.0", "60")
    assert rows["SmartCrop, τ = 0.9"][1].startswith("50.0")
    assert rows["SmartCrop, τ = 0.9"][2:] == ["-", "-"], "not run there"
    assert len(table.rows[0].sources) == 2
    assert any("L = 128 (GSM8K" in note and "L = 64 (HumanEval" in note for note in table.notes)
    assert "GSM8K, llada-tiny: n = 100; HumanEval, llada-tiny: n = 50" in table.statistics


def test_stacked_benchmarks_are_groups(finish_run: FinishRun) -> None:
    table = main_table(two_benchmarks(finish_run), columns=("score", "nfe"), stacked=True)
    assert table.titles == ("policy", "score (%)", "NFE")
    assert [group.heading for group in table.groups] == [
        "GSM8K, llada-tiny: accuracy",
        "HumanEval, llada-tiny: pass@1",
    ]
    assert "p < 0.05" not in table.statistics, "nothing is tested in these columns"


@pytest.mark.parametrize(
    ("testing", "said"),
    [
        (Testing(), "paired bootstrap over samples (10,000 resamples), Holm-adjusted within each benchmark."),
        (Testing(adjust="none", resamples=500), "paired bootstrap over samples (500 resamples), unadjusted."),
        (Testing(stars_by="mcnemar"), "paired bootstrap over samples (10,000 resamples) or exact McNemar over samples"),
    ],
)
def test_the_caption_has_n_test_resamples_and_adjustment(finish_run: FinishRun, testing: Testing, said: str) -> None:
    finish_run("tiny_gsm8k_fixed", answers(80, 1000))
    finish_run("tiny_gsm8k_smartcrop", answers(60, 500))
    table = main_table(
        with_readers_names(compared(collect([Path("results")]), testing)), columns=("flops_saved", "delta")
    )
    assert table.statistics.startswith("n = 100. * p < 0.05, ** p < 0.01, *** p < 0.001, two-sided: ")
    assert said in table.statistics
    caption = re.search(r"\\caption\{(.*)\}", latex_table(table))
    assert caption is not None
    assert "$n = 100$" in caption[1]


def test_names_of_columns() -> None:
    assert choose_columns("score, nfe") == ("score", "nfe")
    with pytest.raises(ConfigError, match=r"found 'flops', allowed are score, .* Did you mean 'flops_saved'"):
        choose_columns("score,flops")
    with pytest.raises(ConfigError, match="has 'nfe' twice"):
        choose_columns("nfe,nfe")


# ---- The papers' own layouts.


def test_the_papers_own_layouts(finish_run: FinishRun) -> None:
    for length in (32, 64):
        finish_run("tiny_gsm8k_fixed", answers(70 + length // 16, 1000), f"policy.length={length}")
    finish_run("tiny_gsm8k_smartcrop", answers(60, 500))
    finish_run("tiny_gsm8k_daedal", answers(75, 500))
    finish_run("tiny_gsm8k_random_length", answers(20, 500))
    smartcrop, daedal = own_layouts(sections(), ("smartcrop", "daedal"))
    assert (smartcrop.name, daedal.name) == ("smartcrop-layout", "daedal-layout")
    assert smartcrop.titles == (
        *("method", "prompt length", "avg. processed length", "metric", "FLOPs saved (%)", "perf. Δ (%)"),
    )
    assert "Random length" not in [row.cells[0] for row in smartcrop.rows]
    assert plain_cell(smartcrop.rows[0].cells[3]) == "0.740", "a share, as the paper prints it"
    assert daedal.titles == ("", "Fixed canvas L = 32", "Fixed canvas L = 64", "DAEDAL")
    assert [row.cells[0] for row in daedal.rows] == ["accuracy (%)", "E_token", "N_token", "E_ratio (%)"]
    assert [plain_cell(cell) for cell in daedal.rows[0].cells[1:]] == ["72.0", "74.0", "75.0"]
    assert own_layouts(sections(), ("rho_eos",)) == []


# ---- The other tables.


def test_the_other_tables_are_short_and_in_readers_words(finish_run: FinishRun) -> None:
    finish_run("tiny_gsm8k_fixed", answers(80, 1000))
    for tau in (0.5, 0.9):
        finish_run("tiny_gsm8k_smartcrop", answers(80, int(1000 * tau)), f"policy.tau={tau}")
    finish_run("tiny_gsm8k_random_length", answers(40, 500))
    labels = Labels(policies={"random_length": "Shuffled"})
    named = with_readers_names(compared(collect([Path("results")])), labels)
    made = paper_style_tables(named, PaperStyle(), ("smartcrop", "daedal"), 0.02)
    tables = {table.name: table for table in made}
    assert list(tables) == ["main", "smartcrop", "cost", "ablations", "certified", "tests", "non-inferiority"]
    assert {table.width for table in made} == {"page"}
    assert tables["cost"].titles == ("policy", "score", "NFE", "GFLOPs", "wall-clock s", "tokens/s")
    assert tables["ablations"].groups[0].heading == "GSM8K, llada-tiny: accuracy, n = 100: SmartCrop, τ"
    assert tables["certified"].rows[0].cells[:2] == ("SmartCrop, τ", "none (τ = 0.9 is not)")
    assert "p (Holm)" in tables["tests"].titles
    assert "p" not in tables["tests"].titles
    for table in made:
        words = str([table.title, table.titles, text_rows(table), table.notes])
        assert "random_length" not in words
        assert "smartcrop" not in words
        assert "Shuffled" in words or table.name == "ablations" or table.name == "smartcrop"


# ---- Names for programs and for readers.


def test_the_same_tables_are_made_with_both_kinds_of_names(
    finish_run: FinishRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes time is computed once for both."""
    judged: list[float] = []
    judge = effects.judge_margin
    monkeypatch.setattr(effects, "judge_margin", lambda *given: [judged.append(given[1]), judge(*given)][1])
    finish_run("tiny_gsm8k_fixed", answers(80, 1000))
    for overrides in (("policy.tau=0.5",), ("policy.tau=0.9",), ("policy.tau=0.9", "policy.stop=block_any")):
        finish_run("tiny_gsm8k_smartcrop", answers(70, 500), "policy.block_length=32", *overrides)
    finish_run("tiny_gsm8k_random_length", answers(40, 500))
    plain = compared(collect([Path("results")]))
    made = report_tables(plain, with_readers_names(plain), style=None, papers=("smartcrop", "daedal"), margin=0.02)
    assert judged == [0.02]
    programs, readers = ({table.name: table for table in tables} for tables in (made.for_programs, made.for_readers))
    assert programs.keys() == readers.keys() >= {"smartcrop", "cost", "decoding", "tests", "certified", "ablations"}
    for name, table in programs.items():
        assert [row.sources for row in table.rows] == [row.sources for row in readers[name].rows]
        for ours, theirs in zip(table.rows, readers[name].rows, strict=True):
            assert [str(each) for each in ours.cells if isinstance(each, Number)] == [
                str(each) for each in theirs.cells if isinstance(each, Number)
            ]
    assert {row.cells[:2] for row in programs["decoding"].rows} >= {("smartcrop 64 tau 0.9", "stop block_any")}
    assert {row.cells[:2] for row in readers["decoding"].rows} >= {("SmartCrop, τ = 0.9", "stop block any")}
    assert any(note.startswith("random_length: control;") for note in programs["cost"].notes)
    assert any(note.startswith("Random length: control;") for note in readers["cost"].notes)
    words = str([(table.titles, text_rows(table), table.notes) for table in readers.values()])
    assert "smartcrop" not in words
    assert "block_any" not in words


# ---- Compiled.

NEURIPS = r"""\NeedsTeXFormat{LaTeX2e}\ProvidesClass{neurips}\LoadClass[10pt]{article}
\RequirePackage[letterpaper,textwidth=5.5in,textheight=9in,top=1in]{geometry}\RequirePackage{times}
"""
ACL = r"""\NeedsTeXFormat{LaTeX2e}\ProvidesClass{acl}\LoadClass[11pt,twocolumn]{article}
\RequirePackage[a4paper,textwidth=6.3in,textheight=9.7in,top=1in]{geometry}\RequirePackage{times}
\setlength{\columnsep}{0.24in}
"""
PAPERS: Mapping[str, tuple[str, str, bool]] = {
    "article": (r"\documentclass{article}", "", False),
    "article-twocolumn": (r"\documentclass[twocolumn]{article}", "", True),
    "neurips": (r"\documentclass{neurips}", NEURIPS, False),
    "acl": (r"\documentclass{acl}", ACL, True),
}
"""Document class, its file, and whether it has two columns of text."""


def compile_paper(folder: Path, paper: str, tables: Mapping[str, str]) -> str:
    head, cls, _ = PAPERS[paper]
    if cls:
        (folder / f"{paper}.cls").write_text(cls)
    for name, table in tables.items():
        (folder / f"{name}.tex").write_text(table, encoding="utf-8")
    packages = r"\usepackage{booktabs,graphicx,longtable,siunitx}"
    body = "\n".join(rf"\input{{{name}}}" for name in tables)
    text = f"{head}\n{packages}\n\\begin{{document}}\nText.\n{body}\n\\end{{document}}\n"
    (folder / "paper.tex").write_text(text)
    for _ in range(2):  # a longtable learns its widths from the first run
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
        log = (folder / "paper.log").read_text(encoding="latin-1")
        assert done.returncode == 0, re.findall(r"^!.*\n.*\n.*", log, re.MULTILINE)
    return log


@pytest.fixture(scope="module")
def example() -> list[Compared]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(EXAMPLE.parents[2])
        return with_readers_names(compared(collect([EXAMPLE])))


@pdflatex
@pytest.mark.slow
@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_fits_into_every_paper(example: list[Compared], tmp_path: Path, paper: str, width: str) -> None:
    two_columns = PAPERS[paper][2]
    style = PaperStyle(columns=("score", "flops_saved", "delta"), width="column" if width == "column" else "page")
    made = paper_style_tables(example, style, ("smartcrop", "daedal"), 0.02)
    written = {table.name: latex_table(table, longtables="never" if two_columns else "long") for table in made}
    log = compile_paper(tmp_path, paper, written)
    assert "Overfull" not in log
    assert "Missing character" not in log
    assert "Float too large" not in log


def test_a_long_table_for_a_page_is_a_longtable_and_one_for_a_column_is_not(example: list[Compared]) -> None:
    def smartcrop(style: PaperStyle) -> str:
        return latex_table(paper_style_tables(example, style, ("smartcrop",), None)[1])

    assert r"\begin{longtable}" in smartcrop(PaperStyle())
    narrow = smartcrop(PaperStyle(width="column"))
    assert r"\begin{longtable}" not in narrow
    assert r"\begin{table}" in narrow
