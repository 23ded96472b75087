"""The results of scripts/gpu_check.py as tests. Skipped without a CUDA device."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import families
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.common import SpecialTokens
from dlm_length.denoising import Stat, StatSpec
from dlm_length.engine.attention import ATTENTIONS, best_attention, cached_attention, masked_attention
from dlm_length.engine.counter_rng import position_keys
from dlm_length.engine.energy import find_meter
from dlm_length.engine.head import statistics
from dlm_length.models import fused

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
GOLDEN = Path(__file__).parents[1] / "golden"
CASES = [json.loads(line) for line in (GOLDEN / "cases.jsonl").read_text().splitlines()]
CACHED = [json.loads(line) for line in (GOLDEN / "caches" / "cases.jsonl").read_text().splitlines()]
POLICY = {"llada_fixed": "fixed", "fast_dllm_threshold": "fixed"}


def model(dtype: str, **options: bool) -> MaskPredictor:
    return load_model("embedded:llada-tiny", device="cuda", dtype=dtype, **options)


def answers(engine: Engine, cases: list[dict]) -> dict[str, tuple]:
    policies = [build_policy(POLICY.get(case["method"], case["method"]), **case["params"]) for case in cases]
    done = engine.generate([case["prompt_ids"] for case in cases], policies, sample_ids=[case["id"] for case in cases])
    return {g.sample_id: (g.canvas_ids, g.ledger.total.nfe, g.trajectory) for g in done}


@pytest.mark.parametrize("fused", [True, False])
def test_golden_cases_in_float32(fused: bool) -> None:
    found = answers(Engine(model("float32", fused=fused)), CASES)
    expected = {case["id"]: (case["canvas_ids"], case["nfe"], case["lengths"]) for case in CASES}
    assert sum(found[name] == expected[name] for name in expected) >= 134


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("fused", [True, False])
def test_answers_do_not_depend_on_the_batch_in_batch_invariant_mode(dtype: str, fused: bool) -> None:
    loaded = model(dtype, batch_invariant=True, fused=fused)
    cases = CASES[::17]
    shuffled = random.Random(0).sample(cases, len(cases))
    alone = answers(Engine(loaded, 1), cases)
    assert answers(Engine(loaded, 700), cases) == alone
    assert answers(Engine(loaded), shuffled) == alone


def test_varlen_attention_is_that_of_the_padded_oracle() -> None:
    loaded = model("bfloat16")
    assert best_attention(loaded) == "varlen"
    lengths = [3, 70, 1, 129]
    query, key, value = torch.randn(3, sum(lengths), 8, 32, device="cuda", dtype=torch.bfloat16)
    found, expected = (
        ATTENTIONS[kind](lengths, loaded.device)(query, key, value, 0.2) for kind in ("varlen", "padded")
    )
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [96, 256, 4096])
def test_fused_kernels_compute_what_torch_does(dtype: torch.dtype, width: int) -> None:
    triton, plain = fused.kernels_for(torch.device("cuda")), fused.kernels_for(torch.device("cpu"))
    assert triton is not plain
    eps = 4 * torch.finfo(dtype).eps

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, device="cuda", dtype=dtype)

    x, residual, weight = drawn(33, width), drawn(33, width), drawn(width)
    one, other = residual.clone(), residual.clone()
    torch.testing.assert_close(
        triton.add_rms_norm(x, one, weight, 1e-5), plain.add_rms_norm(x, other, weight, 1e-5), atol=4 * eps, rtol=eps
    )
    assert torch.equal(one, other)
    heads = width // 16
    qkv, angle = drawn(33, width), torch.randn(33, 8, device="cuda")
    one, other = qkv.clone(), qkv.clone()
    triton.rotate_(one, angle.cos(), angle.sin(), heads - 1)
    plain.rotate_(other, angle.cos(), angle.sin(), heads - 1)
    torch.testing.assert_close(one, other, atol=eps, rtol=eps)
    torch.testing.assert_close(triton.silu_mul(qkv), plain.silu_mul(qkv), atol=eps, rtol=eps)


def test_row_statistics_are_those_of_the_softmax() -> None:
    from dlm_length.models._kernels import row_statistics

    logits = torch.randn(40, 126_464, device="cuda", dtype=torch.bfloat16) * 4
    logits[:, 17] = -torch.inf
    logits[0, 100_000], logits[1, 3] = 60, 55  # in float32 these have probability 1
    token, highest, others, second, weighted = row_statistics(logits, more=True)
    total = 1 + others
    p = logits.double().softmax(-1)
    assert torch.equal(token, logits.float().argmax(-1))
    torch.testing.assert_close(1 / total.double(), p.max(-1).values, rtol=1e-5, atol=0)
    rest = p.scatter(1, token[:, None], 0).sum(-1)
    torch.testing.assert_close(others.double() / (1 + others.double()), rest, rtol=1e-4, atol=0)
    best, next_best = p.topk(2).values.unbind(-1)
    torch.testing.assert_close(
        ((1 - (second - highest).exp()) / total).double(), best - next_best, rtol=1e-5, atol=1e-7
    )
    entropy = torch.special.entr(p).sum(-1)
    torch.testing.assert_close((total.log() - weighted / total).double(), entropy, rtol=1e-4, atol=1e-5)
    logits[3, 5] = torch.nan
    assert row_statistics(logits, more=False)[2].isnan().nonzero().tolist() == [[3]]


@pytest.mark.parametrize("size", [32, 64, 80, 96, 128, 256])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (8, 2)])
@pytest.mark.parametrize("queries", [[1, 1, 1], [3, 1, 20]])
def test_kept_keys_and_values_are_read_as_by_the_padded_reference(
    size: int, heads: int, kv_heads: int, queries: list[int]
) -> None:
    """A sample's partial forward has fewer queries than keys; alone it rounds as in the batch."""
    keys, device = [40, 7, 300], torch.device("cuda", 0)
    query = torch.randn(sum(queries), heads, size, device=device, dtype=torch.bfloat16)
    key, value = (torch.randn(sum(keys), kv_heads, size, device=device, dtype=torch.bfloat16).split(keys) for _ in "kv")
    nothing = [None] * 3
    found, expected = (
        cached_attention(kind, queries, keys, nothing, device)(query, key, value, size**-0.5)
        for kind in ("varlen", "padded")
    )
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)
    alone = [
        cached_attention("varlen", [count], [length], [None], device)(q, [k], [v], size**-0.5)
        for count, length, q, k, v in zip(queries, keys, query.split(queries), key, value, strict=True)
    ]
    assert torch.equal(torch.cat(alone), found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_masked_attention_with_fewer_key_heads_is_that_of_the_cpu(dtype: torch.dtype) -> None:
    lengths, visible = [5, 33], [None, np.tril(np.ones((33, 33), dtype=bool))]
    drawn = [torch.randn(38, heads, 64, generator=torch.Generator().manual_seed(heads)) for heads in (8, 2, 2)]
    device = torch.device("cuda", 0)
    found = masked_attention(lengths, visible, device)(*(x.to(device, dtype) for x in drawn), 0.1)
    expected = masked_attention(lengths, visible, torch.device("cpu"))(*drawn, 0.1)
    torch.testing.assert_close(found.float().cpu(), expected, atol=8 * torch.finfo(dtype).eps, rtol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "head",
    [
        StatSpec(Stat.TOKEN | Stat.CONFIDENCE | Stat.ENTROPY | Stat.MARGIN, temperature=0.2, top_p=0.9, tempered=True),
        StatSpec(Stat.TOKEN | Stat.CONFIDENCE, temperature=1.0, top_k=50),
        StatSpec(Stat.DIVERGENCE),
    ],
    ids=["nucleus", "top k", "divergence"],
)
def test_statistics_of_a_row_do_not_depend_on_other_rows(head: StatSpec, dtype: torch.dtype) -> None:
    logits, against = torch.randn(2, 300, 50_000, device="cuda").mul_(4).to(dtype)
    keys = position_keys(1, 1, np.arange(300))

    def ask(rows: slice) -> dict[str, bytes]:
        own = logits[rows].clone()
        places = torch.arange(len(own), device="cuda")
        answer = statistics(
            torch.clone, own, places, head, SpecialTokens(mask=0, eos=1), keys[rows],
            vocabulary=50_000, chunk_bytes=10**9, against=against[rows],
        ).answer()  # fmt: skip
        return {name: values[-1:].tobytes() for name, values in vars(answer).items()}

    assert ask(slice(17, 18)) == ask(slice(0, 18)) == ask(slice(10, 18))


@pytest.mark.parametrize("name", ["llada-tiny", "llada-mini"])
def test_golden_cases_with_caches_in_float32(name: str) -> None:
    loaded = load_model(f"embedded:{name}", device="cuda", dtype="float32")
    own = [case for case in CACHED if case["model"] == name]
    policies = [
        build_policy("fixed", **{**case["params"], "cache": case["params"]["cache"].removesuffix("_decode")})
        for case in own
    ]
    done = Engine(loaded).generate([case["prompt_ids"] for case in own], policies)
    found = {g.index: g.canvas_ids for g in done}
    assert sum(found[index] == case["canvas_ids"] for index, case in enumerate(own)) >= len(own) - 1


@pytest.mark.parametrize("family", sorted(path.parent.name for path in families.FOLDER.glob("*/cases.jsonl")))
def test_golden_cases_of_families_in_float32(family: str) -> None:
    loaded = load_model(str(families.FOLDER / family / "checkpoint"), device="cuda", dtype="float32")
    own = families.cases(family)
    done = Engine(loaded).generate([case["prompt_ids"] for case in own], [families.policy_for(case) for case in own])
    found = {g.index: g.canvas_ids for g in done}
    final = [case["answer_ids" if "answer_ids" in case else "canvas_ids"] for case in own]
    assert sum(found[index] == ids for index, ids in enumerate(final)) >= len(own) - 1


def test_energy_is_that_of_the_card_where_it_has_a_counter() -> None:
    if find_meter(torch.device("cuda")) is None:
        pytest.skip("no counter, or no nvidia-ml-py")
    prompts = [[4 + i % 50 for i in range(200)] for _ in range(64)]
    done = list(Engine(model("float32")).generate(prompts, build_policy("fixed", length=128)))
    joules = sum(g.ledger.total.joules or 0.0 for g in done)
    assert 0 < joules < 2_000 * sum(g.ledger.total.seconds for g in done) + 100, "no card takes two kilowatts"


def test_running_out_of_memory_costs_no_sample() -> None:
    loaded = model("float32", batch_invariant=True)
    prompts = [[2 + i % 50 for i in range(200)] for _ in range(64)]
    policy = build_policy("fixed", length=64, tokens_per_step=16)
    plain = {g.index: g.canvas_ids for g in Engine(loaded, 2000).generate(prompts, policy)}
    torch.cuda.empty_cache()
    room = torch.cuda.memory_allocated() + 100 * 2**20
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    engine = Engine(loaded, 65_536)
    try:
        done = {g.index: g.canvas_ids for g in engine.generate(prompts, policy)}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert engine.notes
    assert done == plain
