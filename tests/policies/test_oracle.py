"""The oracle: which canvas of the ladder is chosen, and what it needs to know for that."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import UserError


def chosen(scores: list[dict[str, float | None]], ladder: tuple[int, ...] = (4, 8, 16), **parameters: object) -> dict:
    return build_policy("oracle", ladder=ladder, **parameters).fit(scores).lengths


def test_the_shortest_correct_canvas_else_the_longest():
    scores = [
        {"short": 1.0, "middle": 0.0, "never": 0.0, "unscored": None, "not monotone": 1.0},
        {"short": 0.0, "middle": 1.0, "never": 0.0, "unscored": None, "not monotone": 0.0},
        {"short": 1.0, "middle": 1.0, "never": 0.0, "unscored": 1.0, "not monotone": 0.0},
    ]
    assert chosen(scores) == {"short": 4, "middle": 8, "never": 16, "unscored": 16, "not monotone": 4}


def test_what_counts_as_correct_can_be_set():
    scores: list = [{"a": 0.4}, {"a": 0.5}, {"a": 0.9}]
    assert chosen(scores) == {"a": 16}
    assert chosen(scores, correct_at=0.5) == {"a": 8}
    assert chosen(scores, correct_at=0.0) == {"a": 4}


def test_the_ladder_is_climbed_from_the_shortest_whatever_its_order():
    policy = build_policy("oracle", ladder=(16, 4, 8, 4), block_length=4, temperature=0.3, confidence_eos_eot_inf=True)
    earlier = policy.earlier()
    assert [fixed.length for fixed in earlier] == [4, 8, 16]
    same = {"block_length": 4, "temperature": 0.3, "confidence_eos_eot_inf": True}
    assert list(earlier) == [build_policy("fixed", length=length, **same) for length in (4, 8, 16)]
    assert policy.worst_case() == earlier[-1]


def test_given_lengths_decide_what_it_can_cost():
    policy = build_policy("oracle", ladder=(4, 8), lengths={"a": 12, "b": 3}, block_length=4)
    assert policy.worst_case() == build_policy("fixed", length=12, block_length=4)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=5, max_size=5), min_size=1, max_size=5))
def test_no_shorter_run_was_correct_and_the_chosen_one_was_unless_none_was(scores: list[list[float | None]]):
    ladder = tuple(4 * (step + 1) for step in range(len(scores)))
    by_run = [dict(zip("abcde", of_run, strict=True)) for of_run in scores]
    for name, length in chosen(by_run, ladder).items():
        place = ladder.index(length)
        assert all(of_run[name] != 1.0 for of_run in by_run[:place])
        assert by_run[place][name] == 1.0 or place == len(ladder) - 1


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_its_answers_are_those_of_the_chosen_canvases(tiny_model: MaskPredictor, ask: Callable, temperature: float):
    prompts, ids = [ask("What is a lamp? Explain in one sentence."), [*range(50, 70)]], ["a", "b"]
    settings = {"block_length": 8, "temperature": temperature}
    policy = build_policy("oracle", lengths={"a": 8, "b": 16}, **settings)
    for g in Engine(tiny_model, seed=4).generate(prompts, policy, sample_ids=ids):
        fixed = build_policy("fixed", length={"a": 8, "b": 16}[g.sample_id], **settings)
        (same,) = Engine(tiny_model, seed=4).generate([prompts[g.index]], fixed, sample_ids=[g.sample_id])
        assert (g.canvas_ids, g.trajectory) == (same.canvas_ids, same.trajectory)
        assert g.ledger.probe.nfe == 0


def test_without_lengths_it_runs_nothing(tiny_model: MaskPredictor):
    with pytest.raises(UserError, match="needs a length for every sample before it begins"):
        list(Engine(tiny_model).generate([[5]], build_policy("oracle")))
