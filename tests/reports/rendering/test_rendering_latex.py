"""LaTeX that compiles whatever a table has, with the same numbers as the table."""

import io
import math
import random
import re
import shutil
import subprocess
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlm_length.reports.rendering import FigureFormat, latex_document, latex_table
from dlm_length.reports.rendering.latex_text import comment, escape
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row

HOSTILE = (
    "& % $ # _ { } ~ ^ \\ < > | \" ' `` '' -- --- ?` !` ,, [x] * \\input{/etc/passwd} \\end{document} ^^M",
    "τ=0.95 Ω × → ≤ 語 🙂 café Ångström ﬁ ế ½ ² „x“ Łódź \u202e \u2028 \x00 \x07 \x1b \ud800 \uffff",
    "a_long/path_to=some.thing:" * 20,
    "",
)

pdflatex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")


def compiled(folder: Path, document: str) -> str:
    """The log of pdflatex, which made a PDF without an error."""
    (folder / "report.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    log = (folder / "report.log").read_text(encoding="latin-1")
    errors = "\n".join(re.findall(r"^!.*\n.*\n.*", log, re.MULTILINE))
    assert done.returncode == 0, errors or done.stdout.decode("latin-1")
    assert (folder / "report.pdf").exists()
    return log


def sticking_out(log: str) -> list[float]:
    """Points by which lines are too wide."""
    return [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]


def make_table(
    *rows: Row, columns: tuple[Column, ...], name: str = "name", heading: str = "", **fields: str
) -> ReportTable:
    return ReportTable(name, fields.get("title", "title"), columns, (Group(heading, rows),))


def cells(table: str, row: int = 0) -> list[str]:
    """Those of one of the rows of a table with one line of titles and no heading."""
    body = table.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in body.strip().split("\n") if not line.startswith("%")]
    return re.split(r"(?<!\\) & ", lines[row].removesuffix(r" \\"))


@dataclass(frozen=True)
class Drawing:
    name: str = "quality-by-cost"
    title: str = HOSTILE[0]
    caption: str = HOSTILE[1]
    sources: tuple[Path, ...] = (Path("runs/a\nb"),)
    is_wide: bool = False

    def render(self, format: FigureFormat, /) -> bytes:  # noqa: A002
        from matplotlib.figure import Figure

        file = io.BytesIO()
        Figure(figsize=(9, 3)).savefig(file, format=format)
        return file.getvalue()


# ---- Text.

BACK = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\symbol{34}": '"',
    r"$\mathdollar$": "$",
    r"\allowbreak{}": "",
    **{f"\\{each}": each for each in "&%#_{}"},
    **{f"{{{each}}}": each for each in "*[]"},
    "{}": "",
}


def escape_plain(text: str) -> str:
    """A part of a formula as it would stand in prose."""
    return {"<": r"\textless{}", ">": r"\textgreater{}"}.get(text, text)


FORMULA = re.compile(r"\$([A-Za-z]) (\\le|\\ge|[=<>]) (-?\d[\d{},]*\.?\d*)\$")


def read_back(latex: str) -> str:
    """What LaTeX would set of escaped ASCII; anything that is no escape and is special to LaTeX is refused."""
    latex = re.sub(r"\$([A-Za-z])_\{\\mathrm\{([a-z]+)\}\}\$", r"\1\_\2", latex)
    latex = FORMULA.sub(lambda found: " ".join(map(escape_plain, found.groups())).replace("{,}", ","), latex)
    tokens = re.findall("|".join(map(re.escape, BACK)) + r"|[^\\{}$&%#_~^]|.", latex)
    text = []
    for token in tokens:
        assert token in BACK or token not in set("\\{}$&%#_~^"), f"{token} in {latex}"
        text.append(BACK.get(token, token))
    return "".join(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
@example(HOSTILE[0])
@example("x" * 20 + "_/=.:;" * 3)
@example("n = 1,319, p < 0.05, x = -1.5; a = 5% b-n = 3 n = 1,31 n = 1.2.3 n = 2x E_token, x_ab_c a/b_cd")
def test_ascii_comes_back(text: str) -> None:
    assert read_back(escape(text)) == " ".join(text.split())


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_no_two_characters_become_one(text: str) -> None:
    assert not re.search("--|''|``|,,|<<|>>|[?!]`", escape(text))


@given(st.text(st.characters()))
@example("".join(map(chr, range(0x250))))
def test_any_text_becomes_one_line_of_what_pdflatex_can_set(text: str) -> None:
    assert re.fullmatch("[ -~]*", comment(text))
    kept = set(re.sub("[ -~]", "", escape(text)))
    assert all(each in "–—‘’“”…" or "LATIN" in unicodedata.name(each) for each in kept)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("τ × 2", r"$\tau$ $\times$ 2"),
        ("SmartCrop, τ = 0.9", r"SmartCrop, $\tau = 0.9$"),
        ("n = 1,319, 10,000 resamples, p < 0.05.", r"$n = 1{,}319$, 10,000 resamples, $p < 0.05$."),
        ("E_ratio; e_token_x, N_token.", r"$E_{\mathrm{ratio}}$; e\_token\_x, $N_{\mathrm{token}}$."),
        ("a_file.txt x/b_file", r"a\_file.txt x/b\_file"),
        ("a gain = 5, x = 5%", r"a gain = 5, x = 5\%"),  # a word is no symbol, and a share no number
        ("é e\u0301 Å Łódź ĉ", "é é Å Łódź ĉ"),
        ("ą ﬁ", "{[}U+0105{]} {[}U+FB01{]}"),  # ogoneks need T1 fonts
        ("10² ½", "10$^{2}$ {[}U+00BD{]}"),  # neither 102 nor 1/2 of something else
        ("sum L² (10⁶)", "sum L$^{2}$ (10$^{6}$)"),
        ("語🙂", "{[}U+8A9E{]}{[}U+1F642{]}"),
        ("a\n\tb\u2028c", "a b c"),
        ("\x00\ud800", "{[}U+0000{]}{[}U+D800{]}"),
        ("“a” – b…", "“a” – b…"),
    ],
)
def test_what_is_not_ascii(text: str, latex: str) -> None:
    assert escape(text) == latex


# ---- Cells.


def test_a_table() -> None:
    columns = (Column("policy", numeric=False), Column("FLOPs saved %", higher_is_better=True))
    made = ReportTable(
        "main-table",
        "Cost",
        columns,
        (
            Group("GSM8K", (Row(("fixed_64", Number(math.nan)), (Path("runs/a"),), baseline=True),)),
            Group(
                "",
                (
                    Row(("best", Number(-61.25, 2, stars="**", mark="best")), (Path("runs/b\n%"), Path("runs/a"))),
                    Row(("second", Number(7.5, 1, low=1.0, high=9.0, stars="*", mark="second")), ()),
                    Row(("third", "n/a"), ()),
                ),
            ),
        ),
        ("A note: 5%.",),
    )
    assert latex_table(made) == (
        r"""% Needs booktabs, graphicx and siunitx 3.
\begin{table}[htbp]
\centering
\sisetup{group-digits=none, text-series-to-math=true}
\setlength{\tabcolsep}{6pt}
\setlength{\belowcaptionskip}{6pt}
\caption{Cost}
\label{tab:main-table}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{@{}
  l
  S[table-format=-2.2, table-space-text-post={$^{**}$}]
@{}}
\toprule
 & {FLOPs} \\
{policy} & {saved \%} \\
\midrule
\multicolumn{2}{@{}l}{\textbf{GSM8K}} \\
% from runs/a
\textit{fixed\_64} & {-} \\
\addlinespace
% from runs/b\n%
% from runs/a
best & \bfseries -61.25{$^{**}$} \\
second & {$\phantom{-0}\underline{7.5}\phantom{0}$\rlap{$^{*}$}\hphantom{$^{**}$}} \\
third & {n/a} \\
\bottomrule
\end{tabular}}
\par\smallskip{\footnotesize\raggedright A note: 5\%.\par}
\par\smallskip{\footnotesize\raggedright Italics: the baseline.\par}
\end{table}

"""
    )


@given(st.lists(st.builds(Number, st.floats(-1e6, 1e6), st.integers(0, 4)), min_size=1, max_size=6))
def test_the_format_of_a_column_has_room_for_its_numbers_and_an_underlined_cell_is_as_wide(
    numbers: list[Number],
) -> None:
    marked = [Number(number.value, number.digits, mark="second") for number in numbers]
    table = latex_table(make_table(*(Row((number,), ()) for number in marked), columns=(Column("x"),)))
    found = re.search(r"table-format=(-?)(\d+)\.(\d+)", table)
    assert found is not None
    widest = len(found[1]), int(found[2]), int(found[3])
    sizes = [re.fullmatch(r"(-?)(\d+)\.?(\d*)", number.text) for number in numbers]
    assert tuple(max(len(size[part]) for size in sizes if size) for part in (1, 2, 3)) == widest
    for row, number in enumerate(numbers):
        (cell,) = cells(table, row)
        assert rf"\underline{{{number.text}}}" in cell
        before, _, after = re.sub(r"\\phantom|\\underline|[{}$]", "", cell).partition(".")
        assert (before.count("-"), len(before.replace("-", "")), len(after)) == widest


def test_a_column_of_text_may_hold_numbers_and_infinity_is_a_symbol() -> None:
    columns = (Column("a", numeric=False), Column("b", numeric=False), Column("c"), Column("d"))
    row = Row(
        (Number(-2.5, mark="best", stars="*"), Number(2.5, mark="second"), Number(math.inf), Number(-math.inf)), ()
    )
    assert cells(latex_table(make_table(row, columns=columns))) == [
        r"$\mathbf{-2.5}$$^{*}$",
        r"\underline{$2.5$}",
        r"{$\infty$}",
        r"{$-\infty$}",
    ]


def long() -> ReportTable:
    """A hundred rows in four groups, whose headings take lines too."""
    groups = [(group, [Row((f"{group}-{row}.", Number(row)), ()) for row in range(25)]) for group in range(4)]
    columns = (Column("row", numeric=False), Column("x"))
    headed = tuple(Group(f"group {group} " + "word " * 20, tuple(rows)) for group, rows in groups)
    return ReportTable("long", "title", columns, headed, ("Note.",))


def test_a_table_longer_than_a_page_goes_on_in_another_under_the_same_number() -> None:
    table = latex_table(long())
    floats = table.split(r"\end{table}")[:-1]
    assert len(floats) > 2
    assert re.findall(r"\\caption\{(.*)\}", table) == ["title", *["title (continued)"] * (len(floats) - 1)]
    assert table.count(r"\addtocounter{table}{-1}") == len(floats) - 1
    assert (table.count(r"\label{"), table.count("Note.")) == (1, 1)
    labels = [f"{group}-{row}" for group in range(4) for row in range(25)]
    assert re.findall(r"^(\d-\d+)\. ", table, re.MULTILINE) == labels
    for each in floats:
        parts = re.findall(r"textbf\{group (\d)|^(\d)-", each, re.MULTILINE)
        assert [heading or row for heading, row in parts] == sorted(heading or row for heading, row in parts)
        assert parts[0][0], "rows stand under their heading, in every float"
        assert each.count("\\\\\n") < 45
    assert len(set(re.findall(r"S\[.*\]", table))) == 1, "every part has the columns of the whole"


def test_many_groups_with_long_headings_fill_a_page_too() -> None:
    """Two rows under each heading of three lines."""
    groups = tuple(Group(f"{place} " + "word " * 16, (Row(("x", Number(1.0)), ()),) * 2) for place in range(20))
    table = latex_table(ReportTable("name", "title", (Column("a", numeric=False), Column("b")), groups))
    assert max(each.count("\\\\\n") for each in table.split(r"\end{table}")) < 45


def test_columns_that_no_page_holds_go_on_beside_the_first_again() -> None:
    titles = ["policy", *(f"a_rather_long_title_{number}" for number in range(20))]
    columns = tuple(Column(title, numeric=title != "policy") for title in titles)
    row = Row(("fixed", *(Number(number) for number in range(20))), (Path("runs/a"),))
    table = latex_table(make_table(row, columns=columns))
    floats = table.split(r"\end{table*}")[:-1]
    assert len(floats) > 2
    numbers = [number for each in floats for number in re.findall(r"title\\_(\d+)", each)]
    assert numbers == [str(number) for number in range(20)]
    assert all("{policy} & " in each and "% from runs/a\nfixed & " in each for each in floats)
    assert table.count("(continued)") == len(floats) - 1
    assert len(latex_table(wide()).split(r"\end{table*}")) == 2, "13 columns of numbers fit"


def test_a_long_heading_does_not_widen_its_table() -> None:
    heading = "mini_gsm8k, llada-tiny: exact_match, n = 1,319: daedal, eos_window (expansion_factor 8, stages both)"
    table = latex_table(
        make_table(Row(("x", Number(1.0)), ()), columns=(Column("a", False), Column("b")), heading=heading)
    )
    lines = re.findall(r"\\textbf\{(.*)\}\}", table)
    assert " ".join(map(read_back, lines)) == heading
    assert max(map(len, map(read_back, lines))) <= 30


# ---- Compiled.


def wide() -> ReportTable:
    """Every cost of the ledger: 13 columns, digits as real runs have them."""
    titles = ("policy", "score %", "NFE", "probe NFE", "sum of L", "sum of L squared", "head rows", "FLOPs (TFLOPs)")
    titles += ("FLOPs executed (TFLOPs)", "probe FLOPs %", "forward seconds", "wall-clock seconds", "tokens/s")
    draw = random.Random(0)
    sizes = (
        (90, 2),
        (2048, 1),
        (3, 1),
        (4e6, 0),
        (9e9, 0),
        (2e6, 0),
        (9e4, 1),
        (9e4, 1),
        (9, 2),
        (90, 2),
        (90, 2),
        (999, 1),
    )
    rows = []
    for policy in ("fixed 1024", "smartcrop tau=0.95", "daedal", "rho_eos signal=confidence", "smartcrop+daedal"):
        numbers = [Number(draw.uniform(0, size), digits, stars="***", mark="second") for size, digits in sizes]
        rows.append(Row((policy, *numbers), (Path("results/x"),)))
    return make_table(*rows, columns=tuple(Column(title, title != "policy") for title in titles), name="cost")


def ordinary() -> ReportTable:
    columns = (
        Column("policy", numeric=False),
        *map(Column, ("score %", "performance delta %", "FLOPs saved %", "E_ratio %")),
    )
    numbers = (
        Number(81.25, 2, mark="best"),
        Number(-11.5, 2, stars="***"),
        Number(98.47, 2, stars="**", mark="second"),
    )
    row = Row(("smartcrop tau=0.95", *numbers, Number(55.5)), (Path("results/x"),))
    notes = (
        "* p < 0.05, ** p < 0.01, *** p < 0.001, two-sided, paired bootstrap over 1,319 samples, 5,000 resamples.",
    )
    return ReportTable(
        "main", "Quality and cost against the fixed canvas", columns, (Group("GSM8K, LLaDA-8B", (row,) * 5),), notes
    )


def hostile() -> ReportTable:
    columns = (Column(HOSTILE[0], numeric=False), Column(HOSTILE[1]), Column(HOSTILE[2], numeric=False))
    rows = [Row((text, text, text), (Path(text), Path("a\nb"))) for text in HOSTILE]
    rows += [Row(("*", Number(-1e20, 4, stars="†", mark="second"), "[1pt]"), ())]
    rows += [Row(("*", Number(1.0, stars="%", mark="best"), Number(1.0, stars="_", mark="best")), (), baseline=True)]
    return ReportTable(
        "Name of{%", " ".join(HOSTILE), columns, tuple(Group(text, tuple(rows)) for text in HOSTILE), HOSTILE
    )


def every_character() -> ReportTable:
    """Each pair of printable ASCII, each character that has a form of its own, and others from everywhere."""
    ascii_ = [chr(code) for code in range(32, 127)]
    draw = random.Random(0)
    anywhere = [chr(draw.randrange(0x110000)) for _ in range(500)]
    named = [chr(code) for code in (*range(0xA0, 0x530), *range(0x1E00, 0x2300)) if unicodedata.name(chr(code), "")]
    notes = ["".join(first + second for second in ascii_) for first in ascii_]
    notes += [" ".join(some[start : start + 50]) for some in (anywhere, named) for start in range(0, len(some), 50)]
    return ReportTable("characters", "title", (Column("x"),), (), tuple(notes))


@pdflatex
def test_whatever_is_written_compiles(tmp_path: Path) -> None:
    figure = Drawing()
    (tmp_path / "figures").mkdir()
    (tmp_path / f"figures/{figure.name}.pdf").write_bytes(figure.render("pdf"))
    empty = make_table(columns=(Column("a"), Column("b", numeric=False)))
    document = latex_document([hostile(), every_character(), empty], [figure], title=HOSTILE[0])
    log = compiled(tmp_path, document)
    assert f"figures/{figure.name}.pdf" in log
    assert "Missing character" not in log


def test_neighbouring_narrow_figures_stand_side_by_side() -> None:
    narrow, wide_one = Drawing(caption="narrow"), Drawing(caption="wide", is_wide=True)
    document = latex_document([], [narrow, narrow, narrow, wide_one, narrow, narrow])
    floats = document.split(r"\begin{figure}")[1:]
    assert [each.count(r"\includegraphics") for each in floats] == [2, 1, 1, 2]
    assert [each.count(r"\begin{minipage}") for each in floats] == [2, 0, 0, 2]
    assert all(each.count(r"\caption") == each.count(r"\includegraphics") for each in floats)


def test_tables_of_a_document_break_across_its_pages_but_not_next_to_a_single_row() -> None:
    rows = [Row((name, Number(1.0)), ()) for name in "abcde"]
    table = ReportTable("t", "title", (Column("x", numeric=False), Column("y")), (Group("heading", tuple(rows)),))
    document = latex_document([table])
    assert r"\begin{longtable}" in document
    ends = {line[0]: line.endswith(r"\\*") for line in document.splitlines() if re.match(r"[a-e] & ", line)}
    assert ends == {"a": True, "b": False, "c": False, "d": True, "e": False}
    assert r"\begin{longtable}" not in latex_table(table)


@pdflatex
@pytest.mark.parametrize(
    "head",
    [
        r"\documentclass{article}",
        r"\documentclass[twocolumn,letterpaper]{article}",
        r"\documentclass[a4paper,12pt]{article}",
    ],
)
def test_a_table_fits_into_a_paper(tmp_path: Path, head: str) -> None:
    tables = latex_table(wide()) + latex_table(ordinary())
    packages = r"\usepackage[T1]{fontenc}\usepackage{times}\usepackage{booktabs,graphicx,siunitx}"
    log = compiled(tmp_path, f"{head}\n{packages}\n\\begin{{document}}\n{tables}\\end{{document}}\n")
    assert max(sticking_out(log), default=0) < 2
    assert "multiply" not in log


@pdflatex
def test_the_document_fits_its_page_however_many_tables_there_are(tmp_path: Path) -> None:
    many = [make_table(Row((Number(1.0),), ()), columns=(Column("x"),), name=f"t-{number}") for number in range(60)]
    log = compiled(tmp_path, latex_document([wide(), ordinary(), long(), *many], title="A report"))
    assert max(sticking_out(log), default=0) < 2
    assert "Overfull \\vbox" not in log
    assert "Float too large" not in log
