"""The event loop: budgets, admission, errors, follow-ups, the ledger."""

import numpy as np
import pytest
import torch

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import UserError
from dlm_length.denoising import Canvas, DenoiseCoroutine, FollowUp, Query, Stat, StatSpec
from dlm_length.engine import Step

EVERYTHING = Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS | Stat.MARGIN | Stat.ENTROPY | Stat.BEST_UNMASKED | Stat.UNIFORM


def prompts(*lengths: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(4, 700, length).tolist() for length in lengths]


def steps_of(engine: Engine, token_ids: list[list[int]], policy: object) -> list[Step]:
    steps: list[Step] = []
    done = list(engine.generate(token_ids, policy, on_step=steps.append))
    assert sorted(g.index for g in done) == list(range(len(token_ids)))
    assert sum(step.samples for step in steps) == sum(g.ledger.total.nfe for g in done)
    assert sum(step.tokens for step in steps) == sum(g.ledger.total.length_sum for g in done)
    return steps


def test_steps_count_tokens_as_they_were_forwarded(tiny_model: MaskPredictor):
    steps = steps_of(Engine(tiny_model), prompts(10, 30, 20), build_policy("smartcrop", length=40))
    assert steps[0].tokens == 180, "the probe, before any crop"


@pytest.mark.parametrize("budget", [50, 64, 100, 1000])
def test_no_forward_exceeds_the_budget(tiny_model: MaskPredictor, budget: int):
    steps = steps_of(Engine(tiny_model, budget), prompts(10, 30, 20, 42, 5, 12), build_policy("fixed", length=8))
    assert max(step.tokens for step in steps) <= budget
    assert budget < 1000 or len(steps) == 8, "with room for all, all advance together"


def test_a_sample_longer_than_the_budget_runs_alone(tiny_model: MaskPredictor):
    steps = steps_of(Engine(tiny_model, 30), prompts(60, 4, 4), build_policy("fixed", length=8))
    assert [step for step in steps if step.tokens > 30] == [step for step in steps if step.tokens == 68]
    assert all(step.samples == 1 for step in steps if step.tokens == 68)


def test_a_finished_sample_makes_room_at_once(tiny_model: MaskPredictor):
    class Short:
        """A canvas of two tokens where the prompt is short, of six where it is long."""

        def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
            canvas.append_masks(2 if canvas.prompt_length < 20 else 6)
            while (left := canvas.masked()).size:
                answer = yield Query(canvas, left, StatSpec(Stat.TOKEN))
                canvas.commit(left[:1], answer.token[:1] * 0 + 9)

    steps = steps_of(Engine(tiny_model, 50), prompts(30, 10, 10, 10), Short())
    # The long one needs six forwards; the short ones, two forwards each, take turns in the remaining budget.
    assert len(steps) == 6
    assert [step.samples for step in steps] == [2] * 6


def test_samples_come_back_as_they_finish(tiny_model: MaskPredictor):
    policies = [build_policy("fixed", length=length) for length in (12, 3, 6)]
    done = [g.index for g in Engine(tiny_model).generate(prompts(5, 5, 5), policies)]
    assert done == [1, 2, 0]


def test_too_long_for_the_model_is_that_samples_error_alone(tiny_model: MaskPredictor):
    done = {g.index: g for g in Engine(tiny_model).generate(prompts(5, 1020, 6), build_policy("fixed", length=8))}
    assert done[1].error == "a prompt of 1020 and a canvas of 8 tokens are 1028, the model takes at most 1024"
    assert done[1].ledger.total.nfe == 0
    assert done[1].trajectory == []
    for index in (0, 2):
        assert done[index].error is None
        assert done[index].n_token == 8


def test_a_canvas_that_outgrows_the_model_keeps_what_it_cost(tiny_model: MaskPredictor):
    class Growing:
        def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
            while True:
                canvas.append_masks(10)
                yield Query(canvas, canvas.all, StatSpec(Stat.EOS))

    (g,) = Engine(tiny_model).generate(prompts(1000), Growing())
    assert g.error is not None
    assert g.trajectory == [10, 20]
    assert g.ledger.total.nfe == 2


def test_a_follow_up_costs_rows_but_no_forward_and_gives_the_same_answer(tiny_model: MaskPredictor):
    heard: dict[str, list] = {"at once": [], "again": []}

    class Curious:
        def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
            canvas.append_masks(9)
            head = StatSpec(EVERYTHING, temperature=0.5)
            whole = yield Query(canvas, canvas.all, head, probe=True)
            for part in (canvas.all[5:], canvas.all[:5]):
                again = yield FollowUp(part, head)
                heard["again"].append(again)
            heard["at once"].append(whole)

    (g,) = Engine(tiny_model).generate(prompts(7), Curious())
    total = g.ledger.total
    assert (total.nfe, total.head_rows, total.length_sum) == (1, 18, 16)
    assert g.ledger.probe.head_rows == 18
    ((whole,), (back, front)) = heard["at once"], heard["again"]
    for name in ("token", "confidence", "eos", "margin", "entropy", "unmasked_token", "unmasked_confidence", "uniform"):
        joined = np.concatenate([getattr(front, name), getattr(back, name)])
        np.testing.assert_array_equal(joined, getattr(whole, name), err_msg=name)


def test_different_heads_in_one_batch_get_their_own_answers(tiny_model: MaskPredictor):
    token_ids = prompts(20, 30)
    policies = [build_policy("fixed", length=6, logits_eos_inf=True), build_policy("smartcrop", length=12)]
    together = {g.index: g.canvas_ids for g in Engine(tiny_model).generate(token_ids, policies)}
    for index in (0, 1):
        (alone,) = Engine(tiny_model).generate([token_ids[index]], policies[index])
        assert together[index] == alone.canvas_ids
    assert tiny_model.tokens.eos not in together[0]


def test_ledger_counts_what_was_forwarded(tiny_model: MaskPredictor):
    (g,) = Engine(tiny_model).generate(prompts(11), build_policy("smartcrop", length=20, tau=0.5))
    a = tiny_model.architecture
    lengths = [11 + canvas for canvas in g.trajectory]
    crop = g.n_token
    total, probe = g.ledger.total, g.ledger.probe
    assert g.trajectory == [20, *[crop] * crop]
    assert (total.nfe, total.length_sum) == (len(lengths), sum(lengths))
    assert total.length_squared_sum == sum(length**2 for length in lengths)
    rows = 20 + crop * (crop + 1) // 2
    assert total.head_rows == rows
    assert total.flops_reference == sum(a.forward_flops(n) + a.head_flops(n) for n in lengths)
    assert total.flops_executed == sum(a.forward_flops(n) for n in lengths) + a.head_flops(rows)
    assert (probe.nfe, probe.length_sum, probe.head_rows) == (1, 31, 20)
    assert 0 < probe.seconds < total.seconds


def test_a_generation_counts_effective_tokens_by_id(tiny_model: MaskPredictor):
    (g,) = Engine(tiny_model).generate(prompts(9), build_policy("fixed", length=24))
    assert g.e_token == sum(token != tiny_model.tokens.eos for token in g.canvas_ids)
    assert g.text() == tiny_model.tokenizer.decode([t for t in g.canvas_ids if t != tiny_model.tokens.eos])


@pytest.mark.parametrize(
    ("ids", "policy_count"), [(["a", "a"], None), (["a"], None), (None, 3)], ids=["twice", "too few", "policies"]
)
def test_arguments_that_do_not_pair_up_are_refused(tiny_model: MaskPredictor, ids: list[str] | None, policy_count: int):
    policy = build_policy("fixed", length=4)
    with pytest.raises(UserError, match=r"unique|one per prompt"):
        Engine(tiny_model).generate(prompts(3, 3), [policy] * policy_count if policy_count else policy, sample_ids=ids)


@pytest.mark.parametrize("token", [-1, 768, 99_999])
def test_a_prompt_outside_the_vocabulary_is_that_samples_error_alone(tiny_model: MaskPredictor, token: int):
    token_ids = [*prompts(5), [9, token], *prompts(6)]
    done = {g.index: g for g in Engine(tiny_model).generate(token_ids, build_policy("fixed", length=4))}
    assert done[1].error == f"prompt token {token} is outside the vocabulary of 768"
    assert done[0].error is done[2].error is None


@pytest.mark.parametrize("policy", ["fixed", "smartcrop"])
def test_probabilities_that_are_not_numbers_are_that_samples_error_alone(tiny_model: MaskPredictor, policy: str):
    """As half precision has it when it overflows; without this the answer would look like any other."""

    class Overflowing(type(tiny_model)):
        def hidden(self, token_ids, positions, attend):
            states = super().hidden(token_ids, positions, attend)
            broken = (token_ids == 700).nonzero()[:, 0]
            return states.index_fill(0, torch.arange(broken[0], len(states)), torch.nan) if len(broken) else states

    model = Overflowing(**vars(tiny_model))
    token_ids = [[5, 6, 7], [*range(20, 40), 700]]  # the longer one comes last in a batch
    done = {g.index: g for g in Engine(model).generate(token_ids, build_policy(policy, length=6))}
    assert done[1].error is not None
    assert "probabilities are not numbers, though in float32" in done[1].error
    assert "try hardware.dtype=float32" not in done[1].error, "it is float32"
    assert done[0].error is None


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(tiny_model: MaskPredictor, seed: int):
    with pytest.raises(UserError, match="seed must be from 0"):
        Engine(tiny_model, seed=seed)


def test_no_prompts_give_no_generations(tiny_model: MaskPredictor):
    assert list(Engine(tiny_model).generate([], build_policy("fixed"))) == []


def test_an_empty_prompt_is_allowed(tiny_model: MaskPredictor):
    (g,) = Engine(tiny_model).generate([[]], build_policy("fixed", length=3))
    assert g.n_token == 3
    assert tiny_model.tokens.mask not in g.canvas_ids


def test_a_budget_below_one_is_refused(tiny_model: MaskPredictor):
    with pytest.raises(UserError, match="at least 1"):
        Engine(tiny_model, 0)


def test_other_threads_are_not_left_in_inference_mode(tiny_model: MaskPredictor):
    next(Engine(tiny_model).generate(prompts(3), build_policy("fixed", length=2)))
    assert not torch.is_inference_mode_enabled()


def test_a_query_without_positions_on_an_empty_canvas_has_no_cost(tiny_model: MaskPredictor):
    class SubCoroutine:
        def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
            yield Query(canvas, canvas.all, StatSpec(Stat.TOKEN))

    (g,) = Engine(tiny_model).generate([[]], SubCoroutine())
    assert (g.error, g.canvas_ids, g.ledger.total.seconds) == (None, [], 0.0)


def test_a_text_is_one_users_turn_in_the_chat_template(tiny_model: MaskPredictor):
    text = "What is 2 plus 2?"
    tokenizer = tiny_model.tokenizer
    ids = tokenizer.encode(tokenizer.chat_text([("user", text)]), templated=True)
    policy = build_policy("fixed", length=8)
    (of_text,) = Engine(tiny_model).generate([text], policy)
    (of_ids,) = Engine(tiny_model).generate([ids], policy)
    assert of_text.prompt_ids == ids
    assert of_text.canvas_ids == of_ids.canvas_ids


def test_a_single_text_is_refused(tiny_model: MaskPredictor):
    with pytest.raises(UserError, match=r"prompts must be a list; found one text, 'What is 2\?'"):
        Engine(tiny_model).generate("What is 2?", build_policy("fixed", length=8))


def test_model_and_engine_show_themselves_in_a_line(tiny_model: MaskPredictor):
    assert repr(tiny_model).startswith("<MaskPredictor ")
    shown = repr(Engine(tiny_model, 2048, seed=3))
    assert "max_batch_tokens 2,048, seed 3" in shown
    assert len(shown) < 300
