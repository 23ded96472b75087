"""The files of figures, and what records may hold."""

import io
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from figure_helpers import KINDS, RIGHT, MakeRun, everything, kinds, one, section
from PIL import Image

from dlm_length.reports.figures import section_figures
from dlm_length.reports.figures.frontier import frontier
from dlm_length.reports.figures.heat import heat
from dlm_length.reports.rendering.figure import FIGURE_FORMATS, FigureFormat, file_stem, numbered


def test_the_same_records_give_the_same_bytes_without_a_date(make_run: MakeRun) -> None:
    before = dict(mpl.rcParams)
    first, second = (one(heat(everything(make_run, RIGHT))) for _ in range(2))
    begin: Mapping[FigureFormat, bytes] = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    assert set(begin) == set(FIGURE_FORMATS)
    for format_, signature in begin.items():
        rendered = first.render(format_)
        assert rendered == second.render(format_)
        assert rendered.startswith(signature)
        assert b"Date" not in rendered
    assert dict(mpl.rcParams) == before


def test_an_svg_can_stand_in_a_page_with_others(make_run: MakeRun) -> None:
    figures = section_figures(everything(make_run, RIGHT))
    ids: list[str] = []
    for figure in figures:
        svg = figure.render("svg").decode()
        root = ElementTree.fromstring(svg)
        assert root.get("fill") == "currentColor"
        assert "<style" not in svg, "a rule in it would be the whole page's"
        own = re.findall(r'\bid="([^"]+)"', svg)
        assert set(re.findall(r'(?:href="|url\()#([\w-]+)', svg)) <= set(own), "no link into nothing"
        ids += own
        assert "#000000" not in svg, "black is the page's colour of text"
        texts = root.findall(".//{http://www.w3.org/2000/svg}text")
        assert texts
        for text in texts:
            assert float(text.get("textLength") or "0") > 0, "as wide as it was laid out, in whatever font"
            assert "fill" not in (text.get("style") or "") or figure.name.startswith(("heat", "decoding"))
    assert len(set(ids)) == len(ids)


def test_the_width_of_a_text_in_an_svg_is_the_width_that_was_laid_out(make_run: MakeRun) -> None:
    figure = one(frontier(section(make_run("fixed", label="fixed <a> & b"), make_run("smartcrop"))))
    drawn = figure.draw()
    drawn.set_dpi(720)  # where no pixel decides how wide a letter is
    drawn.canvas.draw()
    label = next(text for text in drawn.legends[0].get_texts() if "<a>" in text.get_text())
    points = label.get_window_extent().width * 72 / drawn.dpi
    svg = figure.render("svg").decode()
    found = re.search(r'textLength="([\d.]+)"[^>]*>fixed &lt;a&gt; &amp; b<', svg)
    assert found is not None
    assert float(found[1]) == pytest.approx(points, rel=0.02)


def test_fonts_are_embedded_in_a_pdf_as_outlines_that_can_be_edited(make_run: MakeRun) -> None:
    pdf = one(heat(everything(make_run, RIGHT))).render("pdf")
    assert b"/FontFile2" in pdf  # TrueType
    assert b"/Type3" not in pdf, "which publishers refuse"


def test_a_png_has_300_dots_per_inch_on_white(make_run: MakeRun) -> None:
    figure = one(heat(everything(make_run, RIGHT)))
    picture = Image.open(io.BytesIO(figure.render("png")))
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert picture.size[0] == pytest.approx(300 * figure.draw().get_figwidth(), abs=1)
    assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_a_users_own_settings_change_nothing(make_run: MakeRun) -> None:
    figure = one(heat(everything(make_run, RIGHT)))
    plain = figure.render("png")
    with mpl.rc_context({"font.size": 20, "text.usetex": True, "axes.grid": True, "savefig.bbox": "tight"}):
        assert figure.render("png") == plain


@pytest.mark.parametrize(
    ("scores", "parameters"),
    [
        pytest.param((1.0,), {}, id="one sample, which has no interval"),
        pytest.param((0.5,) * 4, {"n_token": 7, "e_token": 7, "flops": 1}, id="no variance, costs below every unit"),
        pytest.param((0.0,) * 4, {"n_token": 0, "e_token": 0}, id="empty canvases, nothing right"),
        pytest.param((None, 1.0, 0.0, None), {"failed": [1]}, id="one sample scored, another failed"),
        pytest.param(RIGHT, {"hostile": " $x_1$ 50% <b>&amp; {\\LaTeX} \n ^\x01 語"}, id="a label of odd characters"),
        pytest.param(RIGHT, {"hostile": " word" * 60}, id="a long label"),
    ],
)
def test_odd_records_are_drawn_without_a_warning(
    make_run: MakeRun, scores: Sequence[float | None], parameters: Mapping[str, Any]
) -> None:
    figures = section_figures(everything(make_run, scores, **parameters))
    assert kinds(figures) == KINDS
    for figure in figures:
        assert figure.render("svg")


def test_nothing_scored_leaves_lengths(make_run: MakeRun) -> None:
    assert kinds(section_figures(everything(make_run, (None, None)))) == ["lengths", "predicted"]
    assert not section_figures(everything(make_run, (1.0, 1.0), failed=[0, 1]))
    assert not section_figures(section(make_run("fixed")))


def test_labels_are_written_as_they_are(make_run: MakeRun) -> None:
    odd = "_tau $\\frac{1}{2}$_"
    runs = [make_run("fixed", label=odd), make_run("daedal", label="daedal $"), make_run("rho_eos", label="$ rho_eos")]
    figure = one(frontier(section(*runs)))
    picture = figure.draw()
    legend = [text.get_text() for text in picture.legends[0].get_texts()]
    assert legend == [odd, "daedal $", "$ rho_eos", "Pareto-optimal"]
    assert not any(text.get_parse_math() for text in picture.legends[0].get_texts())


def test_names_are_file_names(make_run: MakeRun) -> None:
    assert file_stem("heat", "GSM8K, x/y (seed 1)", "tau_high") == "heat-gsm8k-x-y-seed-1-tau-high"
    long = [file_stem("lengths", f"{'field 1, ' * 90}{last}") for last in "ab"]
    assert len(set(long)) == 2
    assert all(len(name) < 120 for name in long)
    figure = one(frontier(everything(make_run, RIGHT)))
    renamed = numbered([figure, figure, replace(figure, name="b"), figure])
    assert [each.name for each in renamed] == [figure.name, f"{figure.name}-2", "b", f"{figure.name}-3"]


def test_no_global_state_of_matplotlib_and_no_matplotlib_for_tables() -> None:
    code = (
        "import sys, dlm_length.reports;"
        "assert 'matplotlib' not in sys.modules, 'tables load matplotlib';"
        "import dlm_length.reports.figures;"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules, 'figures load pyplot'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
