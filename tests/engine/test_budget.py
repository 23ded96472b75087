import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.engine.budget import CANDIDATES, activation_bytes, automatic_budget
from dlm_length.engine.estimate import ForwardSchedule, first_canvas, upper_bound
from dlm_length.engine.ledger import Ledger
from dlm_length.engine.machine import describe_machine, matrix_rate
from dlm_length.models import Architecture
from dlm_length.policies import build_policy

SIZES = {
    "layers": 2,
    "width": 64,
    "heads": 4,
    "head_size": 16,
    "kv_width": 64,
    "mlp_width": 128,
    "vocabulary": 512,
    "max_length": 4096,
}


LLADA_8B = Architecture(
    layers=32, width=4096, heads=32, head_size=128, kv_width=4096, mlp_width=12288, vocabulary=126464, max_length=4096
)


def budget(architecture: Architecture, device: str, free: int | None) -> int:
    return automatic_budget(architecture, device=device, bytes_each=2, fused=device == "cuda", free=free)


def test_a_gpus_budget_fills_it_and_a_cpus_fits_into_its_caches():
    small = Architecture(**SIZES)
    assert budget(LLADA_8B, "cuda", None) == 16_384
    assert budget(small, "cuda", None) == CANDIDATES[-1], "the smaller the model, the more samples fill the device"
    assert budget(LLADA_8B, "cpu", None) == budget(small, "cpu", None) == 2048


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@given(free=st.integers(0, 2**36))
def test_the_budget_fits_into_the_memory_that_is_free(device: str, free: int):
    chosen = budget(LLADA_8B, device, free)
    assert chosen in CANDIDATES
    needed = activation_bytes(LLADA_8B, chosen, 2, device=device, fused=device == "cuda")
    assert needed <= free or chosen == CANDIDATES[0], "a device that is nearly full still gets the smallest"


def test_the_memory_of_caches_is_left_out_of_the_budget():
    def tokens(cache_bytes: int) -> int:
        sizes = {"device": "cuda", "bytes_each": 2, "fused": True, "free": 2 * 2**30}
        return automatic_budget(LLADA_8B, **sizes, cache_bytes=cache_bytes)

    assert tokens(0) > tokens(2**30) > tokens(2 * 2**30) == CANDIDATES[0]


@given(st.integers(1, 2**16), st.sampled_from([2, 4]), st.booleans())
def test_memory_grows_with_the_tokens_and_fusing_saves_some(tokens: int, bytes_each: int, fused: bool):
    def needed(tokens: int, fused: bool) -> int:
        return activation_bytes(LLADA_8B, tokens, bytes_each, device="cuda", fused=fused)

    assert needed(tokens, fused) <= needed(tokens + 1, fused)
    assert needed(tokens, True) <= needed(tokens, False)


@pytest.mark.parametrize(
    ("tokens", "mebibytes"),
    [(16_376, 1416), (32_752, 2833)],
)
def test_the_estimate_is_within_a_tenth_of_what_an_h100_measured(tokens: int, mebibytes: int):
    """Peak memory without the weights, LLaDA-8B in bfloat16, all rows through the head: docs/gpu.md, 2026-11-26."""
    estimate = activation_bytes(LLADA_8B, tokens, 2, device="cuda", fused=True)
    assert estimate / 2**20 == pytest.approx(mebibytes, rel=0.1)


def test_the_machine_is_described():
    machine = describe_machine(torch.device("cpu"))
    assert 0 < machine.free <= machine.memory
    assert machine.threads >= 1
    assert matrix_rate(torch.device("cpu")) > 1e8


@pytest.mark.parametrize(
    ("name", "parameters", "nfe", "canvas"),
    [
        ("fixed", {"length": 12}, 12, 12),
        ("fixed", {"length": 12, "steps": 4}, 4, 12),
        ("fixed", {"length": 12, "threshold": 0.9}, 12, 12),
        ("smartcrop", {"length": 12, "tau": 0.5}, 13, 12),
    ],
)
def test_upper_bound_runs_the_policys_own_coroutine(name: str, parameters: dict, nfe: int, canvas: int):
    course = upper_bound(build_policy(name, **parameters))
    assert len(course.forwards) == nfe
    assert course.canvas_length == canvas
    assert sum(probe for _, _, probe in course.forwards) == (name == "smartcrop")


@given(
    st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 4096), st.booleans()), max_size=20),
    st.lists(st.integers(0, 4096), min_size=1, max_size=3),
    st.tuples(*[st.integers(1, 2**16)] * 7),
)
def test_a_course_costs_what_its_forwards_do_one_by_one(forwards: list, prompts: list[int], sizes: tuple):
    architecture = Architecture(**dict(zip(SIZES, (*sizes, 4096), strict=True)))
    course = ForwardSchedule(0, tuple(forwards))
    for prompt in prompts:
        walked = Ledger()
        for canvas, rows, probe in forwards:
            walked.add_forward(architecture, prompt + canvas, probe=probe)
            walked.add_rows(architecture, rows, probe=probe)
        assert course.ledger(architecture, prompt) == walked


@pytest.mark.parametrize(
    ("name", "parameters", "length"),
    [
        ("fixed", {"length": 12}, 12),
        ("smartcrop", {"length": 12}, 12),
        ("daedal", {"initial_length": 6}, 6),
        ("rho_eos", {"initial_length": 7}, 7),
        ("composed", {"length_from": "initial_adjustment", "initial_length": 5}, 5),
    ],
)
def test_the_first_canvas_is_that_of_the_policys_own_coroutine(name: str, parameters: dict, length: int):
    assert first_canvas(build_policy(name, **parameters)) == length


@pytest.mark.parametrize("statistic", ["mean", "median", "quantile"])
def test_an_estimate_exits_no_decoding_early(statistic: str):
    policy = build_policy("fixed", length=32, early_commit="sched", sched_statistic=statistic)
    assert len(upper_bound(policy).forwards) == 32
