"""Quality against cost: what is drawn is what the records say, and labels stand where there is room."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from figure_helpers import RIGHT, MakeRun, bars, labels_in, legend, one, points, section, the_axes

from dlm_length.analysis.effects import SEED
from dlm_length.analysis.parameters import series_of
from dlm_length.reports.figures.ablation import ablation
from dlm_length.reports.figures.drawing import Box, line_boxes, overlap, placed
from dlm_length.reports.figures.frontier import compute, frontier, label_keys, round_ticks
from dlm_length.reports.figures.measures import scored
from dlm_length.stats import Statistic, score_intervals


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
    data = compute(made)
    assert data is not None
    flops, clock = data.costs
    assert (flops.unit, clock.unit) == ("TFLOPs", "ms")
    assert list(zip(flops.cost.tolist(), data.score.tolist(), strict=True)) == [
        *((2.5, 0.25), (20, 0.75), (5, 0.5), (6, 0.25), (20, 0.75), (1, 1.0))
    ]
    assert flops.optimal.tolist() == [True, True, True, False, True, False]
    # In the order of tau, which is not the order of the runs, nor that of cost.
    assert data.series == ((0, 1), (3, 2, 4))
    assert dict(list(data.titles.items())[:2]) == {"fixed": "Fixed canvas, by L", "smartcrop": "SmartCrop, by τ"}
    assert data.labels == ("64", "256", "0.9", "0.5", "0.99", "")

    figure = one(frontier(made))
    axes, other = figure.draw().axes
    drawn = [points(line) for line in axes.lines]
    assert drawn[0] == [(2.5, 0.25), (5, 0.5), (20, 0.75), (20, 0.75)]
    assert drawn[1] == [(2.5, 0.25), (20, 0.75)]  # both full canvases
    assert drawn[2] == [(6, 0.25), (5, 0.5), (20, 0.75)]
    assert axes.get_xlabel() == "mean FLOPs per sample (TFLOPs)"
    assert other.get_xlabel() == "mean wall-clock per sample (ms)"
    assert axes.get_ylim() == other.get_ylim()
    assert labels_in(axes) <= {"64", "256", "0.5", "0.9", "0.99"}
    assert legend(figure) == [*data.titles.values(), "Pareto-optimal"]
    assert "not Oracle" in figure.caption
    assert "95% intervals of the mean (Wilson), n = 4 samples" in figure.caption
    assert figure.sources == tuple(run.path for run in runs)


def test_times_of_one_and_of_several_devices_are_not_drawn_together(make_run: MakeRun) -> None:
    one_device, other = make_run("fixed"), make_run("smartcrop")
    eight, also = (
        replace(run, metrics=run.metrics.model_copy(update={"devices": 8})) for run in (other, make_run("daedal"))
    )
    for runs, kinds in (((one_device, eight), ["FLOPs"]), ((eight, also), ["FLOPs", "wall-clock"])):
        data = compute(section(*runs))
        assert data is not None
        assert [cost.kind for cost in data.costs] == kinds


def test_wall_clock_is_a_panel_only_where_two_runs_have_a_clock_of_their_own(make_run: MakeRun) -> None:
    alone = [make_run("fixed"), make_run("smartcrop")]
    together = [
        replace(run, metrics=run.metrics.model_copy(update={"runs_together": 2}))
        for run in (make_run("daedal"), make_run("rho_eos"))
    ]
    data = compute(section(*alone, *together))
    assert data is not None
    assert np.isnan(data.costs[1].cost).tolist() == [False, False, True, True]
    assert not data.costs[1].optimal[2:].any()
    assert "2 of 4 runs have no wall-clock" in one(frontier(section(*alone, *together))).caption
    half = compute(section(alone[0], *together))
    assert half is not None
    assert [cost.kind for cost in half.costs] == ["FLOPs"]


@pytest.mark.parametrize("scores", [RIGHT, (0.1, 0.9, 0.4, 0.7, 0.8)], ids=["0/1", "graded"])
def test_frontier_bars_are_the_intervals_of_the_tables(make_run: MakeRun, scores: Sequence[float]) -> None:
    made = section(make_run("fixed", scores, flops=10**12), make_run("smartcrop", scores, flops=3 * 10**12))
    expected = score_intervals({"": Statistic.mean(scores)}, rng=SEED)[""]
    assert 0 < expected.low < expected.value < expected.high <= 1
    axes = the_axes(one(frontier(made)))
    assert bars(axes) == [[[1, expected.low], [1, expected.high]], [[3, expected.low], [3, expected.high]]]


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
    assert "Not shown, without any score: DAEDAL." in figure.caption
    assert "Left out: 0 to 3 of 4 samples per run that were not scored." in figure.caption
    assert "Left out: 0 to 1 of 4 samples per run that could not be run." in figure.caption
    assert "n = 1 to 4 samples" in figure.caption
    assert made.runs[2].path not in figure.sources
    data = compute(made)
    assert data is not None
    # The sample that could not be run cost nothing, which is no cost.
    assert data.costs[0].unit == "TFLOPs"
    assert data.costs[0].cost.tolist() == pytest.approx([1.0, 16e-12 / 3])


def test_runs_of_a_policy_that_differ_in_two_parameters_are_no_line(make_run: MakeRun) -> None:
    data = compute(section(*(make_run("smartcrop", tau=tau, length=n) for tau in (0.5, 0.9) for n in (64, 128))))
    assert data is not None
    assert not data.series


def test_runs_that_differ_in_a_list_are_a_series_but_no_line(make_run: MakeRun) -> None:
    ladders = ([64, 128], [64, 256], [64, 512])
    made = section(*(make_run("oracle", ladder=ladder, label=f"oracle {ladder[1]}") for ladder in ladders))
    assert [each.field for each in series_of(made.runs)] == ["ladder"]
    data = compute(made)
    assert data is not None
    assert not data.series
    assert not ablation(made)


def test_long_labels_stand_in_the_legend_under_a_letter(make_run: MakeRun) -> None:
    long = "stop = block any"
    assert label_keys(["0.5", "", long, "0.9", "0.5"]) == {"0.5": "0.5", long: "a", "0.9": "0.9"}
    many = label_keys([f"a long label {n}" for n in range(28)])
    assert list(many.values())[24:] == ["y", "z", "aa", "ab"]
    costs = {"fixed": 10**12, "fixed a long label": 10**11, "fixed another long label": 10**10}
    runs = [make_run("fixed", label=label, flops=flops) for label, flops in costs.items()]
    figure = one(frontier(section(*runs, baseline=None)))
    written = legend(figure)
    assert [text for text in written if ": " in text] == ["a: a long label", "b: another long label"]
    assert labels_in(the_axes(figure)) <= {"a", "b"}


def test_runs_of_a_series_at_one_place_share_a_label(make_run: MakeRun) -> None:
    runs = [make_run("smartcrop", tau=tau, flops=10**12 + place) for place, tau in enumerate((0.5, 0.75, 0.9))]
    axes = the_axes(one(frontier(section(make_run("fixed", (0, 0, 1, 0, 0, 0), flops=9 * 10**12), *runs))))
    assert labels_in(axes) == {"0.5 – 0.9"}


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.9, 1.2, [0.9, 1.0, 1.1, 1.2]),
        (8, 250, [10, 20, 50, 100, 200]),
        (8, 9000, [10, 30, 100, 300, 1000, 3000]),
        (1, 1e12, [1, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12]),
    ],
)
def test_ticks_of_costs_are_few_and_round(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


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


def test_no_label_is_struck_through() -> None:
    bounds = Box(0, 0, 200, 200)
    fence = [box for x in range(0, 200, 15) for box in line_boxes([(x, 0.0), (x, 200.0)])]  # no gap is 20 wide
    assert placed([(100.0, 100.0)], [(20.0, 8.0)], fence, bounds) == [None]
    (narrow,) = placed([(100.0, 100.0)], [(8.0, 8.0)], fence, bounds)
    assert narrow is not None
    assert not overlap([narrow], fence).any()
    slope = line_boxes([(0.0, 0.0), (30.0, 40.0)])
    assert {(box.left + 0.5, box.bottom + 0.5) for box in slope} >= {(0.0, 0.0), (30.0, 40.0)}
    assert len(slope) == 26
