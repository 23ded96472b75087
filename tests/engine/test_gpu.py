"""The results of scripts/gpu_check.py as tests. Skipped without a CUDA device."""

import json
import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.engine.attention import ATTENTIONS, best_attention
from dlm_length.models import fused

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
CASES = [json.loads(line) for line in (Path(__file__).parents[1] / "golden" / "cases.jsonl").read_text().splitlines()]
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
