"""What the first forward knows of a canvas that is too short."""

import numpy as np
import pytest
from figure_helpers import MakeRun, labels_in, one, section, the_axes
from matplotlib.collections import QuadMesh

from dlm_length.reports.figures import eos_difference, section_figures


def test_eos_difference_is_that_of_the_means_of_both_groups(make_run: MakeRun) -> None:
    short = make_run("fixed", (1, 1, 0, 0, 0, None), length=20)
    # q/2 and q/3 need a longer canvas, q/4 is wrong on all, q/5 was not scored.
    longer = make_run("fixed", (0, 1, 1, 0, 0, 1), length=40)
    longest = make_run("fixed", (0, 1, 0, 1, 0, 1), length=80)
    rows = np.random.default_rng(1).random((6, 20)).astype(np.float32)
    first_eos = {short.path: {f"q/{place}": row for place, row in enumerate(rows)}}
    made = section(short, longer, longest)
    figure = one(eos_difference(made, first_eos))
    assert figure.name == "eos-difference-gsm8k-some-model-20"
    assert "2 samples answered correctly on this canvas" in figure.caption
    assert "2 answered correctly on a longer one only (40, 80 tokens)" in figure.caption
    expected = rows[:2].mean(axis=0) - rows[2:4].mean(axis=0)
    axes = the_axes(figure)
    mesh = next(drawn for drawn in axes.collections if isinstance(drawn, QuadMesh))
    table = np.ma.asarray(mesh.get_array()).reshape(2, 16)
    assert table[1].tolist() == pytest.approx(expected[:16].tolist())  # the first row is on top
    assert table[0, :4].tolist() == pytest.approx(expected[16:].tolist())
    assert bool(table.mask[0, 4:].all())
    low, high = mesh.get_clim()
    assert -low == high == pytest.approx(np.abs(expected).max())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["17", "1"]
    assert f"{expected[3]:+.2f}" in labels_in(axes)


def test_eos_difference_shows_the_last_64_positions(make_run: MakeRun) -> None:
    short, longer = make_run("fixed", (1, 0), length=100), make_run("fixed", (1, 1), length=200)
    eos = {"q/0": np.arange(100) / 100, "q/1": np.zeros(100)}
    axes = the_axes(one(eos_difference(section(short, longer), {short.path: eos})))
    mesh = next(drawn for drawn in axes.collections if isinstance(drawn, QuadMesh))
    assert np.asarray(mesh.get_array()).reshape(4, 16)[::-1].ravel().tolist() == pytest.approx(eos["q/0"][36:].tolist())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["85", "69", "53", "37"]


def test_without_one_of_the_groups_there_is_no_eos_difference(make_run: MakeRun) -> None:
    eos = {"q/0": np.zeros(8), "q/1": np.zeros(8)}
    for short, longer in (((1, 1), (1, 1)), ((0, 0), (1, 1)), ((1, 0), (1, 0))):
        runs = make_run("fixed", short, length=8), make_run("fixed", longer, length=16)
        assert not eos_difference(section(*runs), {runs[0].path: eos})
    runs = make_run("fixed", (1, 0), length=8), make_run("fixed", (1, 1), length=16)
    assert not section_figures(section(*runs), {})[1:]
    assert [figure.name for figure in section_figures(section(*runs), {runs[0].path: eos})] == [
        *("frontier-gsm8k-some-model", "eos-difference-gsm8k-some-model-8")
    ]
    one(eos_difference(section(*runs), {runs[0].path: eos})).render("png")  # all differences are 0
