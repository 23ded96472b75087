"""What is free on a GPU: also what torch keeps from tensors that are gone."""

import pytest
import torch

from dlm_length.engine.machine import describe_machine


def test_memory_that_torch_keeps_for_reuse_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the caches of a process's second run would get half of what the first left to the driver."""
    gib = 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30 * gib, 80 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 48 * gib)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 16 * gib)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    machine = describe_machine(torch.device("cuda"))
    assert (machine.free, machine.memory, machine.name) == (62 * gib, 80 * gib, "a card")
