"""Length policies by decodings."""

from dataclasses import replace

import numpy as np
import pytest
from figure_helpers import MakeRun, labels_in, one, section

from dlm_length.analysis.sections import Section
from dlm_length.reports.figures.decoding import compute, decoding
from dlm_length.reports.names import with_names


def test_cells_are_the_scores_and_relative_costs_of_every_combination(make_run: MakeRun) -> None:
    runs = [
        make_run("fixed", (1, 1, 1, 0), flops=8 * 10**9, block_length=32),
        make_run("fixed", (1, 0, 0, 0), flops=4 * 10**9, block_length=32, stop="block_any"),
        make_run("smartcrop", (1, 1, 0, 0), flops=2 * 10**9, block_length=32, cache="dual"),
        make_run("smartcrop", (1, 1, 1, 1), flops=6 * 10**9, block_length=32),
    ]
    made = section(*runs)
    data = compute(made)
    assert data.lengths == ("Fixed canvas, L = 256", "SmartCrop, τ = 0.9")
    assert data.decodings == ("plain", "cache dual", "stop block any")
    assert data.score.tolist() == pytest.approx(np.array([[0.75, np.nan, 0.25], [1.0, 0.5, np.nan]]), nan_ok=True)
    assert data.relative_flops == pytest.approx(np.array([[100, np.nan, 50], [75, 25, np.nan]]), nan_ok=True)
    figure = one(decoding(made))
    score, cost, *bars = figure.draw().axes
    assert labels_in(score) == {"0.75", "0.25", "1.00", "0.50"}
    assert labels_in(cost) == {"100", "50", "75", "25"}
    assert [axes.get_ylabel() for axes in bars] == ["mean accuracy", "FLOPs (% of the baseline)"]
    assert [label.get_text() for label in score.get_yticklabels()] == ["SmartCrop, τ = 0.9", "Fixed canvas, L = 256"]
    assert "in per cent of Fixed canvas, L = 256" in figure.caption
    assert "Hatched" in figure.caption
    assert figure.sources == tuple(run.path for run in runs)


def test_length_policies_that_would_have_one_name_are_told_apart(make_run: MakeRun) -> None:
    runs = [
        make_run("fixed", length=128),
        make_run("fixed", length=128, block_length=32),
        make_run("fixed", length=128, block_length=32, stop="cut"),
    ]
    folders = [replace(run, path=run.path / str(place)) for place, run in enumerate(runs)]
    made = with_names(Section("gsm8k, some-model", tuple(folders), ("a", "b", "c"), folders[0]))
    assert compute(made).lengths == (
        "Fixed canvas, L = 128, no block length",
        "Fixed canvas, L = 128, block length = 32",
    )


def test_one_decoding_is_no_grid(make_run: MakeRun) -> None:
    assert not decoding(section(make_run("fixed"), make_run("smartcrop")))
    assert not decoding(section(make_run("fixed"), make_run("fixed", stop="cut"), baseline=None))
    assert not decoding(section(make_run("fixed"), make_run("smartcrop", (None,) * 6, stop="cut")))
