"""The filters' decisions, by a small machine of our own; for the kernel's see the tests of the two sandboxes."""

import platform
import struct
import sys
from dataclasses import astuple

import pytest

from dlm_length.sandbox import _filter
from dlm_length.sandbox._filter import MACHINES, filters

ALLOWED, NOT_PERMITTED, UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026


def decision(steps: bytes, architecture: int, call: int, argument: int = 0) -> int:
    data = struct.pack("<IIQ6Q", call, architecture, 0, argument, 0, 0, 0, 0, 0)
    at = loaded = 0
    while True:
        code, then, otherwise, value = struct.unpack_from("<HBBI", steps, 8 * at)
        at += 1
        if code == _filter.RETURN:
            return int(value)
        if code == _filter.LOAD:
            loaded = struct.unpack_from("<I", data, value)[0]
            continue
        holds = {
            _filter.EQUAL: loaded == value,
            _filter.AT_LEAST: loaded >= value,
            _filter.ANY_BIT: bool(loaded & value),
        }
        at += then if holds[code] else otherwise


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    monkeypatch.setattr(sys, "platform", "linux")
    return str(request.param)


def test_what_is_refused(machine: str) -> None:
    architecture, calls = MACHINES[machine]
    known = filters()
    assert known is not None
    for name in ("unshare", "mount", "setns", "memfd_create", "shmget", "ptrace", "process_vm_writev", "bpf"):
        assert decision(known.always, architecture, calls[name]) == NOT_PERMITTED
    assert decision(known.always, architecture, calls["clone3"]) == UNKNOWN
    new_user, thread, child = 0x10000011, 0x003D0F00, 0x01200011
    for flags, always, no_processes in (
        (new_user, NOT_PERMITTED, NOT_PERMITTED),
        (thread, ALLOWED, ALLOWED),
        (child, ALLOWED, NOT_PERMITTED),
    ):
        assert decision(known.always, architecture, calls["clone"], flags) == always
        assert decision(known.no_processes, architecture, calls["clone"], flags) == no_processes
    assert decision(known.always, architecture, calls["prlimit64"], 0) == ALLOWED
    assert decision(known.always, architecture, calls["prlimit64"], 1) == NOT_PERMITTED
    assert decision(known.no_network, architecture, calls["socket"]) == NOT_PERMITTED


def test_the_rest_is_allowed_and_other_kinds_of_calls_are_unknown(machine: str) -> None:
    architecture, calls = MACHINES[machine]
    known = filters()
    assert known is not None
    for steps in astuple(known):
        rest = set(range(424)) - set(calls.values())
        assert {decision(steps, architecture, call) for call in rest} == {ALLOWED}
        assert decision(steps, architecture, 0x40000000) == UNKNOWN
        assert decision(steps, 0x40000003, 1) == UNKNOWN
        assert len(steps) % 8 == 0
    assert decision(known.always, architecture, calls["execve"]) == ALLOWED
    assert decision(known.no_processes, architecture, calls["execve"]) == NOT_PERMITTED
    assert decision(known.always, architecture, calls["socket"]) == ALLOWED


def test_a_machine_that_is_not_known_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert filters() is None
