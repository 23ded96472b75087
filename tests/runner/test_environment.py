"""Where a run was made, and whether the machine is the one its profile was written for."""

import subprocess
from functools import partial
from types import SimpleNamespace

import pytest
import torch

import dlm_length
from dlm_length.common import GIB, SpecialTokens
from dlm_length.config import Hardware, load_config
from dlm_length.engine.machine import Machine
from dlm_length.runner.devices import environment
from dlm_length.runner.model import mismatches

H100 = Machine("cuda:0", "NVIDIA H100 80GB HBM3", 79 * GIB, 70 * GIB, 8)
LAPTOP = Machine("cpu", "x86_64", 16 * GIB, 9 * GIB, 4)


def test_the_machine_of_the_profile_needs_no_word() -> None:
    hardware = load_config("gsm8k_fixed").hardware
    assert hardware.profile == "h100-80gb"
    assert mismatches(hardware, H100) == []
    assert mismatches(Hardware(), LAPTOP) == []


def test_another_machine_is_named_with_what_was_expected() -> None:
    hardware = load_config("gsm8k_fixed", ["hardware=a100-80gb"]).hardware
    (device,) = mismatches(hardware, H100)
    assert "'a100-80gb'" in device
    assert "'A100'" in device
    assert "'NVIDIA H100 80GB HBM3'" in device
    both = mismatches(hardware, LAPTOP)
    assert len(both) == 2
    assert "80 GiB of memory, found 16.0 GiB" in both[1]


@pytest.mark.parametrize(("gib", "told"), [(13, True), (14, False), (16, False), (18, False), (20, True)])
def test_memory_may_differ_a_little(gib: float, told: bool) -> None:
    """Vendors count in powers of ten, and systems keep some for themselves."""
    found = mismatches(Hardware(memory_gib=gib), LAPTOP)
    assert bool(found) == told


def test_the_name_is_compared_without_case() -> None:
    assert mismatches(Hardware(device_name="h100 80gb"), H100) == []


def test_a_session_tells_all_that_can_change_the_last_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = Hardware(profile="mine", dtype="bfloat16", seed=7, compile=True)
    tokens = SpecialTokens(mask=9, eos=1)
    tokenizer = SimpleNamespace(token_text=lambda token: f"<{token}>")
    model = SimpleNamespace(
        dtype=torch.bfloat16, fused=object(), batch_invariant=True, tokens=tokens, tokenizer=tokenizer
    )
    engine = SimpleNamespace(model=model, attention="grouped", max_batch_tokens=123)
    session = partial(environment, hardware, H100, engine, checkpoint="0123")
    told = session()
    expected = {
        "checkpoint": "0123",
        "special_tokens": {"mask": {"id": 9, "text": "<9>"}, "eos": {"id": 1, "text": "<1>"}, "eot": None},
        "device": "cuda:0",
        "device_name": "NVIDIA H100 80GB HBM3",
        "threads": 8,
        "dtype": "bfloat16",
        "attention": "grouped",
        "compile": True,
        "fused": True,
        "batch_invariant": True,
        "seed": 7,
        "max_batch_tokens": 123,
        "profile": "mine",
    }
    assert expected.items() <= told.items()
    assert {"torch", "transformers", "python", "git_commit", "command"} <= told.keys()

    assert told["dlmlen"] == dlm_length.__version__, "also in a source tree that was never installed"

    def no_git(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert session()["git_commit"] is None
