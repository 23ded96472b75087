"""Every registered policy in one batch: a sample's tokens and costs do not depend on the others."""

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.denoising import Answer, Canvas, DenoiseCoroutine, Denoiser, Query, Stat, StatSpec
from dlm_length.engine import Generation
from dlm_length.policies import policies

GROW = {"initial_length": 6, "max_length": 24, "expansion_factor": 4, "eos_window": 6, "block_length": 6}
CARVE = {"initial_length": 8, "max_length": 20, "insert": 3, "window": 4, "block_length": 6}
INSERT = {"tau_low": 0.5, "tau_high": 0.7, "tau_expand": 1.0}
POLICIES: list[tuple[str, dict]] = [
    ("block_extend", {"length": 14, "block_length": 4}),
    ("block_causal", {"length": 14, "block_length": 4, "loop": "llada2", "threshold": 0.4}),
    ("block_causal", {"length": 14, "block_length": 4, "loop": "sdar"}),
    ("block_causal", {"length": 14, "block_length": 4, "loop": "bd3lm", "schedule": "mdlm"}),
    ("carve", {**CARVE, "tau_js": 0.05, "interval": 2}),
    ("carve", {**CARVE, "tau_js": 0.6, "interval": 4, "remasking": "entropy", "include_eot": True}),
    ("composed", {"length_from": "initial_adjustment", "then": "schedule", "tau_eos": 0.3, **GROW}),
    ("composed", {"length": 14, "max_length": 20, "block_length": 6, "expansion_factor": 3, **INSERT}),
    ("crop_insert", {"length": 14, "max_length": 24, "block_length": 6, "tau": 0.5, "expansion_factor": 3, **INSERT}),
    ("daedal", {**GROW, **INSERT}),
    ("daedal", {**GROW, **INSERT, "stages": "insertion", "eos_scan": "window"}),
    ("fixed", {"length": 10, "block_length": 4}),
    ("fixed", {"length": 10, "steps": 12, "preset": "dream", "top_k": 9}),
    ("fixed", {"length": 10, "steps": 5, "schedule": "quota", "threshold": 0.3}),
    ("fixed", {"length": 12, "block_length": 4, "stop": "crop_fill", "stop_tokens": "eos_eot"}),
    ("fixed", {"length": 12, "block_length": 4, "early_commit": "sched", "remasking": "random", "sched_patience": 3}),
    (
        "fixed",
        {
            "length": 12,
            "block_length": 6,
            "factor": 1.0,
            "stop": "cut",
            "early_commit": "prophet",
            "prophet_gaps": (4, 3, 2),
        },
    ),
    ("fixed", {"length": 16, "blocks": "adaptive", "threshold": 0.3, "low_threshold": 0.1, "delimiters": (17, 34)}),
    ("length_search", {"length": 14, "initial_length": 5, "span": 2, "patience": 2}),
    ("length_search", {"length": 20, "criterion": "lr", "block_length": 6, "candidates": [9, 20]}),
    ("length_search", {"length": 14, "criterion": "entropy", "candidates": [5, 9, 14]}),
    ("oracle", {"block_length": 5, "tokens_per_step": 2}),
    ("perturbed", {"length": 16, "tau": 0.5, "delta": -0.4}),
    ("random_length", {"length": 16, "remasking": "margin"}),
    ("rho_eos", {"initial_length": 10, "max_length": 24, "unit": 2, "block_length": 5}),
    ("rho_eos", {"initial_length": 8, "max_length": 16, "unit": 3, "signal": "confidence", "eos_window": 6}),
    ("rho_eos", {"initial_length": 10, "max_length": 24, "unit": 2, "block_length": 5, "insert_at": "first_eos"}),
    ("smartcrop", {"length": 16, "tau": 0.5, "threshold": 0.6}),
    ("stop_at_eos", {"length": 14, "block_length": 4}),
]
NEED_LENGTHS = ("oracle", "random_length")
PROMPTS = [np.random.default_rng(place).integers(4, 700, 5 + 6 * place).tolist() for place in range(3)]
"""Words in no order: the model is unsure, masks are inserted, and a temperature shows."""
PROMPTS[0] = [2, 352, 297, 262, 515, 34, 356, 310, 570, 17, 3]
SAMPLES = [
    (f"{place}/{name} {parameters}", prompt, i)
    for place, prompt in enumerate(PROMPTS)
    for i, (name, parameters) in enumerate(POLICIES)
]
"""(id, prompt, index of the policy). The id seeds random numbers, so that a new policy changes no sample of another."""


@cache
def policy(index: int, temperature: float) -> Denoiser:
    name, parameters = POLICIES[index]
    lengths = {"lengths": {sample: 5 + 3 * int(sample.partition("/")[0]) for sample, _, _ in SAMPLES}}
    return build_policy(name, temperature=temperature, **parameters, **(lengths if name in NEED_LENGTHS else {}))


def test_every_registered_policy_takes_part():
    assert {name for name, _ in POLICIES} == set(policies())


def run(engine: Engine, temperature: float, order: list[int] | None = None) -> dict[str, Generation]:
    chosen = [SAMPLES[i] for i in order or range(len(SAMPLES))]
    done = engine.generate(
        [prompt for _, prompt, _ in chosen],
        [policy(index, temperature) for _, _, index in chosen],
        sample_ids=[sample_id for sample_id, _, _ in chosen],
    )
    return {g.sample_id: g for g in done}


def summary(done: dict[str, Generation]) -> dict[str, tuple]:
    """Everything about each sample but the time it took."""
    return {
        name: (
            g.error,
            g.canvas_ids,
            g.trajectory,
            g.changes,
            [
                (cost.nfe, cost.head_rows, cost.length_sum, cost.flops_executed)
                for cost in (g.ledger.total, g.ledger.probe)
            ],
        )
        for name, g in done.items()
    }


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_different_policies_in_one_batch_change_nothing_for_each_other(tiny_model: MaskPredictor, temperature: float):
    """Alone, in twos and threes, and all at once in another order: while lengths part in the middle of a batch."""
    alone = run(Engine(tiny_model, 1, seed=5), temperature)
    assert not any(g.error for g in alone.values())
    while_denoising = {name: set(g.trajectory[g.ledger.probe.nfe :]) for name, g in alone.items()}
    moved = {POLICIES[index][0] for name, _, index in SAMPLES if len(while_denoising[name]) > 1}
    assert moved >= {"carve", "composed", "crop_insert", "daedal", "rho_eos"}, "lengths that never part test nothing"
    shuffled = random.Random(7).sample(range(len(SAMPLES)), len(SAMPLES))
    for budget, order in ((90, list(range(len(SAMPLES)))), (10**6, shuffled)):
        assert summary(run(Engine(tiny_model, budget, seed=5), temperature, order)) == summary(alone)


def test_every_policy_hands_its_temperature_on(tiny_model: MaskPredictor):
    greedy, warm = (run(Engine(tiny_model, seed=5), temperature) for temperature in (0.0, 2.0))
    differ = {index for name, _, index in SAMPLES if greedy[name].canvas_ids != warm[name].canvas_ids}
    assert differ == set(range(len(POLICIES)))


@dataclass
class Spied:
    """A policy, and the number of positions that each of its samples queries."""

    policy: Denoiser
    rows: Counter[str] = field(default_factory=Counter)

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        inner = self.policy.denoise(canvas)
        answer: Answer | None = None
        try:
            while True:
                question = next(inner) if answer is None else inner.send(answer)
                self.rows[canvas.sample_id] += question.head.head_rows(len(question.positions))
                answer = yield question
        except StopIteration:
            return


def test_the_ledger_counts_the_forwards_that_held_the_sample_and_the_rows_it_queried(tiny_model: MaskPredictor):
    """Counted at the model: sequences begin where positions begin anew, and each prompt tells its sample apart."""
    seen: dict[tuple[int, ...], list[int]] = {}

    class Watched(type(tiny_model)):
        def hidden(self, token_ids, positions, attend):
            starts = [*(positions == 0).nonzero()[:, 0].tolist(), len(positions)]
            for start, end in pairwise(starts):
                seen.setdefault(tuple(token_ids[start : start + 2].tolist()), []).append(end - start)
            return super().hidden(token_ids, positions, attend)

    rows: Counter[int] = Counter()
    whole: Counter[int] = Counter()
    spied = [Spied(policy(index, 0.0)) for _, _, index in SAMPLES]
    ids = [sample_id for sample_id, _, _ in SAMPLES]
    prompts = [[100 + place, 101, *prompt] for place, (_, prompt, _) in enumerate(SAMPLES)]
    for g in Engine(Watched(**vars(tiny_model)), 400).generate(prompts, spied, sample_ids=ids):
        lengths, total = seen[tuple(g.prompt_ids[:2])], g.ledger.total
        assert total.nfe == len(lengths)
        assert [length - len(g.prompt_ids) for length in lengths] == g.trajectory
        assert total.length_sum == sum(lengths)
        assert total.length_squared_sum == sum(length * length for length in lengths)
        assert total.head_rows == spied[g.index].rows[g.sample_id]
        rows[SAMPLES[g.index][2]] += total.head_rows
        whole[SAMPLES[g.index][2]] += sum(g.trajectory)
    early = {index for index, (_, parameters) in enumerate(POLICIES) if "early_commit" in parameters}
    within = {
        index: whole[index] * (2 if index in early else 1) for index in whole
    }  # logit gaps are queried in addition
    assert all(rows[index] <= within[index] for index in whole), (
        "no more than the reference implementations, which compute all"
    )
    assert rows.total() < 0.75 * whole.total()


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.5])
def test_a_canvas_that_was_cropped_is_decoded_like_one_that_began_so_short(
    tiny_model: MaskPredictor, temperature: float
):
    """Probes draw no random numbers: equal lengths get equal answers, however the length was found."""
    prompts = [*PROMPTS, *np.random.default_rng(8).integers(4, 700, (3, 24)).tolist()]
    settings = {"block_length": 6, "temperature": temperature}
    ids = [f"s{place}" for place in range(len(prompts))]

    def generated(policy: Denoiser | list[Denoiser]) -> dict[int, Generation]:
        return {g.index: g for g in Engine(tiny_model, seed=9).generate(prompts, policy, sample_ids=ids)}

    cropped = generated(build_policy("smartcrop", length=20, tau=0.6, **settings))
    assert len({g.n_token for g in cropped.values()}) > 2
    lengths = [cropped[index].n_token for index in range(len(prompts))]
    begun_short = generated([build_policy("fixed", length=length, **settings) for length in lengths])
    for index, short in begun_short.items():
        probed = cropped[index]
        assert short.canvas_ids == probed.canvas_ids
        assert [20, *short.trajectory] == probed.trajectory
        assert short.ledger.total.nfe == probed.ledger.total.nfe - 1
        assert short.ledger.total.head_rows == probed.ledger.total.head_rows - 20
    if temperature > 1:
        greedy = generated([build_policy("fixed", length=length, block_length=6) for length in lengths])
        assert any(greedy[index].canvas_ids != short.canvas_ids for index, short in begun_short.items())


def test_the_first_stage_of_daedal_draws_no_random_numbers_either(tiny_model: MaskPredictor):
    settings = {"max_length": 24, "block_length": 24, "eos_window": 6, "temperature": 0.9}
    found = build_policy("daedal", initial_length=4, expansion_factor=4, tau_eos=1.0, **settings)
    given = build_policy("daedal", initial_length=24, stages="insertion", **settings)
    ids = ["a", "b", "c"]
    grown, begun = (
        {g.index: g for g in Engine(tiny_model).generate(PROMPTS, how, sample_ids=ids)} for how in (found, given)
    )
    for index, g in grown.items():
        assert g.ledger.probe.nfe == 6, "no confidence is enough, so every step to the longest canvas was taken"
        assert g.canvas_ids == begun[index].canvas_ids


def test_a_question_about_no_position_is_answered_with_nothing(tiny_model: MaskPredictor):
    """A query without positions, as rho-EOS makes after a contraction, in a batch with queries of several."""
    answers: list[Answer] = []

    class Nothing:
        def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
            canvas.append_masks(3)
            canvas.commit(canvas.all, np.array([7, 8, 9]))
            everything = Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS | Stat.BEST_UNMASKED | Stat.MARGIN
            answers.append((yield Query(canvas, canvas.masked(), StatSpec(everything, temperature=0.5))))

    done = {g.index: g for g in Engine(tiny_model).generate([[5, 6], [5, 6]], [Nothing(), policy(7, 0.0)])}
    assert [len(answers[0].token), len(answers[0].confidence), len(answers[0].unmasked_token)] == [0, 0, 0]
    assert (done[0].ledger.total.nfe, done[0].ledger.total.head_rows) == (1, 0)
    (alone,) = Engine(tiny_model).generate([[5, 6]], policy(7, 0.0))
    assert done[1].canvas_ids == alone.canvas_ids
