"""The lengths that methods chose, against those that the full canvas used."""

from collections.abc import Sequence

import numpy as np
import pytest
from figure_helpers import MakeRun, marked, one, points, section, the_axes

from dlm_length.analysis.sections import representative
from dlm_length.reports.figures.predicted import predicted, spearman


def test_the_baselines_answer_is_drawn_against_the_chosen_canvas(make_run: MakeRun) -> None:
    baseline = make_run("fixed", (1,) * 5, n_token=256, e_token=(10, 80, 40, 256, 99), length=256, failed=[4])
    run = make_run("smartcrop", (1,) * 5, n_token=(12, 70, 75, 200, 1), e_token=7)
    figure = one(predicted(section(baseline, run)))
    axes = the_axes(figure)
    (circles,) = marked(axes)
    assert points(circles) == [(10, 12), (80, 70), (40, 75), (256, 200)]
    diagonal = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert all(x == y for x, y in points(diagonal))
    assert axes.get_title(loc="left") == "SmartCrop, τ = 0.9\nSpearman's ρ = 0.80, n = 4"
    assert "under Fixed canvas, L = 256, up to its first end token" in figure.caption
    assert "have no end on it: 1." in figure.caption
    assert "Left out: 1 of 5 samples that could not be run in both." in figure.caption
    assert figure.sources == (run.path, baseline.path)


def test_each_method_has_one_panel_on_shared_axes_with_ticks(make_run: MakeRun) -> None:
    methods = [make_run(name, n_token=place) for place, name in enumerate(("smartcrop", "daedal", "rho_eos"), start=40)]
    controls = [make_run("random_length"), make_run("smartcrop", tau=0.5)]
    figure = one(predicted(section(make_run("fixed"), *methods, *controls)))
    panels = figure.draw().axes
    assert [axes.get_title(loc="left").partition("\n")[0] for axes in panels] == [
        *("SmartCrop, τ = 0.9", "DAEDAL", "ρ-EOS")
    ]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    assert all(any(label.get_visible() for label in axes.get_yticklabels()) for axes in panels)
    assert all("undefined" in axes.get_title(loc="left") for axes in panels), "the chosen lengths do not vary"


@pytest.mark.parametrize(
    ("taus", "shown_tau"), [((0.5, 0.9, 0.99), 0.9), ((0.5, 0.75, 0.95), 0.75), ((0.99,), 0.99), ((0.5, 0.6), 0.6)]
)
def test_predicted_shows_the_papers_tau_or_the_one_in_the_middle(
    make_run: MakeRun, taus: Sequence[float], shown_tau: float
) -> None:
    made = section(make_run("fixed"), *(make_run("smartcrop", tau=tau) for tau in taus[::-1]))
    run = representative(made.of("smartcrop"), made.baseline)
    assert run.config["policy"]["tau"] == shown_tau


def test_there_is_none_without_a_method_and_a_full_canvas_as_the_baseline(make_run: MakeRun) -> None:
    fixed, smartcrop = make_run("fixed"), make_run("smartcrop")
    assert predicted(section(fixed, smartcrop))
    assert not predicted(section(fixed, smartcrop, baseline=None))
    assert not predicted(section(fixed, make_run("oracle")))
    assert not predicted(section(make_run("daedal"), smartcrop))
    assert not predicted(section(make_run("fixed", failed=range(6)), smartcrop))


def test_a_policy_is_represented_by_its_plain_decoding_and_the_baseline_by_itself(make_run: MakeRun) -> None:
    stopped, plain = make_run("smartcrop", stop="cut"), make_run("smartcrop", tau=0.5)
    short, long = make_run("fixed", length=64), make_run("fixed", length=256)
    made = section(long, short, stopped, plain)
    assert representative(made.of("smartcrop"), made.baseline) is plain
    assert representative(made.of("fixed"), made.baseline) is long


def test_spearman_is_the_correlation_of_mean_ranks() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 8, (2, 40))  # with many ties
    ranks = [[(own < x).sum() + ((own == x).sum() + 1) / 2 for x in own] for own in (first, second)]
    assert spearman(first, second) == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)
    assert spearman([1, 2, 3], [6, 5, 4]) == -1
    assert np.isnan(spearman([3], [4]))
    assert np.isnan(spearman([3, 3, 3], [1, 2, 3]))
