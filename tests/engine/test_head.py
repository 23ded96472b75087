"""The head's statistics, compared with their definitions in float64."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Stat, StatSpec
from dlm_length.engine.counter_rng import gumbel, position_keys, sample_key
from dlm_length.engine.head import (
    _argmax,
    _chunks,
    _confidence,
    _nucleus,
    _nucleus_exactly,
    _reduce,
    _reduce_in_one_pass,
    _row_sums,
    statistics,
)

TOKENS = SpecialTokens(mask=0, eos=3, eot=5)
ALL = (
    Stat.TOKEN
    | Stat.CONFIDENCE
    | Stat.EOS
    | Stat.EOT
    | Stat.MARGIN
    | Stat.ENTROPY
    | Stat.BEST_UNMASKED
    | Stat.LOGIT_GAP
    | Stat.UNIFORM
)
VOCABULARY = 40


def keys(rows: int) -> np.ndarray:
    return position_keys(sample_key(0, "s"), 1, np.arange(rows))


def ask(logits: torch.Tensor, head: StatSpec, chunk_bytes: int = 10**9) -> Answer:
    """Statistics of given logits: the head is the identity."""
    rows = torch.arange(len(logits))
    return statistics(
        torch.clone, logits, rows, head, TOKENS, keys(len(logits)), vocabulary=logits.shape[1], chunk_bytes=chunk_bytes
    ).answer()


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def random_logits(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("suppress", [(), (3,), (3, 5)])
@pytest.mark.parametrize("without", [(), (3, 5)])
def test_every_statistic_is_what_its_name_says(suppress: tuple[int, ...], without: tuple[int, ...]):
    logits = random_logits(23)
    answer = ask(logits, StatSpec(ALL, suppress=suppress, confidence_without=without))
    wide = logits.double().numpy().copy()
    wide[:, list(suppress)] = -np.inf
    p = softmax(wide)
    token = wide.argmax(-1)
    np.testing.assert_array_equal(answer.token, token)
    np.testing.assert_allclose(answer.eos, p[:, 3], atol=1e-6)
    np.testing.assert_allclose(answer.eot, p[:, 5], atol=1e-6)
    others = wide.copy()
    others[:, TOKENS.mask] = -np.inf
    np.testing.assert_array_equal(answer.unmasked_token, others.argmax(-1))
    np.testing.assert_allclose(answer.unmasked_confidence, softmax(others).max(-1), atol=1e-6)
    best = np.sort(wide, axis=-1)
    np.testing.assert_allclose(answer.logit_gap, best[:, -1] - best[:, -2], atol=1e-5)
    wide[:, list(without)] = -np.inf
    q = softmax(wide)
    np.testing.assert_allclose(answer.confidence, q[np.arange(23), token], atol=1e-6)
    ranked = np.sort(q, axis=-1)
    np.testing.assert_allclose(answer.margin, ranked[:, -1] - ranked[:, -2], atol=1e-6)
    np.testing.assert_allclose(answer.entropy, -(q * np.log(np.where(q > 0, q, 1))).sum(-1), atol=1e-5)


def test_a_predicted_end_has_confidence_zero_under_the_switch():
    logits = random_logits(4)
    logits[1, 3] = logits[2, 5] = 50
    answer = ask(logits, StatSpec(Stat.TOKEN | Stat.CONFIDENCE, confidence_without=TOKENS.ends))
    assert answer.token[1:3].tolist() == [3, 5]
    assert answer.confidence[1:3].tolist() == [0, 0]
    assert (answer.confidence[[0, 3]] > 0).all()


def test_statistics_that_were_not_requested_are_empty():
    answer = ask(random_logits(3), StatSpec(Stat.EOS))
    assert answer.eos.shape == (3,)
    assert all(getattr(answer, name).size == 0 for name in ("token", "confidence", "margin", "uniform", "eot"))


def test_without_an_eot_token_its_probability_is_zero():
    logits = random_logits(3)
    tokens = SpecialTokens(mask=0, eos=3)
    pending = statistics(
        torch.clone,
        logits,
        torch.arange(3),
        StatSpec(Stat.EOT),
        tokens,
        keys(3),
        vocabulary=VOCABULARY,
        chunk_bytes=10**9,
    )
    assert pending.answer().eot.tolist() == [0, 0, 0]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("chunk_bytes", [1, 20 * VOCABULARY * 4, 33 * VOCABULARY * 4 * 6, 10**9])
def test_chunks_change_no_statistic(temperature: float, chunk_bytes: int):
    logits = random_logits(101)
    head = StatSpec(ALL, temperature=temperature, confidence_without=(3,))
    whole = ask(logits, head)
    cut = ask(logits, head, chunk_bytes=chunk_bytes)
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name), err_msg=name)


def test_gumbel_max_is_llada_s_sampler():
    """argmax of exp(l) / (-log u)^T in float64, with the same uniforms; confidences are never noised."""
    logits, temperature = random_logits(30), 0.7
    answer = ask(logits, StatSpec(Stat.TOKEN | Stat.CONFIDENCE, temperature=temperature))
    exponential = np.exp(-gumbel(keys(30), VOCABULARY, torch.device("cpu")).numpy())  # -log u
    expected = (np.exp(logits.double().numpy()) / exponential**temperature).argmax(-1)
    np.testing.assert_array_equal(answer.token, expected)
    assert (answer.token != logits.argmax(-1).numpy()).any(), "a temperature that never shows tests nothing"
    p = softmax(logits.double().numpy())
    np.testing.assert_allclose(answer.confidence, p[np.arange(30), expected], atol=1e-6)


def test_sampling_follows_the_softmax_at_that_temperature():
    row = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    n, temperature = 40_000, 0.8
    answer = ask(row.expand(n, 4).contiguous(), StatSpec(Stat.TOKEN, temperature=temperature))
    expected = softmax(row.double().numpy() / temperature)[0]
    observed = np.bincount(answer.token, minlength=4) / n
    assert (np.abs(observed - expected) < 4 * np.sqrt(expected * (1 - expected) / n)).all()


def test_half_precision_logits_are_reduced_in_float32():
    logits = random_logits(20)
    answer = ask(logits.bfloat16(), StatSpec(Stat.CONFIDENCE | Stat.TOKEN))
    p = softmax(logits.bfloat16().double().numpy())
    np.testing.assert_allclose(answer.confidence, p.max(-1), atol=1e-6)


@given(
    seed=st.integers(0, 1000),
    vocabulary=st.sampled_from([1, 5, 64, 65, 128, 192]),
    levels=st.sampled_from([1, 2, 5, 1000]),
)
@settings(max_examples=60)
def test_argmax_is_argmax_ties_included(seed: int, vocabulary: int, levels: int):
    logits = torch.randint(0, levels, (9, vocabulary), generator=torch.Generator().manual_seed(seed)).float()
    assert torch.equal(_argmax(logits), torch.from_numpy(logits.numpy().argmax(-1)))


def peak_bytes(rows: int, head: StatSpec) -> int:
    """The most that was allocated at once while the statistics of `rows` positions were computed."""
    vocabulary, width = 4096, 8
    weight, hidden = torch.randn(vocabulary, width), torch.randn(rows, width)
    chunk_bytes = 64 * vocabulary * 4 * (6 if head.temperature else 1)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        statistics(
            lambda x: x @ weight.T,
            hidden,
            torch.arange(rows),
            head,
            TOKENS,
            keys(rows),
            vocabulary=vocabulary,
            chunk_bytes=chunk_bytes,
        )
    events = profiler.profiler.kineto_results.events()  # the public list leaves out what happens inside an operation
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    assert changes, "the profiler saw no allocation"
    return int(np.cumsum([change for _, change in sorted(changes, key=lambda c: c[0])]).max())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_memory_peak_does_not_grow_with_the_batch(temperature: float):
    head = StatSpec(ALL, temperature=temperature, confidence_without=(3,))
    one_chunk = peak_bytes(64, head)
    assert one_chunk > 64 * 4096 * 4
    assert peak_bytes(64 * 16, head) < 1.1 * one_chunk
    assert peak_bytes(64 * 16, StatSpec(ALL, temperature=temperature)) < 1.1 * one_chunk


def test_rows_are_in_the_order_of_the_request():
    logits, rows = random_logits(9), torch.tensor([7, 0, 7, 3])
    pending = statistics(
        torch.clone, logits, rows, StatSpec(Stat.TOKEN), TOKENS, keys(4), vocabulary=VOCABULARY, chunk_bytes=1
    )
    assert pending.answer().token.tolist() == logits[rows].argmax(-1).tolist()


@pytest.mark.parametrize(("rows", "size", "multiple"), [(0, 5, 1), (11, 4, 1), (11, 4, 3), (11, 4, 8), (6, 4, 2)])
def test_chunks_hold_every_row_once_and_whole_multiples_where_these_fit(rows: int, size: int, multiple: int):
    chunks = list(_chunks(rows, size, multiple))
    assert [row for start, end in chunks for row in range(start, end)] == list(range(rows))
    assert all(end - start <= size for start, end in chunks)
    if 1 < multiple <= size:
        assert all((end - start) % multiple == 0 for start, end in chunks[:-1])


def by_row(logits: torch.Tensor, *, more: bool) -> tuple[torch.Tensor, ...]:
    """What the kernel computes, by torch."""
    highest = logits.float().max(-1, keepdim=True).values
    shifted = logits.float() - torch.where(highest == -torch.inf, 0.0, highest)
    e = shifted.exp()
    second = logits.float().topk(2).values[:, 1]
    return (
        logits.argmax(-1),
        logits.float().max(-1).values,
        e.scatter(1, logits.argmax(-1, keepdim=True), 0).sum(-1),
        second if more else torch.full_like(second, torch.nan),
        torch.where(e > 0, shifted * e, 0).sum(-1) if more else torch.full_like(second, torch.nan),
    )


@pytest.mark.parametrize("want", [*Stat, ALL & ~Stat.UNIFORM, Stat.TOKEN | Stat.CONFIDENCE])
@pytest.mark.parametrize("suppress", [(), (3,)])
@pytest.mark.parametrize("without", [(), (3, 5)])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_one_pass_over_the_logits_gives_what_the_softmax_does(want, suppress, without, temperature: float):
    head = StatSpec(want, suppress=suppress, confidence_without=without, temperature=temperature)
    logits = random_logits(20)
    logits[4, 3] = logits[5, TOKENS.mask] = 30
    expected = dict(_reduce(logits.clone(), head, TOKENS, keys(20)))
    found = dict(_reduce_in_one_pass(by_row, logits.clone(), head, TOKENS, keys(20)))
    assert found.keys() == expected.keys()
    for name, values in found.items():
        torch.testing.assert_close(values, expected[name], atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize("reduce", [_reduce, partial(_reduce_in_one_pass, by_row)])
def test_confidences_near_1_are_those_of_a_softmax_in_float64(reduce):
    """In float32 all of these are 1: which of several saturated predictions is committed first would be an accident."""
    logits = torch.zeros(16, VOCABULARY)
    logits[:, TOKENS.eos] = torch.arange(22.0, 38.0)
    want = Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS | Stat.BEST_UNMASKED
    answer = dict(reduce(logits.clone(), StatSpec(want), TOKENS, keys(16)))
    expected = logits.double().softmax(-1)[:, TOKENS.eos]
    assert expected.float().unique().tolist() == [1.0]
    torch.testing.assert_close(1 - answer["confidence"], 1 - expected, atol=1e-15, rtol=1e-5)
    assert torch.equal(answer["eos"], answer["confidence"])
    without_mask = 38 / 39 * (1 - expected)
    torch.testing.assert_close(1 - answer["unmasked_confidence"], without_mask, atol=1e-15, rtol=1e-5)


@pytest.mark.parametrize("reduce", [_reduce, partial(_reduce_in_one_pass, by_row)])
@pytest.mark.parametrize("kept", [{"top_k": 2}, {"top_p": 0.5}])
def test_a_position_that_keeps_only_ends_is_ranked_last_and_one_that_keeps_only_mask_has_another_token(reduce, kept):
    logits = random_logits(3)
    logits[0, 3] = logits[0, 5] = logits[1, TOKENS.mask] = logits[1, 9] = 50
    head = StatSpec(ALL & ~Stat.UNIFORM, confidence_without=TOKENS.ends, **kept)
    answer = dict(reduce(logits.clone(), head, TOKENS, keys(3)))
    assert not any(values.isnan().any() for values in answer.values())
    assert answer["token"].tolist()[:2] == [3, TOKENS.mask]
    assert answer["confidence"][0] == answer["margin"][0] == 0
    assert answer["entropy"][0] == torch.inf
    others = logits[:2].index_fill(1, torch.tensor(TOKENS.mask), -torch.inf)
    assert answer["unmasked_token"].tolist()[:2] == others.argmax(-1).tolist()


def test_statistics_of_a_single_row_are_those_that_it_has_in_a_batch():
    """A long row alone would be summed in parts by several threads."""
    logits = torch.randn(6, 126_464, generator=torch.Generator().manual_seed(1)) * 6
    logits[:, 9] = 30.0
    head, threads = StatSpec(Stat.TOKEN | Stat.CONFIDENCE | Stat.ENTROPY), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = dict(_reduce(logits.clone(), head, TOKENS, keys(6)))
        alone = [dict(_reduce(row[None].clone(), head, TOKENS, keys(1))) for row in logits]
    finally:
        torch.set_num_threads(threads)
    for name, values in together.items():
        assert torch.equal(torch.cat([one[name] for one in alone]), values), name


def dreams_softmax(logits: torch.Tensor, temperature: float, top_p: float | None, top_k: int | None) -> torch.Tensor:
    """The distribution that `sample_tokens` of Dream's generation_utils.py draws from, written out."""
    logits = logits / temperature if temperature > 0 else logits.clone()
    if top_p is not None and top_p < 1:
        ranked, order = logits.sort(descending=True)
        removed = ranked.softmax(-1).cumsum(-1) > top_p
        removed[..., 1:] = removed[..., :-1].clone()
        removed[..., 0] = False
        logits = logits.masked_fill(torch.zeros_like(removed).scatter(-1, order, removed), -torch.inf)
    if top_k is not None:
        logits = logits.masked_fill(logits < logits.topk(top_k)[0][..., -1, None], -torch.inf)
    return logits.softmax(-1)


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k"),
    [(0.0, 0.9, None), (0.1, 0.9, None), (0.7, 0.5, None), (1.5, None, 7), (1.5, 0.8, 4), (0.0, 1e-9, None)],
)
def test_dreams_probabilities_are_those_of_what_it_draws_from(
    temperature: float, top_p: float | None, top_k: int | None
) -> None:
    logits = random_logits(50)
    p = dreams_softmax(logits.double(), temperature, top_p, top_k)
    head = StatSpec(ALL, temperature=temperature, top_p=top_p, top_k=top_k, tempered=True)
    answer = ask(logits.clone(), head)
    drawn = p[torch.arange(50), torch.from_numpy(answer.token)].numpy()
    assert (drawn > 0).all(), "a token outside the nucleus was drawn"
    np.testing.assert_allclose(answer.confidence, drawn, atol=1e-5)
    best = p.topk(2).values.numpy()
    np.testing.assert_allclose(answer.margin, best[:, 0] - best[:, 1], atol=1e-5)
    np.testing.assert_allclose(-answer.entropy, (p * (p + 1e-10).log()).sum(-1).numpy(), atol=1e-4)
    if temperature == 0:
        np.testing.assert_array_equal(answer.token, logits.argmax(-1).numpy())


def test_tokens_are_drawn_in_proportion_to_dreams_probabilities() -> None:
    rows = 20_000
    logits = random_logits(1, seed=3).expand(rows, VOCABULARY)
    p = dreams_softmax(logits[:1].double(), 1.3, 0.95, None)[0].numpy()
    answer = ask(logits.clone(), StatSpec(Stat.TOKEN, temperature=1.3, top_p=0.95, tempered=True))
    counts = np.bincount(answer.token, minlength=VOCABULARY)
    assert not counts[p == 0].any()
    expected = rows * p[p > 0]
    statistic = ((counts[p > 0] - expected) ** 2 / expected).sum()
    assert statistic < 3 * len(expected), "the chi-square statistic is near its degrees of freedom"


def test_untempered_confidences_are_not_those_of_the_temperature() -> None:
    logits = random_logits(30)
    tempered, plain = (
        ask(logits.clone(), StatSpec(Stat.TOKEN | Stat.CONFIDENCE, temperature=0.5, tempered=tempered))
        for tempered in (True, False)
    )
    p = softmax(logits.double().numpy())
    np.testing.assert_allclose(plain.confidence, p[np.arange(30), plain.token], atol=1e-6)
    assert not np.allclose(tempered.confidence, plain.confidence)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mass", [1e-9, 0.5, 0.95, 1.0])
def test_the_nucleus_by_integers_is_that_by_probabilities(dtype: torch.dtype, mass: float) -> None:
    logits = torch.randn(50, 3000, generator=torch.Generator().manual_seed(2)) * 3
    logits[:, :5] = -torch.inf
    ranked = logits.to(dtype).sort(descending=True).values
    before = ranked.double().softmax(-1).cumsum(-1) - ranked.double().softmax(-1)
    clear = (before - mass).abs() > 1e-6
    for found in (_nucleus(ranked, mass), _nucleus_exactly(ranked, mass)):
        assert torch.equal(found[clear], (before <= mass)[clear])


@pytest.mark.parametrize("columns", [1, 2, 7, 64, 1001])
def test_row_sums_are_sums_and_do_not_depend_on_other_rows(columns: int) -> None:
    values = torch.randn(9, columns, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    sums = _row_sums(values)
    torch.testing.assert_close(sums, values.sum(-1), rtol=1e-12, atol=1e-12)
    assert torch.equal(_row_sums(values[4:5]), sums[4:5])


def test_confidences_over_a_large_vocabulary_keep_the_order_of_a_float64_softmax() -> None:
    """Over 126,000 tokens torch's float32 softmax is too high by up to 1e-4 near 1, and not evenly so."""
    logits = torch.randn(1, 126_000, generator=torch.Generator().manual_seed(0)).repeat(60, 1)
    logits[:, 5] = torch.linspace(13, 35, 60)
    exact = logits.double().softmax(-1)[:, 5]
    found = _confidence(logits.softmax(-1), torch.full((60,), 5))
    assert torch.allclose(found, exact, rtol=0, atol=5e-8)
    assert (found.diff() > 0).all()
    assert torch.allclose((1 - found)[:40], (1 - exact)[:40], rtol=1e-5, atol=1e-11)
