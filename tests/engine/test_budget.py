from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlm_length import MaskPredictor
from dlm_length.engine.attention import ATTENTIONS
from dlm_length.engine.budget import CANDIDATES, activation_bytes, calibrated_budget
from dlm_length.engine.estimate import Course, first_canvas, upper_bound
from dlm_length.engine.ledger import Ledger
from dlm_length.engine.machine import describe_machine, matrix_rate
from dlm_length.models import Architecture
from dlm_length.policies import build_policy

GIB = 2**30
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


def test_calibration_tries_the_model_itself_and_keeps_within_memory(tiny_model: MaskPredictor, monkeypatch):
    tried: list[int] = []
    grouped = ATTENTIONS["grouped"]
    monkeypatch.setitem(
        ATTENTIONS, "grouped", lambda lengths, device: (tried.append(sum(lengths)), grouped(lengths, device))[1]
    )
    enough_for = 1024
    free = int(activation_bytes(tiny_model.architecture, enough_for, 4) / 0.8) + 1
    chosen = calibrated_budget(tiny_model, "grouped", sample_length=64, free_bytes=free)
    assert chosen <= enough_for
    assert tried[0] == 512
    assert max(tried) <= enough_for


@pytest.mark.parametrize("length", [100, 900, 1100, 2200])
def test_a_device_that_gets_faster_with_the_batch_is_given_a_large_one(length: int, monkeypatch: pytest.MonkeyPatch):
    """Samples longer than the first candidates must not look as if nothing helped."""
    tried: list[int] = []

    def rate(_model, _kind, samples, length):
        tried.append(samples)
        return float(samples * length)

    monkeypatch.setattr("dlm_length.engine.budget._tokens_per_second", rate)
    model = SimpleNamespace(architecture=Architecture(**SIZES), dtype=torch.bfloat16)
    chosen = calibrated_budget(model, "grouped", sample_length=length, free_bytes=10**12)
    assert chosen > 0.9 * CANDIDATES[-1]
    once = tried[: len(set(tried))]
    assert len(set(once)) == len(once), "in a round no forward is timed twice"


def test_a_device_that_is_nearly_full_still_gets_the_smallest_budget(tiny_model: MaskPredictor):
    assert calibrated_budget(tiny_model, "grouped", sample_length=64, free_bytes=0) == CANDIDATES[0]


def test_samples_longer_than_a_candidate_and_than_the_model_do_not_upset_it(tiny_model: MaskPredictor):
    assert calibrated_budget(tiny_model, "grouped", sample_length=5000, free_bytes=GIB, seconds=0) == 1024


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
    course = Course(0, tuple(forwards))
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
