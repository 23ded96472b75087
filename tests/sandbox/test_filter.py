"""The filters' decisions, by an interpreter of classic BPF; the kernel's are tested with the two sandboxes."""

import importlib.util
import platform
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from dlm_length.sandbox import Bubblewrap, Sandbox
from dlm_length.sandbox._filter import FOLDER, Filters, filters

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "seccomp_filters.py"
ALLOWED, NOT_PERMITTED, UNKNOWN, NO_SUCH_FAMILY = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050061
I386, ARM, RISCV64 = 0x40000003, 0x40000028, 0xC00000F3
X32 = 0x40000000

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# From Linux's tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
CALLS = {
    "x86_64": {
        "shmget": 29,
        "socket": 41,
        "socketpair": 53,
        "clone": 56,
        "fork": 57,
        "vfork": 58,
        "execve": 59,
        "ptrace": 101,
        "mount": 165,
        "add_key": 248,
        "unshare": 272,
        "perf_event_open": 298,
        "prlimit64": 302,
        "setns": 308,
        "process_vm_writev": 311,
        "memfd_create": 319,
        "bpf": 321,
        "execveat": 322,
        "userfaultfd": 323,
    },
    "aarch64": {
        "mount": 40,
        "unshare": 97,
        "ptrace": 117,
        "shmget": 194,
        "socket": 198,
        "socketpair": 199,
        "add_key": 217,
        "clone": 220,
        "execve": 221,
        "perf_event_open": 241,
        "prlimit64": 261,
        "setns": 268,
        "process_vm_writev": 271,
        "memfd_create": 279,
        "bpf": 280,
        "execveat": 281,
        "userfaultfd": 282,
    },
}
COMMON = {"io_uring_setup": 425, "move_mount": 429, "clone3": 435, "pidfd_getfd": 438, "mount_setattr": 442}
BY_ARGUMENT = {"clone", "prlimit64", "socket", "socketpair"}
NEEDED = {
    "x86_64": {"read": 0, "mmap": 9, "connect": 42, "futex": 202, "openat": 257, "pipe2": 293, "getrandom": 318},
    "aarch64": {"pipe2": 59, "openat": 56, "read": 63, "futex": 98, "connect": 203, "mmap": 222, "getrandom": 278},
}
"""Some of the calls without which Python does not start; every test that runs a program uses all of them."""


def decision(steps: bytes, architecture: int, call: int, argument: int = 0) -> int:
    """The filter's action for a system call with this first argument. Fails for an unknown instruction."""
    data = struct.pack("<IIQ6Q", call, architecture, 0, argument, 0, 0, 0, 0, 0)
    at = loaded = 0
    while True:
        code, then, otherwise, value = struct.unpack_from("<HBBI", steps, 8 * at)
        at += 1
        match code:
            case 0x06:  # BPF_RET | BPF_K
                return int(value)
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                loaded = struct.unpack_from("<I", data, value)[0]
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                loaded &= value
            case 0x05:  # BPF_JMP | BPF_JA
                at += value
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += then if loaded == value else otherwise
            case 0x25:  # BPF_JMP | BPF_JGT | BPF_K
                at += then if loaded > value else otherwise
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += then if loaded >= value else otherwise
            case _:
                raise AssertionError(f"instruction {at - 1} is {code:#x}")


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    monkeypatch.setattr(sys, "platform", "linux")
    return str(request.param)


@pytest.fixture
def known(machine: str) -> Filters:
    found = filters()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("seccomp_filters", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_calls_that_no_answer_needs_are_refused(machine: str, known: Filters) -> None:
    architecture, calls = ARCHITECTURES[machine], CALLS[machine] | COMMON
    processes = {"execve", "execveat", "fork", "vfork"}
    for name in calls.keys() - BY_ARGUMENT - processes - {"clone3"}:
        assert decision(known.always, architecture, calls[name]) == NOT_PERMITTED, name
    for name in calls.keys() & processes:
        assert decision(known.always, architecture, calls[name]) == ALLOWED, name
        assert decision(known.no_processes, architecture, calls[name]) == NOT_PERMITTED, name
    assert decision(known.always, architecture, calls["clone3"]) == UNKNOWN
    assert decision(known.no_processes, architecture, calls["clone3"]) == UNKNOWN
    for name, number in NEEDED[machine].items():
        assert {decision(steps, architecture, number) for steps in asdict(known).values()} == {ALLOWED}, name


def test_clone_makes_threads_and_processes_and_no_namespace(machine: str, known: Filters) -> None:
    architecture, clone = ARCHITECTURES[machine], CALLS[machine]["clone"]
    thread, child = 0x003D0F00, 0x01200011
    assert decision(known.always, architecture, clone, thread) == ALLOWED
    assert decision(known.always, architecture, clone, child) == ALLOWED
    assert decision(known.no_processes, architecture, clone, thread) == ALLOWED
    assert decision(known.no_processes, architecture, clone, child) == NOT_PERMITTED
    for bit in (17, 25, 26, 27, 28, 29, 30):
        for flags in (thread, child, 0):
            assert decision(known.always, architecture, clone, flags | 1 << bit) == NOT_PERMITTED
    for bit in set(range(64)) - {17, 25, 26, 27, 28, 29, 30}:
        assert decision(known.always, architecture, clone, 1 << bit) == ALLOWED


def test_a_process_can_read_only_its_own_limits(machine: str, known: Filters) -> None:
    architecture, prlimit = ARCHITECTURES[machine], CALLS[machine]["prlimit64"]
    assert decision(known.always, architecture, prlimit, 0) == ALLOWED
    for process in (1, 2, 4242, 2**31 - 1, 2**32 - 1, 2**32, 2**64 - 1):
        assert decision(known.always, architecture, prlimit, process) == NOT_PERMITTED


def test_only_sockets_of_the_needed_families_are_allowed(machine: str, known: Filters) -> None:
    """AF_VSOCK is 40; families beyond today's 46 are refused before they exist."""
    architecture, calls = ARCHITECTURES[machine], CALLS[machine]
    families = {*range(300), *(1 << bit for bit in range(64)), *((1 << 32) + family for family in range(50)), 2**64 - 1}
    unix, inet, inet6 = 1, 2, 10

    def allowed(call: str) -> set[int]:
        decisions = {family: decision(known.always, architecture, calls[call], family) for family in families}
        assert set(decisions.values()) == {ALLOWED, NO_SUCH_FAMILY}
        return {family for family, decided in decisions.items() if decided == ALLOWED}

    assert allowed("socket") == {unix, inet, inet6}
    assert allowed("socketpair") == {unix}
    assert {decision(known.no_network, architecture, calls["socket"], family) for family in families} == {NOT_PERMITTED}
    assert decision(known.no_network, architecture, calls["socketpair"], unix) == ALLOWED


def test_other_architectures_and_abis_are_unknown(machine: str, known: Filters) -> None:
    own = ARCHITECTURES[machine]
    others = {*ARCHITECTURES.values(), I386, ARM, RISCV64, 0} - {own}
    for steps in asdict(known).values():
        for call in (*range(600), X32, X32 + 1, X32 + 520, 2**32 - 1):
            assert {decision(steps, other, call) for other in others} == {UNKNOWN}
    if machine == "x86_64":
        for steps in asdict(known).values():
            assert {decision(steps, own, X32 | call) for call in range(600)} == {UNKNOWN}


def test_a_call_that_is_newer_than_the_filter_is_unknown(machine: str, known: Filters) -> None:
    """Such as `open_tree_attr`, 467, which makes mounts."""
    for call in (*range(457, 600), 1023, X32 - 1):
        assert decision(known.always, ARCHITECTURES[machine], call) == UNKNOWN


def test_the_kernel_accepts_the_filters(known: Filters) -> None:
    for steps in asdict(known).values():
        assert len(steps) % 8 == 0
        assert 0 < len(steps) // 8 <= 4096  # BPF_MAXINSNS


def test_an_unknown_machine_has_no_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert filters() is None


def test_the_shipped_filters_are_those_of_libseccomp(machine: str, known: Filters, script: ModuleType) -> None:
    try:
        seccomp = script.Seccomp()
        seccomp.names(ARCHITECTURES[machine])
    except (OSError, ValueError) as reason:
        pytest.skip(str(reason))
    assert script.ARCHITECTURES == ARCHITECTURES
    arguments = (0, 1, 2, 3, 9, 10, 11, 16, 17, 38, 40, 0x10000000, 0x003D0F00, 0x01200011, 2**32, 2**64 - 1)
    for name, shipped in asdict(known).items():
        made = seccomp.program(script.FILTERS[name], ARCHITECTURES[machine])
        if seccomp.version == script.WRITTEN_WITH:
            assert made == shipped, name
        for call in (*range(600), X32):
            for argument in arguments if call in CALLS[machine].values() else (0,):
                asked = (ARCHITECTURES[machine], call, argument)
                assert decision(made, *asked) == decision(shipped, *asked), (name, asked)


def test_the_script_writes_the_files_that_ship(script: ModuleType, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--out", tmp_path], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr)
    names = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.bpf")}
    assert names == {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.bpf")}
    assert len(names) == len(ARCHITECTURES) * 3


@pytest.mark.skipif(platform.machine() != "x86_64" or filters() is None, reason="calls of x86-64 and i386")
def test_the_kernel_refuses_another_abis_calls() -> None:
    """As native code could make them: `int 0x80` is an i386 call in a 64-bit process."""
    known = filters()
    assert known is not None
    program = f"""
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid of i386); int 0x80; ret
i386 = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
text = bytes.fromhex({known.always.hex()!r})
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(Program(len(text) // 8, text)), 0, 0) == 0
def error(answer):
    return ctypes.get_errno() if answer == -1 else answer
print(i386(), error(libc.syscall({X32} | 39)), error(libc.syscall(467, -1, b"/", 1, 0, 0)), error(libc.syscall(272, 0)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode == -11:
        pytest.skip("this kernel has no calls of i386")
    assert (done.stdout, done.stderr) == ("-38 38 38 1\n", "")


FAMILIES = """
import errno, socket
refused = {}
for family in range(64):
    for make in (socket.socket, socket.socketpair):
        try:
            made = make(family, socket.SOCK_DGRAM)
        except OSError as error:
            refused[make.__name__, family] = error.errno
        else:
            for one in made if isinstance(made, tuple) else [made]: one.close()
families = {family for name, family in refused if name == "socket"}
pairs = {family for name, family in refused if name == "socketpair"}
assert pairs == set(range(64)) - {socket.AF_UNIX}, pairs
assert set(refused.values()) <= {errno.EAFNOSUPPORT, errno.EPERM, errno.EACCES}, refused
raise ValueError(sorted(set(range(64)) - families))
"""


@pytest.mark.skipif(filters() is None, reason="no filter of system calls for this machine")
def test_the_kernel_makes_only_sockets_of_the_needed_families(box: Sandbox) -> None:
    outcome = box.run(FAMILIES, timeout=10)
    needed = [socket.AF_UNIX.value, socket.AF_INET.value, socket.AF_INET6.value]
    expected = needed if "network: namespace" in outcome.isolation else []
    assert (outcome.exception, outcome.detail) == ("ValueError", str(expected))


ECHO = """
import socket, threading
def f():
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            with server.accept()[0] as connection: connection.sendall(connection.recv(10) * 2)
        thread = threading.Thread(target=answer)
        thread.start()
        with socket.create_connection(("127.0.0.1", server.getsockname()[1])) as connection:
            connection.sendall(b"ab")
            said = connection.recv(10)
        thread.join()
    return said
"""


def test_a_program_can_talk_to_itself(bubblewrap: Bubblewrap) -> None:
    outcome = bubblewrap.run(ECHO, "assert f() == b'abab'", timeout=10)
    assert (outcome.status, outcome.detail) == ("passed", "")
