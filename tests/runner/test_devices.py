"""Devices of a run: the session that environment.json records of them."""

import subprocess
from functools import partial
from types import SimpleNamespace

import pytest
import torch

import dlm_length
from dlm_length.common import GIB, SpecialTokens
from dlm_length.config import Hardware
from dlm_length.engine.machine import Machine
from dlm_length.runner.devices import Task, environment, expected_costs
from dlm_length.runner.prepare import Job

H100 = Machine("cuda:0", "NVIDIA H100 80GB HBM3", 79 * GIB, 70 * GIB, 8)


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


def test_a_policy_from_outside_is_not_run_to_estimate_its_cost() -> None:
    """On a model that is never confident, as the estimate's is, it may not end."""

    class Outside:
        def worst_case(self) -> None:
            raise AssertionError("it is not to be run")

    runs = [SimpleNamespace(config=SimpleNamespace(policy=Outside()), architecture=None)]
    tasks = [Task(Job(None, "", [0] * tokens), arms) for tokens, arms in ((3, (0,)), (5, (0, 1)))]
    assert expected_costs(runs, [Outside()], tasks) == [3.0, 10.0]
