"""The decoders on hand-made answers: no model, small integers."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, Decoder, DenoiseCoroutine, FollowUp, Query, Stat

TOKENS = SpecialTokens(mask=0, eos=1, eot=2)
Model = Callable[[Query], Answer]


def decode(
    decoder: Decoder, length: int, model: Model, steps: int | None = None
) -> tuple[list[int], list[Query], list[list[int]]]:
    """Final canvas, the queries in order, and the positions each forward committed."""
    canvas = Canvas(4, TOKENS)
    canvas.append_masks(length)
    coroutine = decoder.decode(canvas, steps)
    queries, committed = [], []
    question = next(coroutine)
    while True:
        before = set(canvas.masked().tolist())
        queries.append(question)
        try:
            question = coroutine.send(model(question))
        except StopIteration:
            committed.append(sorted(before - set(canvas.masked().tolist())))
            return canvas.ids.tolist(), queries, committed
        committed.append(sorted(before - set(canvas.masked().tolist())))


def confident_towards_the_end(question: Query) -> Answer:
    """Token 10 + position everywhere; the later the position the surer."""
    p = question.positions
    return Answer(
        token=p + 10,
        confidence=p / 100,
        margin=p / 200,
        entropy=1 - p / 100,
        uniform=p / 300,
        unmasked_token=p + 10,
        unmasked_confidence=p / 100,
    )


def test_one_token_a_forward_most_confident_first():
    ids, queries, committed = decode(Decoder(), 4, confident_towards_the_end)
    assert ids == [10, 11, 12, 13]
    assert committed == [[3], [2], [1], [0]]
    assert [q.positions.tolist() for q in queries] == [[0, 1, 2, 3], [0, 1, 2], [0, 1], [0]]


def test_blocks_are_filled_left_to_right():
    _, queries, committed = decode(Decoder(block_length=2), 5, confident_towards_the_end)
    assert committed == [[1], [0], [3], [2], [4]]
    assert all(q.positions.max() < 2 for q in queries[:2])


@pytest.mark.parametrize(
    ("length", "block", "steps", "counts"),
    [
        (10, None, 4, [3, 3, 2, 2]),  # m // s, one more while k < m % s
        (8, 4, 4, [2, 2, 2, 2]),
        (8, 4, 2, [4, 4]),
        (6, 4, 3, [2, 2, 2]),  # a short last block takes its share of the steps
        (7, 3, 3, [3, 3, 1]),
    ],
)
def test_schedule_of_llada(length: int, block: int | None, steps: int, counts: list[int]):
    _, _, committed = decode(Decoder(block_length=block), length, confident_towards_the_end, steps)
    assert [len(c) for c in committed] == counts


def test_tokens_per_step_says_the_same_as_steps():
    by_rate = decode(Decoder(tokens_per_step=2, block_length=4), 8, confident_towards_the_end)
    by_steps = decode(Decoder(block_length=4), 8, confident_towards_the_end, 4)
    assert by_rate[0] == by_steps[0]
    assert by_rate[2] == by_steps[2]


@pytest.mark.parametrize(
    ("remasking", "want"),
    [("low_confidence", Stat.CONFIDENCE), ("random", Stat.UNIFORM), ("margin", Stat.MARGIN), ("entropy", Stat.ENTROPY)],
)
def test_each_remasking_ranks_by_its_own_statistic(remasking: str, want: Stat):
    favourite = {"low_confidence": 2, "random": 0, "margin": 1, "entropy": 3}[remasking]

    def model(question: Query) -> Answer:
        rank = {
            name: question.positions == place
            for name, place in (("low_confidence", 2), ("random", 0), ("margin", 1), ("entropy", 3))
        }
        return Answer(
            token=np.full(len(question.positions), 9),
            confidence=rank["low_confidence"] * 1.0,
            uniform=rank["random"] * 1.0,
            margin=rank["margin"] * 1.0,
            entropy=1.0 - rank["entropy"],
        )

    _, queries, committed = decode(Decoder(remasking=remasking), 4, model)
    assert queries[0].head.want == Stat.TOKEN | want
    assert committed[0] == [favourite]


def test_equal_scores_go_to_the_earlier_position():
    flat = lambda q: Answer(token=np.full(len(q.positions), 9), confidence=np.ones(len(q.positions)))  # noqa: E731
    _, _, committed = decode(Decoder(), 3, flat)
    assert committed == [[0], [1], [2]]


def test_switches_reach_the_head_and_only_where_set():
    _, (plain, *_), _ = decode(Decoder(), 1, confident_towards_the_end)
    assert (plain.head.suppress, plain.head.confidence_without, plain.head.temperature) == ((), (), 0.0)
    decoder = Decoder(logits_eos_inf=True, confidence_eos_eot_inf=True, temperature=0.7)
    _, (switched, *_), _ = decode(decoder, 1, confident_towards_the_end)
    assert switched.head.suppress == (1,)
    assert switched.head.confidence_without == (1, 2)
    assert switched.head.temperature == 0.7


@pytest.mark.parametrize("remasking", ["margin", "entropy"])
def test_predicted_ends_come_last_under_the_confidence_switch(remasking: str):
    def model(question: Query) -> Answer:
        ends = question.positions < 2
        sure = np.where(ends, 1.0, 0.5)
        return Answer(token=np.where(ends, 1, 9), margin=sure, entropy=1 - sure, confidence=sure)

    _, _, free = decode(Decoder(remasking=remasking), 4, model)
    _, _, switched = decode(Decoder(remasking=remasking, confidence_eos_eot_inf=True), 4, model)
    assert free[:2] == [[0], [1]]
    assert switched == [[2], [3], [0], [1]]


def test_threshold_commits_all_that_pass_and_always_one():
    def model(question: Query) -> Answer:
        confidence = np.array([0.95, 0.3, 0.92, 0.9])[question.positions]
        return Answer(token=question.positions + 10, confidence=confidence)

    ids, _, committed = decode(Decoder(threshold=0.9), 4, model)
    assert committed == [[0, 2, 3], [1]], "Fast-dLLM's comparison is >=: 0.9 passes 0.9"
    assert ids == [10, 11, 12, 13]


def test_a_threshold_of_1_commits_every_position_that_is_certain():
    """Where float64 has the confidence as exactly 1.0; AdaBlock calls this setting its top-1 mode."""

    def model(question: Query) -> Answer:
        confidence = np.array([1.0, 0.5, 1.0, np.nextafter(1.0, 0.0)])[question.positions]
        return Answer(token=question.positions + 10, confidence=confidence)

    assert decode(Decoder(threshold=1.0), 4, model)[2] == [[0, 2], [3], [1]]


@pytest.mark.parametrize("decoder", [Decoder(), Decoder(threshold=0.5), Decoder(block_length=2, tokens_per_step=2)])
def test_a_model_that_predicts_mask_still_ends_without_masks(decoder: Decoder):
    def stubborn(question: Query) -> Answer:
        count = len(question.positions)
        return Answer(
            token=np.full(count, TOKENS.mask),
            confidence=np.ones(count),
            unmasked_token=question.positions + 10,
            unmasked_confidence=question.positions / 100,
        )

    ids, queries, _ = decode(decoder, 4, stubborn)
    assert ids == [10, 11, 12, 13]
    assert any(q.head.want == Stat.BEST_UNMASKED for q in queries)


@pytest.mark.parametrize(
    ("decoder", "expected"),
    [
        (Decoder(block_length=2), [[0, 1], [0], [3]]),
        (Decoder(block_length=3), [[0, 1], [0], [3]]),
        (Decoder(), [[0, 1, 3], [0, 1], [0]]),
        (Decoder(block_length=2, tokens_per_step=4), [[0, 1], [3]]),
        (Decoder(block_length=2, threshold=0.0), [[1], [3]]),
    ],
    ids=["blocks", "short last block", "one block", "tokens_per_step", "threshold"],
)
def test_what_is_committed_already_costs_no_forward(decoder: Decoder, expected: list[list[int]]):
    """As behind DAEDAL's first stage, which leaves EOS at the end of its canvas: blocks of nothing else are passed."""
    canvas = Canvas(4, TOKENS)
    canvas.append_masks(4)
    canvas.commit(np.array([2]), np.array([5]))
    canvas.append_eos(5)
    if decoder.threshold is not None:
        canvas.commit(np.array([0]), np.array([6]))
    coroutine = decoder.decode(canvas)
    questions, question = [], next(coroutine)
    while question is not None:
        questions.append(question.positions.tolist())
        question = _sent(coroutine, confident_towards_the_end(question))
    assert questions == expected
    assert canvas.ids.tolist() == [canvas.ids[0], 11, 5, 13, *[TOKENS.eos] * 5]


def _sent(coroutine: DenoiseCoroutine, answer: Answer) -> Query | FollowUp | None:
    try:
        return coroutine.send(answer)
    except StopIteration:
        return None


@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 24),
    block=st.none() | st.integers(1, 30),
    threshold=st.none() | st.floats(0, 1),
    remasking=st.sampled_from(["low_confidence", "random", "margin", "entropy"]),
)
def test_whatever_the_model_says_every_mask_is_committed_once(
    seed: int, length: int, block: int | None, threshold: float | None, remasking: str
):
    rng = np.random.default_rng(seed)
    seen: dict[int, int] = {}

    def model(question: Query) -> Answer:
        canvas_ids = question.canvas.ids.tolist() if isinstance(question, Query) else []
        for position, token in enumerate(canvas_ids):
            if token != TOKENS.mask:
                assert seen.setdefault(position, token) == token, "a committed token changed"
        count = len(question.positions)
        numbers = {
            name: rng.random(count) for name in ("confidence", "margin", "entropy", "uniform", "unmasked_confidence")
        }
        return Answer(token=rng.integers(0, 5, count), unmasked_token=rng.integers(1, 5, count), **numbers)

    decoder = Decoder(
        block_length=block, threshold=threshold, remasking="low_confidence" if threshold is not None else remasking
    )
    ids, queries, committed = decode(decoder, length, model)
    assert TOKENS.mask not in ids
    assert sorted(p for places in committed for p in places) == list(range(length))
    assert all(len(q.positions) for q in queries), "a forward without a question"


@given(length=st.integers(1, 64), block=st.integers(1, 64), data=st.data())
def test_steps_are_kept_exactly(length: int, block: int, data: st.DataObject):
    decoder = Decoder(block_length=block)
    steps = data.draw(st.integers(decoder.block_count(length), length))
    _, queries, committed = decode(decoder, length, confident_towards_the_end, steps)
    assert all(committed), "a forward that commits nothing"
    assert len(queries) >= decoder.block_count(length)
    if length % block == 0 and steps % (length // block) == 0:
        assert len(queries) == steps


def uniform_of(seed: int) -> Model:
    """A model that is equally sure everywhere, with seeded uniform numbers."""
    rng = np.random.default_rng(seed)

    def model(question: Query) -> Answer:
        count = len(question.positions)
        return Answer(
            token=question.positions + 10,
            confidence=question.positions / 10,
            entropy=1 - question.positions / 10,
            uniform=rng.random(count),
            unmasked_token=question.positions + 10,
            unmasked_confidence=np.full(count, 0.5),
        )

    return model


def test_origin_commits_every_mask_with_dreams_probability():
    decoder = Decoder(schedule="origin", remasking="random", eps=0.2)
    first = []
    for seed in range(400):
        ids, queries, committed = decode(decoder, 20, uniform_of(seed), steps=4)
        assert 0 not in ids
        assert len(queries) <= 4
        first.append(len(committed[0]))
    assert abs(np.mean(first) - 20 * 0.2) < 0.3, "1 - t1 / t0 = 0.2, with t from 1 to 0.2 in four steps"
    assert len(set(first)) > 3


def test_alg_temp_draws_positions_in_proportion_to_the_softmax_of_what_ranks_them():
    decoder = Decoder(remasking="low_confidence", alg_temp=0.1)
    firsts = np.array([decode(decoder, 3, uniform_of(seed))[2][0][0] for seed in range(3000)])
    weights = np.exp(np.arange(3) / 10 / 0.1)
    shares = np.bincount(firsts, minlength=3) / len(firsts)
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)


def test_at_alg_temp_0_the_best_are_taken_and_no_number_is_requested():
    _, queries, committed = decode(Decoder(alg_temp=0.0), 3, uniform_of(0))
    assert committed == [[2], [1], [0]]
    assert not any(Stat.UNIFORM in query.head.want for query in queries)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"schedule": "origin"}, "choose remasking random"),
        ({"schedule": "origin", "remasking": "random", "threshold": 0.9}, "threshold decoding"),
        ({"alg_temp": 0.5, "threshold": 0.9}, "alg_temp draws as many positions as a schedule says"),
        ({"alg_temp": 0.5, "remasking": "random"}, "leave alg_temp out"),
        ({"top_p": 0.0}, "greater than 0"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields: dict[str, object], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        Decoder(**fields)


def test_dreams_evaluation_is_its_preset_with_a_temperature_and_a_nucleus():
    head = Decoder(preset="dream", temperature=0.1, top_p=0.9)._head(Canvas(1, TOKENS))
    assert (head.temperature, head.top_p, head.tempered) == (0.1, 0.9, True)
    greedy = Decoder(preset="dream")._head(Canvas(1, TOKENS))
    assert (greedy.temperature, greedy.tempered) == (0.0, False)
