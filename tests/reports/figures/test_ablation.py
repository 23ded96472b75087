"""Parameters that were varied, and policies that change another one."""

from figure_helpers import MakeRun, bars, marked, one, points, section, the_axes

from dlm_length.reports.figures.ablation import ablation
from dlm_length.reports.figures.measures import scored


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
    assert points(line) == [(-0.5, 0.25), (0, 0.5), (0.5, 0.75)]
    estimates = [each.score for each in scored(made, [runs[1], runs[2], runs[0]])]
    deltas = (-0.5, 0, 0.5)
    assert bars(axes) == [[[x, each.low], [x, each.high]] for x, each in zip(deltas, estimates, strict=True)]
    assert set(figure.sources) == {run.path for run in runs[:3]}
    assert "The score at 0 is that of SmartCrop." in figure.caption
    assert "δ (the crop becomes round(crop * (1 + delta))" in figure.caption


def test_a_run_that_changes_nothing_comes_before_the_unchanged_policy(make_run: MakeRun) -> None:
    runs = [
        make_run("perturbed", (1, 1, 1, 0), delta=0.0),
        make_run("perturbed", (1, 0, 0, 0), delta=-0.5),
        make_run("smartcrop", (0, 0, 0, 0)),
    ]
    figure = one(ablation(section(*runs)))
    assert points(marked(the_axes(figure))[0]) == [(-0.5, 0.25), (0, 0.75)]
    assert "The score at 0" not in figure.caption


def test_changes_of_several_policies_are_lines_of_one_figure_and_one_change_is_none(make_run: MakeRun) -> None:
    runs = [make_run("perturbed", delta=change, tau=tau) for tau in (0.5, 0.9) for change in (-0.25, 0.25)]
    figure = one(ablation(section(*runs)))
    picture = figure.draw()
    assert len(marked(picture.axes[0])) == 2
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["τ = 0.5", "τ = 0.9"]
    assert figure.sources == tuple(run.path for run in runs)
    assert not ablation(section(runs[0], runs[2]))
    assert not ablation(section(runs[0], make_run("smartcrop", tau=0.9)))  # a crop at another tau
    assert ablation(section(runs[0], make_run("smartcrop", tau=0.5)))


def test_ablation_of_lengths_is_logarithmic_and_needs_three_values(make_run: MakeRun) -> None:
    runs = [make_run("fixed", (1,) * place + (0,) * (4 - place), length=64 * 4**place) for place in range(3)]
    figure = one(ablation(section(*runs[::-1])))
    axes = the_axes(figure)
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["64", "256", "1024"]
    assert points(marked(axes)[0]) == [(64, 0), (256, 0.25), (1024, 0.5)]
    assert figure.sources == tuple(run.path for run in runs)
    assert not ablation(section(*runs[:2]))
    assert not ablation(section(*runs[:2], make_run("fixed", (None,) * 4, length=999)))


def test_words_have_points_and_no_line_between_them(make_run: MakeRun) -> None:
    runs = [make_run("rho_eos", scheduler=each, label=f"rho_eos {each}") for each in ("exp", "const", "linear")]
    axes = the_axes(one(ablation(section(*runs))))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["const", "exp", "linear"]
    assert marked(axes)[0].get_linestyle() == "None"


def test_the_meaning_of_the_parameter_reads_as_a_part_of_the_sentence(make_run: MakeRun) -> None:
    figure = one(ablation(section(*(make_run("smartcrop", tau=tau) for tau in (0.5, 0.75, 0.9)))))
    assert "for each τ (crop at the first position where" in figure.caption
