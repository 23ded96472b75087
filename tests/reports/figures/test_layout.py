"""How figures look, whatever they show: nothing is cut, nothing overlaps, axes are shared, papers can take them."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from figure_helpers import MakeRun, section
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.figure import Figure as MplFigure
from matplotlib.text import Text

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section, compared
from dlm_length.reports.figures import report_figures
from dlm_length.reports.figures.drawing import COLUMN, PAGE, TALLEST, overlap
from dlm_length.reports.rendering.figure import Figure, settle, styled

LONG = "an-organisation/a-checkpoint-with-a-very-long-name-8B-instruct-v1.5-preview"
ROUNDING = 1.5
"""Pixels at 100 per inch by which a box of text, with the room about its letters, may stand out."""


def some_runs(make_run: MakeRun, rows: int) -> list[Run]:
    """A full canvas, then series, methods, decodings and controls, up to so many."""
    rng = np.random.default_rng(rows)

    def scores() -> list[float]:
        return (rng.random(12) < 0.6).astype(float).tolist()

    def lengths() -> list[int]:
        return rng.integers(8, 256, 12).tolist()

    def made(policy: str, **parameters: object) -> Run:
        flops = int(10 ** rng.uniform(11, 13))
        used = rng.integers(8, 200, 12).tolist()
        return make_run(policy, scores(), flops=flops, n_token=lengths(), e_token=used, **parameters)

    several = [
        made("fixed"),
        made("smartcrop"),
        *(made("smartcrop", tau=tau) for tau in (0.5, 0.75)),
        *(made(name) for name in ("daedal", "rho_eos", "carve", "random_length", "oracle", "length_search")),
        *(made("smartcrop", stop=stop, block_length=32) for stop in ("block_any", "crop_fill")),
        *(made("fixed", length=length) for length in range(32, 256, 32)),
        *(made("smartcrop", tau=0.9 + place / 200) for place in range(1, 10)),
        *(made("perturbed", delta=place / 8) for place in range(-4, 5)),
    ]
    return several[:rows]


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        *((rows, "gsm8k, some-model") for rows in (1, 2, 12, 36)),
        pytest.param(12, f"gsm8k, some-model ({LONG}, prompt_style chat_cot_4shot)", id="long names"),
    ],
)
def test_figures_are_fit_for_a_paper_whatever_they_show(make_run: MakeRun, rows: int, title: str) -> None:
    figures = report_figures(compared([section(*some_runs(make_run, rows), title=title)]))
    assert len(figures) >= {1: 0, 2: 3, 12: 6, 36: 7}[rows]
    for figure in figures:
        picture = drawn(figure)
        no_text_is_cut_off_or_covered(figure.name, picture)
        tick_labels_keep_clear_of_each_other(figure.name, picture)
        every_panel_has_ticks_in_its_column(figure.name, picture)
        sizes_are_those_of_a_paper(figure.name, picture)


def drawn(figure: Figure) -> MplFigure:
    """Laid out as it is written."""
    with styled():
        picture = figure.plot()
        settle(picture)
        picture.canvas.draw()  # type: ignore[attr-defined]
    return picture


def visible_axes(picture: MplFigure) -> list[Axes]:
    return [axes for axes in picture.axes if axes.get_visible()]


def ticks_of(axes: Axes, axis: str) -> list[Text]:
    """Tick labels that are in view."""
    low, high = sorted(axes.get_xlim() if axis == "x" else axes.get_ylim())
    of = axes.xaxis if axis == "x" else axes.yaxis
    ticks = [tick for tick in of.get_major_ticks() if low <= tick.get_loc() <= high]
    return [tick.label1 for tick in ticks if tick.label1.get_visible() and tick.label1.get_text()]


def texts_of(picture: MplFigure) -> list[Text]:
    """All that can be read in it."""
    every = [text for text in picture.findobj(Text) if isinstance(text, Text)]
    of_ticks = {label for tick in picture.findobj(Tick) for label in (tick.label1, tick.label2)}  # type: ignore[attr-defined]
    in_view = [label for axes in visible_axes(picture) for axis in "xy" for label in ticks_of(axes, axis)]
    others = [text for text in every if text not in of_ticks and (text.axes is None or text.axes.get_visible())]
    return [text for text in [*in_view, *others] if text.get_visible() and text.get_text().strip()]


def no_text_is_cut_off_or_covered(name: str, picture: MplFigure) -> None:
    boxes = {text: text.get_window_extent() for text in texts_of(picture)}
    for text, box in boxes.items():
        assert box.x0 >= -ROUNDING, (name, text)
        assert box.y0 >= -ROUNDING, (name, text)
        assert box.x1 <= picture.bbox.width + ROUNDING, (name, text)
        assert box.y1 <= picture.bbox.height + ROUNDING, (name, text)
    level = [text for text in boxes if not text.get_rotation() % 90]  # a slanted one fills little of its box
    areas = [boxes[text].width * boxes[text].height for text in level]
    common = overlap([boxes[text].extents for text in level], [boxes[text].extents for text in level])
    for (one, area), (other, its_area) in combinations(enumerate(areas), 2):
        assert common[one, other] <= 0.12 * min(area, its_area), (name, level[one], level[other])


def tick_labels_keep_clear_of_each_other(name: str, picture: MplFigure) -> None:
    for axes in visible_axes(picture):
        for axis, place in (("x", 0), ("y", 1)):
            level = [label.get_window_extent() for label in ticks_of(axes, axis) if not label.get_rotation() % 90]
            spans = sorted((box.min[place], box.max[place]) for box in level)
            gaps = [after[0] - before[1] for before, after in pairwise(spans)]
            assert all(gap > (1 if axis == "x" else -2) for gap in gaps), (name, axis, gaps)


def every_panel_has_ticks_in_its_column(name: str, picture: MplFigure) -> None:
    panels = visible_axes(picture)
    for axes in panels:
        if axes.get_label() == "<colorbar>":
            continue
        shared = [other for other in panels if other is axes or axes.get_shared_x_axes().joined(axes, other)]
        assert any(ticks_of(other, "x") for other in shared), name
        assert {other.get_xlim() for other in shared} == {axes.get_xlim()}, name


def sizes_are_those_of_a_paper(name: str, picture: MplFigure) -> None:
    assert COLUMN - 0.01 <= picture.get_figwidth() <= PAGE, name
    assert picture.get_figheight() <= TALLEST + 0.6, name
    sizes = {text.get_fontsize() for text in texts_of(picture)}
    assert 6.5 <= min(sizes) <= max(sizes) <= 9, name


@pytest.mark.parametrize("rows", [2, 12, 36])
def test_labels_of_points_are_not_struck_through_by_lines(make_run: MakeRun, rows: int) -> None:
    made: Section = section(*some_runs(make_run, rows))
    figure = next(each for each in report_figures(compared([made])) if each.name.startswith("frontier"))
    picture = drawn(figure)
    for axes in picture.axes:
        labels = [text for text in axes.texts if text.get_text()]
        upright = [
            axes.transData.transform(segment)
            for each in axes.collections
            for segment in each.get_segments()  # type: ignore[attr-defined]
        ]
        boxes = [[low[0] - 0.3, low[1], high[0] + 0.3, high[1]] for low, high in upright]
        for label in labels:
            own = label.get_window_extent().extents
            assert overlap([own], boxes).sum() <= 0.02 * (own[2] - own[0]) * (own[3] - own[1]), label
