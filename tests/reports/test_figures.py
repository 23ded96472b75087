"""The figures of a report: what they show equals what the records say, whatever the records say."""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch

import dlm_length.policies
from dlm_length.analysis.effects import SEED
from dlm_length.analysis.parameters import series_of
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section, compared
from dlm_length.policies import build_policy
from dlm_length.records import RunMetrics, SampleSummary
from dlm_length.records.schema import CostRecord, LedgerRecord
from dlm_length.reports.figures import Figure, eos_difference, section_figures
from dlm_length.reports.figures.ablation import ablation
from dlm_length.reports.figures.frontier import compute as compute_frontier
from dlm_length.reports.figures.frontier import frontier, split_labels
from dlm_length.reports.figures.heat import colour_ends, heat
from dlm_length.reports.figures.lengths import lengths
from dlm_length.reports.figures.marks import Box, overlap, placed
from dlm_length.reports.figures.measures import scored
from dlm_length.reports.figures.predicted import predicted, representative, spearman
from dlm_length.reports.figures.style import looks, shown
from dlm_length.reports.paper_tables import daedal_table, smartcrop_table
from dlm_length.reports.rendering.figure import file_stem, numbered
from dlm_length.stats import Statistic, score_intervals

RIGHT = (1.0, 0.0, 1.0, 1.0, 0.0, 1.0)
"""Scores of six samples."""

MakeRun = Callable[..., Run]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A report that warns has drawn something it does not understand."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def make_run(metrics: RunMetrics) -> MakeRun:
    """A run in memory: of a policy with its parameters, and scores, lengths and FLOPs by sample or for all."""

    def make_run(
        policy: str,
        scores: Sequence[float | None] = RIGHT,
        *,
        n_token: int | Sequence[int] = 64,
        e_token: int | Sequence[int] = 30,
        flops: int | Sequence[int] = 10**12,
        failed: Sequence[int] = (),
        label: str | None = None,
        samples_per_problem: int = 1,
        **parameters: Any,
    ) -> Run:
        built = build_policy(policy, **parameters)
        n = len(scores)
        columns = [np.broadcast_to(values, n).tolist() for values in (n_token, e_token, flops)]
        samples = {}
        for place, (score, canvas, used, cost) in enumerate(zip(scores, *columns, strict=True)):
            name = f"q/{place // samples_per_problem}" + (f"#{place}" if samples_per_problem > 1 else "")
            did_run = place not in failed
            spent = CostRecord(
                nfe=7,
                length_sum=8,
                length_squared_sum=9,
                head_rows=10,
                flops_reference=cost if did_run else 0,
                flops_executed=11,
                seconds=12.0,
            )
            samples[name] = SampleSummary(
                doc_id=place,
                id=name,
                prompt_length=5,
                n_token=canvas if did_run else 0,
                e_token=used if did_run else 0,
                processed_length=5 + canvas,
                ledger=LedgerRecord(total=spent, probe=spent),
                score=score if did_run else None,
                details={},
                error=None if did_run else "out of memory",
                session=0,
                elapsed=1.0,
            )
        told = label if label is not None else built.label
        config = {
            "policy": {**built.model_dump(mode="json"), "name": policy},
            "benchmark": {"samples_per_problem": samples_per_problem},
        }
        return Run(
            Path("results") / told.replace("/", "-"),
            metrics.model_copy(update={"policy": policy, "policy_label": told}),
            samples,
            config,
        )

    return make_run


def section(*runs: Run, title: str = "gsm8k, some-model", baseline: int | None = 0) -> Section:
    """Of runs that differ in their labels; the first is the baseline."""
    labels = tuple(run.metrics.policy_label for run in runs)
    assert len(set(labels)) == len(labels)
    return Section(title, runs, labels, None if baseline is None else runs[baseline])


def one(figures: Sequence[Figure]) -> Figure:
    assert len(figures) == 1
    return figures[0]


def the_axes(figure: Figure, place: int = 0) -> Axes:
    return figure.draw().axes[place]


def marked(axes: Axes) -> list[Line2D]:
    """Lines with markers."""
    return [line for line in axes.lines if line.get_marker() not in ("None", "")]


def data(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def labels_in(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts} - {""}


# --- Score against cost ---------------------------------------------------------------------------------------------


def test_frontier_draws_each_runs_score_and_cost_and_joins_those_that_none_beats(make_run: MakeRun) -> None:
    tera = 10**12
    runs = [
        make_run("fixed", (1, 0, 0, 0), flops=(tera, 2 * tera, 3 * tera, 4 * tera), length=64),
        make_run("fixed", (1, 1, 1, 0), flops=20 * tera, length=256),
        make_run("smartcrop", (1, 1, 0, 0), flops=5 * tera, tau=0.9),
        make_run("smartcrop", (1, 0, 0, 0), flops=6 * tera, tau=0.5),  # as good as the first, at a higher cost
        make_run("smartcrop", (1, 1, 1, 0), flops=20 * tera, tau=0.99),  # the same as the second: neither beats
        make_run("oracle", (1, 1, 1, 1), flops=tera),  # as if lengths could be known for nothing
    ]
    made = section(*runs)
    found = compute_frontier(made, scored(made, made.runs))
    assert [(point.cost / tera, point.score.value) for point in found.points] == [
        *((2.5, 0.25), (20, 0.75), (5, 0.5), (6, 0.25), (20, 0.75), (1, 1.0))
    ]
    assert [point.label for point in found.front] == [
        *("fixed 64", "smartcrop 256 tau 0.9", "fixed 256", "smartcrop 256 tau 0.99")
    ]
    # In the order of tau, which is not the order of the runs, nor that of cost.
    assert [point.label[-3:] for point in found.series["smartcrop"]] == ["0.5", "0.9", ".99"]

    figure = one(frontier(made))
    axes = the_axes(figure)
    drawn = [data(line) for line in axes.lines]
    assert drawn[0] == [(2.5, 0.25), (5, 0.5), (20, 0.75), (20, 0.75)]
    assert drawn[1] == [(2.5, 0.25), (20, 0.75)]  # both fixed canvases
    assert drawn[2] == [(6, 0.25), (5, 0.5), (20, 0.75)]
    assert axes.get_xlabel() == "mean TFLOPs a sample"
    assert labels_in(axes) <= {"64", "256", "0.5", "0.9", "0.99"}
    assert "not oracle" in figure.caption
    assert "n = 4 samples" in figure.caption
    assert "95% intervals of the mean (Wilson), n = 4 samples" in figure.caption
    assert figure.sources == tuple(run.path for run in runs)


@pytest.mark.parametrize("scores", [RIGHT, (0.1, 0.9, 0.4, 0.7, 0.8)], ids=["0/1", "graded"])
def test_frontier_bars_are_the_intervals_of_the_tables(make_run: MakeRun, scores: Sequence[float]) -> None:
    made = section(make_run("fixed", scores, flops=10**12), make_run("smartcrop", scores, flops=3 * 10**12))
    expected = score_intervals({"": Statistic.mean(scores)}, rng=SEED)[""]
    assert 0 < expected.low < expected.value < expected.high <= 1
    axes = the_axes(one(frontier(made)))
    bars = [segment.tolist() for drawn in axes.collections for segment in cast("LineCollection", drawn).get_segments()]
    assert bars == [[[1, expected.low], [1, expected.high]], [[3, expected.low], [3, expected.high]]]


def test_several_answers_to_a_problem_are_one_observation(make_run: MakeRun) -> None:
    made = section(
        make_run("fixed", (1, 0, 1, 1, 0, 0), samples_per_problem=2),
        make_run("smartcrop", (1, 1, 1, 1, 1, 1), samples_per_problem=2),
    )
    first = scored(made, made.runs)[0]
    assert (first.score.value, first.score.n, first.samples) == (0.5, 3, 6)
    assert "n = 3 problems, each the mean of its samples" in one(frontier(made)).caption


def test_what_was_not_scored_is_left_out_and_told(make_run: MakeRun) -> None:
    made = section(
        make_run("fixed", (1, 0, 1, 0)),
        make_run("smartcrop", (1, None, None, 0), flops=(8, 4, 4, 6), failed=[3]),
        make_run("daedal", (None, None, None, None)),
    )
    figure = one(frontier(made))
    assert "Not shown, without any score: daedal 64 both." in figure.caption
    assert "Left out: 0 to 3 of 4 samples a run that were not scored." in figure.caption
    assert "Left out: 0 to 1 of 4 samples a run that could not be run." in figure.caption
    assert "n = 1 to 4 samples" in figure.caption
    assert made.runs[2].path not in figure.sources
    found = compute_frontier(made, scored(made, made.runs))
    # The sample that could not be run cost nothing, which is no cost.
    assert [(point.cost, point.score.value) for point in found.points][1] == (pytest.approx(16 / 3), 1.0)


def test_labels_are_split_into_what_runs_share_and_what_tells_them_apart(make_run: MakeRun) -> None:
    runs = [
        make_run("fixed", length=64),
        make_run("smartcrop", tau=0.5),
        make_run("smartcrop", tau=0.9),
        make_run("daedal", label="daedal short"),
        make_run("daedal", label="daedal a longer one"),
    ]
    made = section(*runs)
    common, own = split_labels(compute_frontier(made, scored(made, made.runs)).points)
    assert common == {"fixed": "fixed 64", "smartcrop": "smartcrop 256 tau …", "daedal": "daedal"}
    assert own == ["", "0.5", "0.9", "short", "a longer one"]


def test_runs_of_a_policy_that_differ_in_two_parameters_are_no_line(make_run: MakeRun) -> None:
    runs = [make_run("smartcrop", tau=tau, length=length) for tau in (0.5, 0.9) for length in (64, 128)]
    made = section(*runs)
    assert not compute_frontier(made, scored(made, made.runs)).series


def test_runs_that_differ_in_a_list_are_a_series_but_no_line(make_run: MakeRun) -> None:
    ladders = ([64, 128], [64, 256], [64, 512])
    made = section(*(make_run("oracle", ladder=ladder, label=f"oracle {ladder[1]}") for ladder in ladders))
    assert [each.field for each in series_of(made.runs)] == ["ladder"]
    assert not compute_frontier(made, scored(made, made.runs)).series
    assert not ablation(made)


def test_labels_of_points_keep_clear_of_each_other_and_of_marks() -> None:
    bounds = Box(0, 0, 200, 200)
    points = [(100.0, 100.0), (103.0, 100.0), (106.0, 101.0)]
    marks = [Box(x - 3, y - 3, x + 3, y + 3) for x, y in points]
    boxes = [box for box in placed(points, [(20.0, 8.0)] * 3, marks, bounds) if box is not None]
    assert len(boxes) == 3
    assert not overlap(boxes, marks).any()
    assert not np.triu(overlap(boxes, boxes), 1).any()
    # In a corner, the label goes inwards; where everything is covered, there is none.
    (corner,) = placed([(199.0, 199.0)], [(20.0, 8.0)], [], bounds)
    assert corner is not None
    assert overlap([corner], [bounds]) == pytest.approx(20 * 8)
    assert placed([(100.0, 100.0)], [(20.0, 8.0)], [bounds], bounds) == [None]


# --- Lengths that were chosen ---------------------------------------------------------------------------------------


def test_lengths_shows_each_adaptive_run_beside_the_best_fixed_length(make_run: MakeRun) -> None:
    runs = [
        make_run("fixed", (1, 0, 0, 0), length=64),
        make_run("fixed", (1, 1, 0, 0), length=256),
        make_run("fixed", (0, 0, 1, 1), length=128),  # as good as 256, and shorter
        make_run("smartcrop", (1, 1, 1, 1), n_token=(3, 10, 11, 200), failed=[3]),
        make_run("daedal", (1, 1, 1, 1), n_token=(64, 72, 72, 240)),
        *(make_run(control, n_token=64) for control in ("perturbed", "random_length", "oracle")),
    ]
    figure = one(lengths(section(*runs)))
    drawn = [axes for axes in figure.draw().axes if axes.get_visible()]
    assert [axes.get_title() for axes in drawn] == ["smartcrop 256 tau 0.9", "daedal 64 both"]
    steps = [patch.get_data() for axes in drawn for patch in axes.patches if isinstance(patch, StepPatch)]
    assert [int(np.sum(step.values)) for step in steps] == [3, 4]
    # 240 in at most 24 bins: 11 tokens each.
    assert {place: count for place, count in enumerate(steps[0].values) if count} == {0: 2, 1: 1}
    assert {place: count for place, count in enumerate(steps[1].values) if count} == {5: 1, 6: 2, 21: 1}
    assert steps[0].edges[1] == 11
    assert [axes.lines[0].get_xdata() for axes in drawn] == [[128, 128]] * 2
    assert "Dashed: 128 tokens" in figure.caption
    assert "0 to 1 of 4 samples a run that could not be run" in figure.caption
    assert figure.sources == (runs[3].path, runs[4].path, runs[2].path)


def test_many_runs_have_several_figures_of_lengths(make_run: MakeRun) -> None:
    runs = [make_run("smartcrop", tau=place / 100) for place in range(1, 16)]
    figures = lengths(section(*runs, baseline=None))
    assert [figure.name for figure in figures] == ["lengths-gsm8k-some-model", "lengths-gsm8k-some-model-2"]
    assert [len(figure.sources) for figure in figures] == [12, 3]
    assert "Dashed" not in figures[0].caption
    assert not the_axes(figures[1]).lines


# --- Chosen against used length -------------------------------------------------------------------------------------


def test_predicted_draws_the_baselines_answer_against_the_crop(make_run: MakeRun) -> None:
    baseline = make_run("fixed", (1,) * 5, n_token=256, e_token=(10, 80, 40, 256, 99), length=256, failed=[4])
    run = make_run("smartcrop", (1,) * 5, n_token=(12, 70, 75, 200, 1), e_token=7)
    figure = one(predicted(section(baseline, run)))
    (points,) = marked(the_axes(figure))
    assert data(points) == [(10, 12), (80, 70), (40, 75), (256, 200)]
    diagonal = next(line for line in the_axes(figure).lines if line.get_linestyle() == "--")
    assert all(x == y for x, y in data(diagonal))
    assert "Spearman's rho is 0.80" in figure.caption
    assert "n = 4 samples" in figure.caption
    assert "have no end on it: 1." in figure.caption
    assert "Left out: 1 of 5 samples that could not be run in both." in figure.caption
    assert figure.sources == (run.path, baseline.path)


@pytest.mark.parametrize(
    ("taus", "shown_tau"), [((0.5, 0.9, 0.99), 0.9), ((0.5, 0.75, 0.95), 0.75), ((0.99,), 0.99), ((0.5, 0.6), 0.6)]
)
def test_predicted_shows_the_papers_tau_or_the_one_in_the_middle(
    make_run: MakeRun, taus: Sequence[float], shown_tau: float
) -> None:
    run = representative(
        section(make_run("fixed"), *(make_run("smartcrop", tau=tau) for tau in taus[::-1])), "smartcrop"
    )
    assert run is not None
    assert run.config["policy"]["tau"] == shown_tau


def test_predicted_needs_smartcrop_and_a_fixed_baseline(make_run: MakeRun) -> None:
    fixed, smartcrop = make_run("fixed"), make_run("smartcrop")
    assert predicted(section(fixed, smartcrop))
    assert not predicted(section(fixed, smartcrop, baseline=None))
    assert not predicted(section(fixed, make_run("daedal")))
    assert not predicted(section(make_run("daedal"), smartcrop))
    assert not predicted(section(make_run("fixed", failed=range(6)), smartcrop))


def test_spearman_is_the_correlation_of_mean_ranks() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 8, (2, 40))  # with many ties
    ranks = [[(own < x).sum() + ((own == x).sum() + 1) / 2 for x in own] for own in (first, second)]
    assert spearman(first, second) == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)
    assert spearman([1, 2, 3], [6, 5, 4]) == -1
    assert np.isnan(spearman([3], [4]))
    assert np.isnan(spearman([3, 3, 3], [1, 2, 3]))


# --- A policy that changes another one ------------------------------------------------------------------------------


def test_scores_by_change_have_the_unchanged_policy_at_zero(make_run: MakeRun) -> None:
    runs = [
        make_run("perturbed", (1, 1, 1, 0), delta=0.5),
        make_run("perturbed", (1, 0, 0, 0), delta=-0.5),
        make_run("smartcrop", (1, 1, 0, 0)),
        make_run("smartcrop", (0, 0, 0, 0), tau=0.5),  # another crop
    ]
    made = section(*runs)
    figure = one(ablation(made))
    assert figure.name == "ablation-gsm8k-some-model-perturbed-delta"
    axes = the_axes(figure)
    (line,) = marked(axes)
    assert data(line) == [(-0.5, 0.25), (0, 0.5), (0.5, 0.75)]
    estimates = [each.score for each in scored(made, [runs[1], runs[2], runs[0]])]
    bars = [segment.tolist() for segment in cast("LineCollection", axes.collections[0]).get_segments()]
    deltas = (-0.5, 0, 0.5)
    assert bars == [[[x, each.low], [x, each.high]] for x, each in zip(deltas, estimates, strict=True)]
    assert set(figure.sources) == {run.path for run in runs[:3]}
    assert "The score at 0 is that of smartcrop." in figure.caption
    assert "delta (The crop becomes round(crop * (1 + delta))" in figure.caption


def test_a_run_that_changes_nothing_comes_before_the_unchanged_policy(make_run: MakeRun) -> None:
    runs = [
        make_run("perturbed", (1, 1, 1, 0), delta=0.0),
        make_run("perturbed", (1, 0, 0, 0), delta=-0.5),
        make_run("smartcrop", (0, 0, 0, 0)),
    ]
    figure = one(ablation(section(*runs)))
    assert data(marked(the_axes(figure))[0]) == [(-0.5, 0.25), (0, 0.75)]
    assert "The score at 0" not in figure.caption


def test_changes_of_several_policies_are_lines_of_one_figure_and_one_change_is_none(make_run: MakeRun) -> None:
    runs = [make_run("perturbed", delta=change, tau=tau) for tau in (0.5, 0.9) for change in (-0.25, 0.25)]
    figure = one(ablation(section(*runs)))
    picture = figure.draw()
    assert len(marked(picture.axes[0])) == 2
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["tau 0.5", "tau 0.9"]
    assert figure.sources == tuple(run.path for run in runs)
    assert not ablation(section(runs[0], runs[2]))
    assert not ablation(section(runs[0], make_run("smartcrop", tau=0.9)))  # a crop at another tau
    assert ablation(section(runs[0], make_run("smartcrop", tau=0.5)))


# --- Parameters that were varied ------------------------------------------------------------------------------------


def grid_of(make_run: MakeRun, cells: Mapping[tuple[float, float], Sequence[float | None]]) -> list[Run]:
    """DAEDAL runs by tau_high and tau_low."""
    return [
        make_run("daedal", scores, tau_high=high, tau_low=low, label=f"daedal {high} {low}")
        for (high, low), scores in cells.items()
    ]


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
    assert axes.get_xlabel() == "tau_high"
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
    assert (colours["0.000"], colours["1.000"]) == ("white", "black")
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
    assert data(marked(the_axes(figures["ablation-gsm8k-some-model-daedal-tau-high"]))[0]) == [
        *((0.8, 0.5), (0.9, 1), (0.95, 0))
    ]
    assert data(marked(the_axes(figures["ablation-gsm8k-some-model-daedal-tau-low"]))[0]) == [
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
    ours = [figure for figure in figures if "tau_high by tau_low" in figure.title]
    assert ["at tau_eos 0.4" in ours[0].caption, "at tau_eos 0.5" in ours[1].caption] == [True, True]
    assert ours[0].sources == tuple(run.path for run in runs[:4])


def test_ablation_of_lengths_is_logarithmic_and_needs_three_values(make_run: MakeRun) -> None:
    runs = [make_run("fixed", (1,) * place + (0,) * (4 - place), length=64 * 4**place) for place in range(3)]
    figure = one(ablation(section(*runs[::-1])))
    axes = the_axes(figure)
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["64", "256", "1024"]
    assert data(marked(axes)[0]) == [(64, 0), (256, 0.25), (1024, 0.5)]
    assert figure.sources == tuple(run.path for run in runs)
    assert not ablation(section(*runs[:2]))
    assert not ablation(section(*runs[:2], make_run("fixed", (None,) * 4, length=999)))


def test_words_have_points_and_no_line_between_them(make_run: MakeRun) -> None:
    runs = [make_run("rho_eos", scheduler=each, label=f"rho_eos {each}") for each in ("exp", "const", "linear")]
    axes = the_axes(one(ablation(section(*runs))))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["const", "exp", "linear"]
    assert marked(axes)[0].get_linestyle() == "None"


def test_colours_span_no_less_than_the_noise() -> None:
    assert colour_ends([0.5, 0.52], 0.1) == pytest.approx((0.46, 0.56))
    assert colour_ends([0.2, 0.8], 0.1) == pytest.approx((0.2, 0.8))
    low, high = colour_ends([0.5, 0.5], float("nan"))
    assert low < 0.5 < high


# --- What the first forward knows -----------------------------------------------------------------------------------


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
    assert "2 answered correctly on a longer one only (40, 80)" in figure.caption
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


# --- Files, and what records may hold -------------------------------------------------------------------------------


def everything(make_run: MakeRun, scores: Sequence[float | None], **parameters: Any) -> Section:
    """Runs that support every kind but the difference of EOS."""
    hostile = parameters.pop("hostile", "")
    runs = [
        *(make_run("fixed", scores, length=n, label=f"fixed {n}{hostile}", **parameters) for n in (256, 64, 128)),
        make_run("smartcrop", scores, label=f"smartcrop{hostile}", **parameters),
        *(
            make_run("perturbed", scores, tau=tau, delta=change, label=f"{tau} {change}{hostile}", **parameters)
            for tau in (0.5, 0.9)
            for change in (-0.1, 0.1)
        ),
    ]
    return section(*runs)


KINDS = ["frontier", "lengths", "predicted", "heat", "ablation", "ablation"]


def kinds(figures: Sequence[Figure]) -> list[str]:
    return [figure.name.partition("-")[0] for figure in figures]


def test_the_same_records_give_the_same_bytes(make_run: MakeRun) -> None:
    before = dict(mpl.rcParams)
    first, second = (one(heat(everything(make_run, RIGHT))) for _ in range(2))
    for format_, begin in {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}.items():
        rendered = first.render(format_)  # type: ignore[arg-type]
        assert rendered == second.render(format_)  # type: ignore[arg-type]
        assert rendered.startswith(begin)
        assert b"Date" not in rendered
    assert dict(mpl.rcParams) == before


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


def test_texts_are_one_line_of_known_characters() -> None:
    assert shown("a  b\nc") == "a b c"
    assert shown("abcdef", 4) == "abc…"
    assert shown("語 é\x01") == "\N{REPLACEMENT CHARACTER} é\N{REPLACEMENT CHARACTER}"


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


# --- Policies that nobody knew of -----------------------------------------------------------------------------------

NEW_POLICIES = """
from typing import ClassVar, Literal

from dlm_length.policies.base import Role
from dlm_length.policies.fixed import Fixed


class Halved(Fixed):
    role: ClassVar[Role] = "method"
    palette_place: ClassVar[int | None] = None
    name: Literal["halved"] = "halved"


class Clairvoyant(Fixed):
    role: ClassVar[Role] = "control"
    lengths_charged: ClassVar[bool] = False
    palette_place: ClassVar[int | None] = None
    name: Literal["clairvoyant"] = "clairvoyant"
"""


@pytest.fixture
def new_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: MakeRun) -> Iterator[Section]:
    """A section with a method and a control from a file that is laid beside the package's policies."""
    (tmp_path / "newcomers.py").write_text(NEW_POLICIES)
    monkeypatch.setattr(dlm_length.policies, "__path__", [*dlm_length.policies.__path__, str(tmp_path)])
    yield section(
        make_run("fixed", (1, 0, 1, 1, 0, 1), flops=10**12),
        make_run("halved", (1, 0, 1, 1, 0, 1), flops=5 * 10**11, n_token=32),
        make_run("clairvoyant", (1, 1, 1, 1, 1, 1), flops=10**11, n_token=16),
    )
    sys.modules.pop("dlm_length.policies.newcomers", None)


def test_a_new_method_is_drawn_and_may_win_and_a_new_control_may_not(new_section: Section) -> None:
    found = compute_frontier(new_section, scored(new_section, new_section.runs))
    assert [point.policy for point in found.points] == ["fixed", "halved", "clairvoyant"]
    assert [point.policy for point in found.front] == ["halved"], "the control is better and cheaper, at no charge"
    assert "not clairvoyant" in one(frontier(new_section)).caption
    assert [axes.get_title() for axes in one(lengths(new_section)).draw().axes if axes.get_title()] == ["halved 256"]


def test_new_policies_have_a_colour_of_their_role_and_a_marker_of_their_own(new_section: Section) -> None:
    drawn = looks(new_section.policies)
    assert len({look.marker for look in drawn.values()}) == 3
    assert len({look.colour for look in drawn.values()}) == 3
    assert drawn["fixed"] == looks(["fixed"])["fixed"], "newcomers change no other policy's look"


def test_new_policies_are_in_the_tables_that_are_for_them(new_section: Section) -> None:
    made = compared([new_section])
    rows = [row.cells[0] for row in smartcrop_table(made).groups[0].rows]
    assert rows == ["fixed 256", "halved 256", "clairvoyant 256"]
    assert "clairvoyant: controls" in " ".join(smartcrop_table(made).notes)
    beside = daedal_table(made)
    assert beside is not None
    assert [column.title for column in beside.columns] == ["", "fixed 256", "halved 256"], "a control is no method"


def test_a_run_is_what_its_records_say_also_where_its_policy_is_not_installed(make_run: MakeRun) -> None:
    run = make_run("fixed", label="elsewhere 1")
    kept = run.metrics.model_copy(
        update={"policy": "elsewhere", "policy_role": "control", "lengths_charged": False, "series_field": "tau"}
    )
    own = replace(run, metrics=kept).declared
    assert (own.role, own.lengths_charged, own.series_field) == ("control", False, "tau")
    before = kept.model_copy(update={"policy": "oracle", "policy_role": None})
    assert replace(run, metrics=before).declared.role == "control"
