"""Two parameters that were varied together."""

import pytest
from figure_helpers import MakeRun, grid_of, marked, one, points, section, the_axes
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle

from dlm_length.reports.figures.ablation import ablation
from dlm_length.reports.figures.heat import colour_ends, heat


def test_heat_writes_the_score_of_each_cell_and_hatches_those_that_were_not_run(make_run: MakeRun) -> None:
    cells = {
        (0.9, 0.2): (1, 1, 1, 1),
        (0.8, 0.1): (1, 0, 0, 0),
        (0.85, 0.1): (1, 1, 0, 0),
        (0.8, 0.2): (1, 1, 1, 0),
        (0.85, 0.2): (0, 0, 0, 0),
        (0.9, 0.1): (None, None, None, None),
    }
    runs = grid_of(make_run, cells)
    figure = one(heat(section(make_run("fixed", (1, 0, 0, 0)), *runs)))
    assert figure.name == "heat-gsm8k-some-model-daedal-tau-high-tau-low"
    axes = the_axes(figure)
    assert axes.get_xlabel() == "τ high (DAEDAL)"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.8", "0.85", "0.9"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.1", "0.2"]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {
        **{(0.5, 0.5): "0.250", (1.5, 0.5): "0.500"},
        **{(0.5, 1.5): "0.750", (1.5, 1.5): "0.000", (2.5, 1.5): "1.000"},
    }
    (hatched,) = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert hatched.get_xy() == (2, 0)
    assert "Hatched: not run, or not scored." in figure.caption
    # Numbers stand out: black on the lightest cell, white on the darkest.
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    assert (colours["0.000"], colours["1.000"]) == ("#ffffff", "#111111")
    (mesh,) = [drawn for drawn in axes.collections if isinstance(drawn, QuadMesh)]
    assert mesh.get_clim() == (0, 1)
    assert not ablation(section(make_run("fixed", (1, 0, 0, 0)), *runs))


def test_parameters_varied_one_at_a_time_are_series_and_no_grid(make_run: MakeRun) -> None:
    cells = {(0.8, 0.1): (1, 0), (0.9, 0.1): (1, 1), (0.95, 0.1): (0, 0), (0.9, 0.05): (1, 0), (0.9, 0.2): (0, 0)}
    made = section(*grid_of(make_run, cells))
    assert not heat(made)
    figures = {figure.name: figure for figure in ablation(made)}
    assert {the_axes(figure).get_xscale() for figure in figures.values()} == {"linear", "log"}  # 0.05, 0.1, 0.2 double
    assert list(figures) == [f"ablation-gsm8k-some-model-daedal-{field}" for field in ("tau-high", "tau-low")]
    assert points(marked(the_axes(figures["ablation-gsm8k-some-model-daedal-tau-high"]))[0]) == [
        *((0.8, 0.5), (0.9, 1), (0.95, 0))
    ]
    assert points(marked(the_axes(figures["ablation-gsm8k-some-model-daedal-tau-low"]))[0]) == [
        *((0.05, 0.5), (0.1, 1), (0.2, 0))
    ]


def test_grids_at_different_values_of_a_third_parameter_are_told_apart(make_run: MakeRun) -> None:
    runs = [
        make_run("daedal", tau_high=high, tau_low=low, tau_eos=eos, label=f"daedal {high} {low} {eos}")
        for eos in (0.4, 0.5)
        for high in (0.8, 0.9)
        for low in (0.1, 0.2)
    ]
    figures = heat(section(*runs))
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names) == 6  # three pairs, at two values of the third each
    ours = [figure for figure in figures if "τ high by τ low" in figure.title]
    assert ["(τ eos = 0.4)" in ours[0].caption, "(τ eos = 0.5)" in ours[1].caption] == [True, True]
    assert ours[0].sources == tuple(run.path for run in runs[:4])


def test_colours_span_no_less_than_the_noise() -> None:
    assert colour_ends([0.5, 0.52], 0.1) == pytest.approx((0.46, 0.56))
    assert colour_ends([0.2, 0.8], 0.1) == pytest.approx((0.2, 0.8))
    low, high = colour_ends([0.5, 0.5], float("nan"))
    assert low < 0.5 < high
