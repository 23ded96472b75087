"""Which canvas lengths methods chose."""

import numpy as np
import pytest
from figure_helpers import MakeRun, one, section
from matplotlib.patches import StepPatch

from dlm_length.reports.figures.canvas_lengths import best_canvas, compute, lengths


def test_a_long_label_has_several_lines_and_is_not_shortened(make_run: MakeRun) -> None:
    decoding = "stop block any, cache dual, refresh interval = 8, threshold = 0.95"
    runs = [make_run("smartcrop", n_token=64, label=f"SmartCrop, {end}") for end in (decoding, "plain decoding")]
    figure = one(lengths(section(make_run("fixed", length=64), *runs)))
    (axes,) = figure.draw().axes
    written = [label.get_text() for label in axes.get_yticklabels()]
    assert {text.replace("\n", " ") for text in written} == {decoding, "plain decoding"}
    assert max(len(line) for text in written for line in text.splitlines()) <= 30


def test_each_run_that_chose_lengths_has_a_histogram_beside_the_best_full_canvas(make_run: MakeRun) -> None:
    runs = [
        make_run("fixed", (1, 0, 0, 0), length=64),
        make_run("fixed", (1, 1, 0, 0), length=256),
        make_run("fixed", (0, 0, 1, 1), length=128),  # as good as 256, and shorter
        make_run("smartcrop", (1, 1, 1, 1), n_token=(3, 10, 11, 200), failed=[3]),
        make_run("daedal", (1, 1, 1, 1), n_token=(64, 72, 72, 280)),
        *(make_run(control, n_token=64) for control in ("perturbed", "random_length", "oracle")),
    ]
    made = section(*runs)
    data = compute(made, runs[3:5], best_canvas(made))
    assert [method.title for method in data.methods] == ["SmartCrop, τ = 0.9", "DAEDAL"]
    # 280 in at most 32 bins: 9 tokens each.
    assert data.edges[1] == 9
    ((first,), (second,)) = data.shares
    assert {place: share for place, share in enumerate(first.tolist()) if share} == pytest.approx({0: 1 / 3, 1: 2 / 3})
    assert {place: share for place, share in enumerate(second.tolist()) if share} == {7: 0.25, 8: 0.5, 31: 0.25}

    figure = one(lengths(made))
    panels = figure.draw().axes
    assert [axes.get_title(loc="left") for axes in panels] == ["SmartCrop, τ = 0.9", "DAEDAL"]
    heights = [patch.get_data().values for axes in panels for patch in axes.patches if isinstance(patch, StepPatch)]
    assert [np.max(each) for each in heights] == pytest.approx([0.9, 0.9 * 0.5 / (2 / 3)]), "one scale for all panels"
    assert all([128, 128] in [list(line.get_xdata()) for line in axes.lines] for axes in panels)
    assert {axes.get_xlim() for axes in panels} == {(0, data.edges[-1])}
    assert "Dashed: 128 tokens" in figure.caption
    assert "the highest bar is 67%" in figure.caption
    assert "0 to 1 of 4 samples per run that could not be run" in figure.caption
    assert figure.sources == (runs[3].path, runs[4].path, runs[2].path)


def test_runs_of_a_method_share_a_panel_and_are_told_apart_at_its_side(make_run: MakeRun) -> None:
    runs = [make_run("smartcrop", tau=tau) for tau in (0.5, 0.75, 0.9)]
    (axes,) = one(lengths(section(*runs, baseline=None))).draw().axes
    assert axes.get_title(loc="left") == "SmartCrop, by τ"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.5", "0.75", "0.9"]
    places = axes.get_yticks()
    assert places[0] > places[1] > places[2], "the first on top"


def test_decodings_at_its_side_are_written_in_full(make_run: MakeRun) -> None:
    decodings = ["plain decoding", "cache dual", "threshold = 0.9", "stop block any, cache prefix"]
    runs = [make_run("smartcrop", label=f"SmartCrop, τ = 0.9, {decoding}") for decoding in decodings]
    (axes,) = one(lengths(section(*runs, baseline=None))).draw().axes
    assert axes.get_title(loc="left") == "SmartCrop, τ = 0.9"
    assert [label.get_text() for label in axes.get_yticklabels()] == decodings


def test_very_many_runs_have_several_figures(make_run: MakeRun) -> None:
    runs = [make_run("smartcrop", tau=place / 100) for place in range(1, 46)]
    figures = lengths(section(*runs, baseline=None))
    assert [figure.name for figure in figures] == ["lengths-gsm8k-some-model", "lengths-gsm8k-some-model-2"]
    assert sum(len(figure.sources) for figure in figures) == 45
    assert all("Dashed" not in figure.caption for figure in figures)
    assert all(figure.draw().get_figheight() <= 9 for figure in figures)
