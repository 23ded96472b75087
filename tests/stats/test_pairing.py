"""Runs are aligned by sample id, and a comparison that would not be paired is refused (docs/methods.md section 7)."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_length.stats import Statistic, StatisticsError, bootstrap, pair


def test_values_follow_their_ids() -> None:
    paired = pair({"SC": (["b", "a"], [2, 1]), "FC": (["a", "b"], [10, 20])}, what="FLOPs")
    assert paired.ids == ("a", "b")
    assert paired.runs == ("SC", "FC")
    assert paired["SC"].tolist() == [1, 2]
    assert paired["FC"].tolist() == [10, 20]
    assert (paired.n, paired.what, paired.left_out) == (2, "FLOPs", ())


@settings(deadline=None)
@given(st.permutations(range(8)), st.permutations(range(8)))
def test_the_order_of_records_does_not_matter(ours: list[int], theirs: list[int]) -> None:
    """Runs record samples as they finish, each in its own order."""
    scores, baseline = np.linspace(0, 1, 8), np.linspace(0, 1, 8) ** 2

    def estimate(ours: list[int], theirs: list[int]) -> object:
        runs = {"SC": ([str(i) for i in ours], scores[ours]), "FC": ([str(i) for i in theirs], baseline[theirs])}
        paired = pair(runs)
        delta = Statistic.performance_delta(paired["SC"], paired["FC"])
        return bootstrap({"delta": delta}, rng=0, resamples=50)

    assert estimate(ours, theirs) == estimate(list(range(8)), list(range(8)))


def test_the_result_cannot_be_changed() -> None:
    paired = pair({"SC": (["a"], [1])})
    with pytest.raises(ValueError, match="read-only"):
        paired["SC"][0] = 2


def test_an_unknown_run_is_an_error_that_lists_the_runs() -> None:
    with pytest.raises(KeyError, match=r"no run is called 'SC'; there are FC or SC 0\.9"):
        pair({"FC": (["a"], [1]), "SC 0.9": (["a"], [1])})["SC"]


def test_missing_samples_are_named_with_the_run_that_lacks_them() -> None:
    ids = [f"gsm8k/{i}" for i in range(9)]
    with pytest.raises(StatisticsError) as error:
        pair({"FC": (ids[:8], np.zeros(8)), "SC 0.9": (ids[8:], np.zeros(1)), "all": (ids, np.zeros(9))})
    message = str(error.value)
    assert "'FC' (8 samples) lacks 1 of another (gsm8k/8)" in message
    assert "'SC 0.9' (1 sample) lacks 8 of another (gsm8k/0, gsm8k/1, gsm8k/2, gsm8k/3, gsm8k/4, ...)" in message
    assert "'all'" not in message
    assert "benchmark.limit" in message


def test_an_id_that_occurs_twice_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"run 'SC': 1 sample id occurs more than once \(a\)"):
        pair({"SC": (["a", "b", "a"], [1, 0, 0]), "FC": (["a", "b"], [1, 1])})


def test_ids_and_values_of_different_sizes_are_refused() -> None:
    with pytest.raises(StatisticsError, match=r"run 'SC': 2 sample ids, but score has shape \(3,\)"):
        pair({"SC": (["a", "b"], [1, 0, 1])})


@pytest.mark.parametrize("absent", [math.nan, None])
def test_a_sample_without_a_score_is_refused_by_name(absent: float | None) -> None:
    with pytest.raises(StatisticsError, match=r"score: .*'FC' has none in 1 of 2 samples \(b\).*[Ll]eave those"):
        pair({"SC": (["a", "b"], [1, 0]), "FC": (["b", "a"], [absent, 1])})


def test_samples_without_a_score_can_be_left_out_of_every_run() -> None:
    runs = {"SC": (["a", "b", "c"], [None, 0, 1]), "FC": (["a", "c", "b"], [1, 0, None])}
    paired = pair(runs, incomplete="leave_out")
    assert (paired.ids, paired.left_out) == (("c",), ("a", "b"))
    assert paired.values.tolist() == [[1], [0]]


def test_leaving_out_does_not_excuse_a_sample_that_was_never_run() -> None:
    with pytest.raises(StatisticsError, match="do not cover the same samples"):
        pair({"SC": (["a", "b"], [1, None]), "FC": (["a"], [1])}, incomplete="leave_out")


def test_infinity_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"run 'SC': FLOPs is infinite in 1 sample \(b\)"):
        pair({"SC": (["a", "b"], [1, math.inf])}, what="FLOPs", incomplete="leave_out")


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "no run to compare"),
        ({"SC": ([], []), "FC": ([], [])}, "no sample has a value in every run"),
        ({"SC": (["a"], [None]), "FC": (["a"], [1])}, "no sample has a value in every run"),
    ],
)
def test_nothing_to_compare_is_refused(runs: dict[str, tuple[list[str], list[float]]], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        pair(runs, incomplete="leave_out")


def test_several_answers_to_one_problem_are_one_unit() -> None:
    """HumanEval with samples_per_problem: answers HumanEval/0#0, HumanEval/0#1, ... are not independent."""
    ids = ["HumanEval/0#0", "HumanEval/0#1", "HumanEval/1#0", "HumanEval/1#1"]
    runs = {"SC": (ids, [1, 0, 1, 1]), "FC": (ids[::-1], [0, 0, 0, 1])}
    paired = pair(runs, unit_of=lambda name: name.rpartition("#")[0])
    assert paired.ids == ("HumanEval/0", "HumanEval/1")
    assert paired.values.tolist() == [[0.5, 1], [0.5, 0]]
