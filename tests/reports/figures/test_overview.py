"""A study on one page."""

from collections.abc import Sequence

import numpy as np
import pytest
from figure_helpers import RIGHT, MakeRun, one, section

from dlm_length.analysis.sections import Compared, compared
from dlm_length.reports.figures import report_figures
from dlm_length.reports.figures.overview import compute, overview


@pytest.fixture
def study(make_run: MakeRun) -> Sequence[Compared]:
    runs = [
        make_run("fixed", RIGHT, flops=10 * 10**9, n_token=256),
        make_run("random_length", (0, 0, 1, 1, 0, 0), flops=5 * 10**9),
        make_run("smartcrop", RIGHT, flops=4 * 10**9, n_token=(10, 20, 30, 40, 50, 60)),
        make_run("smartcrop", (1, 0, 0, 1, 0, 0), flops=10**9, n_token=5, tau=0.5),
        make_run("daedal", (None,) * 6, flops=20 * 10**9),
    ]
    return compared([section(*runs)])


def test_every_policy_has_a_row_with_the_numbers_of_the_tables(study: Sequence[Compared]) -> None:
    (each,) = study
    panel = compute(each)
    assert panel.policies == ("fixed", "smartcrop", "daedal", "random_length"), "the baseline first, controls last"
    assert panel.labels[1] == "SmartCrop, τ = 0.9", "the default stands for the series"
    assert panel.baseline == 0
    runs = [each.section.runs[place] for place in (0, 2, 4, 1)]
    scores = [each.section.mean_scores.get(run.path) for run in runs]
    assert panel.score.value.tolist() == pytest.approx([2 / 3, 2 / 3, np.nan, 1 / 3], nan_ok=True)
    assert panel.score.low.tolist() == pytest.approx([np.nan if s is None else s.low for s in scores], nan_ok=True)
    assert panel.saved.value.tolist() == pytest.approx([0, 60, -100, 50])
    effect = each.of(runs[1], "flops_saved")
    assert effect is not None
    assert (panel.saved.low[1], panel.saved.high[1]) == (100 * effect.low, 100 * effect.high)
    assert (panel.length.low[1], panel.length.value[1], panel.length.high[1]) == (15, 35, 55)
    assert [others.tolist() for others in panel.saved.others] == [[], [pytest.approx(90)], [], []]


def test_the_axes_of_a_column_are_shared_and_rows_are_named_once(study: Sequence[Compared]) -> None:
    figure = one(overview([*study, *study]))
    axes = np.array(figure.draw().axes).reshape(2, 3)
    assert all(upper.get_xlim() == lower.get_xlim() for upper, lower in zip(*axes, strict=True))
    assert [label.get_text() for label in axes[0, 0].get_yticklabels()][1] == "SmartCrop, τ = 0.9"
    assert [each.get_xlabel() for each in axes[1]] == ["mean score", "FLOPs saved (%)", "final canvas length (tokens)"]
    written = [text.get_text() for upper in axes[0] for text in upper.texts]
    assert written[1:] == ["mean score", "FLOPs saved (%)", "final canvas length (tokens)"], "above the first panel too"
    assert not any(each.texts[1:] for each in axes[1])
    assert all(any(tick.get_visible() for tick in each.get_xticklabels()) for each in axes.flat), "numbers in each row"
    assert "95% intervals of scores (Wilson) and of savings (paired bootstrap over samples)" in figure.caption
    assert "Small marks: the policy's other runs." in figure.caption


def test_it_is_the_first_figure_of_a_report_and_pages_are_of_a_pages_height(study: Sequence[Compared]) -> None:
    assert report_figures(study)[0].name == "overview"
    many = overview(list(study) * 14)
    assert [figure.name for figure in many] == ["overview", "overview-2", "overview-3", "overview-4"]
    assert all(figure.draw().get_figheight() <= 9 for figure in many)
    assert not overview([])


def test_a_run_alone_needs_no_overview(make_run: MakeRun) -> None:
    assert not overview(compared([section(make_run("fixed"), baseline=None)]))
