import ast
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import dlm_length
from dlm_length.common import UserError
from dlm_length.sandbox import Outcome, ProcessLimits, sandbox, supervised
from dlm_length.sandbox._filter import filters

BOX = ProcessLimits(memory_bytes=1 << 28, file_bytes=1 << 20)


def outcome_of(program: str, timeout: float = 10.0) -> Outcome:
    return BOX.run(program, timeout=timeout)


@pytest.fixture
def without_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses; the bootstrap is otherwise its own self."""
    bootstrap = supervised.BOOTSTRAP
    source = bootstrap.read_text().replace("unshare(flags) == 0", "unshare(-1) == 0")
    refused = tmp_path / "bootstrap.py"
    refused.write_text(source)
    monkeypatch.setattr(supervised, "BOOTSTRAP", refused)


def test_a_program_that_reaches_its_end_passes() -> None:
    outcome = outcome_of("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nassert A(1) == A(1)\n")
    assert (outcome.status, outcome.exception, outcome.detail) == ("passed", "", "")
    assert outcome.isolation.startswith("process limits; network: ")


@pytest.mark.parametrize(
    ("program", "status", "exception"),
    [
        ("assert 1 == 2, 'no'", "failed", "AssertionError"),
        ("def f(): f()\nf()", "failed", "RecursionError"),
        ("raise KeyboardInterrupt", "failed", "KeyboardInterrupt"),
        ("input()", "failed", "EOFError"),
        ("import numpy", "failed", "ModuleNotFoundError"),
        ("def f(:", "syntax", "SyntaxError"),
        ("return 1", "syntax", "SyntaxError"),
        ("x = '\ud800'", "syntax", "UnicodeEncodeError"),
        ("raise MemoryError", "memory", "MemoryError"),
    ],
)
def test_what_went_wrong_is_told(program: str, status: str, exception: str) -> None:
    outcome = outcome_of(program)
    assert (outcome.status, outcome.exception) == (status, exception)


@pytest.mark.parametrize("program", ["x = 1\0", "(" * 100_000, "-" * 100_000 + "1"], ids=["null", "nested", "unary"])
def test_texts_that_upset_the_compiler_are_syntax_errors_or_crashes(program: str) -> None:
    assert outcome_of(program).status in {"syntax", "crashed"}


def test_details_are_bounded_and_survive_a_hostile_exception() -> None:
    assert len(outcome_of("raise ValueError('€' * 10**6)").detail) <= 500
    hostile = "class E(Exception):\n    def __str__(self): raise ValueError\nraise E"
    assert outcome_of(hostile).detail == "(its message cannot be read)"


def test_an_endless_loop_and_an_endless_sleep_are_ended() -> None:
    """It is the sandbox that ends them, and says by which of the two clocks."""
    loop = outcome_of("while True: pass", timeout=0.5)
    assert (loop.status, loop.detail) in {
        ("timeout", "used 1 s of CPU time"),
        ("timeout", "still running after 1.5 s"),  # of a busy machine
    }
    sleep = outcome_of("import time; time.sleep(1000)", timeout=0.5)
    assert (sleep.status, sleep.detail) == ("timeout", "still running after 1.5 s")
    assert sleep.seconds >= 1.5


@pytest.mark.parametrize("hog", ["x = []\nwhile True: x.append('a' * 10**6)", "'a' * 10**12", "list(range(10**10))"])
def test_memory_is_limited(hog: str) -> None:
    assert outcome_of(hog).status == "memory"


def test_a_file_cannot_grow_without_bound() -> None:
    outcome = outcome_of("f = open('big', 'wb')\nfor _ in range(10**4): f.write(b'0' * 10**5)")
    assert (outcome.status, outcome.exception) == ("failed", "OSError")


def test_open_files_are_limited() -> None:
    outcome = outcome_of("files = [open('/dev/null') for _ in range(10_000)]")
    assert "Too many open files" in outcome.detail


def test_what_is_printed_is_limited_as_what_is_written_is() -> None:
    for stream in ("stdout", "stderr"):
        flood = f"import sys\nfor _ in range(2000): print('x' * 10**5, file=sys.{stream})"
        assert outcome_of(flood).exception == "OSError"
    assert (
        outcome_of("import sys\nfor _ in range(900): print('x' * 10**3); print('x', file=sys.stderr)").status
        == "passed"
    )


def test_the_environment_is_cleared_and_the_folder_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    outcome = outcome_of("import os\nraise ValueError(f'{sorted(os.environ)} {os.getcwd()} {os.listdir()}')")
    names, folder, listed = outcome.detail.rsplit(" ", 2)
    assert set(ast.literal_eval(names)) <= {"HOME", "LC_CTYPE", "PYTHONHASHSEED", "TMPDIR"}
    assert listed == "[]"
    assert folder != str(Path.cwd())
    assert not Path(folder).exists()


def test_verdicts_do_not_depend_on_the_hash_seed() -> None:
    program = "raise ValueError(list({'a', 'b', 'c', 'd', 'e', 'f'}))"
    assert len({outcome_of(program).detail for _ in range(3)}) == 1


def test_a_folder_nested_beyond_recursion_is_removed() -> None:
    nest = "import os\ntop = os.getcwd()\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')\nraise ValueError(top)"
    folder = Path(outcome_of(nest).detail)
    assert folder.name.startswith("dlmlen-")
    assert not folder.exists()


CONNECT = "import socket\nsocket.create_connection(('127.0.0.1', 9), timeout=5)"


@pytest.mark.usefixtures("without_namespaces")
def test_where_namespaces_are_refused_a_hook_stands_in_and_says_so() -> None:
    outcome = outcome_of(CONNECT)
    assert (outcome.status, outcome.exception) == ("failed", "PermissionError")
    stand_in = "audit hook" if filters() is None else "system call filter"
    assert f"network: {stand_in}" in outcome.isolation
    for program in (
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
    ):
        assert outcome_of(program).exception == "PermissionError"
    assert outcome_of("import math; assert math.sqrt(4) == 2").status == "passed"
    assert outcome_of("while True: pass", timeout=0.3).status == "timeout"


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            open("alive", "a").write("x")
            time.sleep(0.02)
    os._exit(0)
while not os.path.exists("alive"): time.sleep(0.01)
"""
FORK_BOMB = """
import os
while True:
    try: os.fork()
    except OSError: pass
"""


UNHEARD = """
import _posixsubprocess, os
a, b = os.pipe()
pid = _posixsubprocess.fork_exec([b"/bin/true"], [b"/bin/true"], True, (b,), None, None, -1, -1, -1, -1, -1, -1,
                                 a, b, True, False, -1, None, None, None, -1, None, *EXTRA)
"""


@pytest.mark.usefixtures("without_namespaces")
@pytest.mark.skipif(filters() is None, reason="no filter of system calls for this machine")
def test_where_namespaces_are_refused_the_kernel_still_refuses_processes_that_no_hook_hears_of() -> None:
    extra = "(True,)" if sys.version_info < (3, 14) else "()"
    outcome = outcome_of(UNHEARD.replace("EXTRA", extra))
    assert (outcome.status, outcome.exception) == ("failed", "PermissionError")


def test_roots_program_has_no_capability_to_harm_with_and_cannot_open_its_own_memory() -> None:
    if not outcome_of("pass").isolation.endswith("user: root"):
        pytest.skip("the program is not root")
    assert outcome_of("import os\nos.chroot('.')").exception == "PermissionError"
    for harm in (
        "open('/proc/self/mem', 'r+b')",
        "import os\nos.open(b'/proc/self/mem', os.O_RDWR)",
        "import os\nos.chdir('/proc/self')\nopen('mem')",
        "import os\nos.symlink('/proc/self/mem', 'x')\nopen('x', 'r+b')",
        "import io\nclass P:\n    def __fspath__(self): return '/proc/self/mem'\nio.FileIO(P())",
    ):
        assert outcome_of(harm).exception == "PermissionError"
    assert outcome_of("from pathlib import Path\nPath('x').touch(); Path('x').write_text('y')").status == "passed"


def processes_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(process.joinpath("cwd").readlink()).startswith(str(folder)):
                found.append(process.name)
        except OSError:
            continue
    return found


@pytest.mark.usefixtures("unprivileged")
@pytest.mark.parametrize("program", [DAEMON, FORK_BOMB], ids=["daemon", "bomb"])
def test_all_processes_end_with_their_program(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcome = outcome_of(program, timeout=10 if program == DAEMON else 1)
    if "network: namespace" not in outcome.isolation:
        pytest.skip("no namespaces: no further processes either")
    assert outcome.status == ("passed" if program == DAEMON else "timeout")
    assert not processes_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unprivileged")
def test_root_keeps_its_rights_to_itself(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    target = tmp_path / "precious"
    target.write_text("kept")
    outcome = outcome_of(f"open({str(target)!r}, 'w')")
    assert outcome.exception == "PermissionError"
    assert "user: separate" in outcome.isolation
    assert target.read_text() == "kept"
    assert outcome_of("open('mine', 'w').write('x'); import tempfile; tempfile.TemporaryFile()").status == "passed"


def test_programs_run_from_many_threads_at_once() -> None:
    programs = [f"raise ValueError({n})" if n % 2 else "pass" for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(outcome_of, programs))
    assert [o.detail if o.status == "failed" else o.status for o in outcomes] == [
        str(n) if n % 2 else "passed" for n in range(12)
    ]


def test_the_parents_own_signals_and_children_are_left_alone() -> None:
    """In a process of its own: this one may have children of other tests, such as the judges of MATH500."""
    code = """
import os, signal
from dlm_length.sandbox import ProcessLimits
handler = signal.getsignal(signal.SIGCHLD)
assert ProcessLimits().run("pass", timeout=10.0).status == "passed"
assert signal.getsignal(signal.SIGCHLD) == handler
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child is left")
"""
    root = Path(dlm_length.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("no child is left\n", "")


def test_a_machine_that_cannot_run_anything_is_reported_before_it_matters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "process limits" in sandbox("process_limits").check()
    broken = tmp_path / "bootstrap.py"
    broken.write_text("raise ImportError('no module named resource')")
    monkeypatch.setattr(supervised, "BOOTSTRAP", broken)
    with pytest.raises(UserError, match=r"cannot be executed .*no module named resource"):
        sandbox("process_limits").check()


def test_an_exception_that_is_no_text_can_still_be_recorded() -> None:
    outcome = ProcessLimits().run(r"raise Exception('\ud800 half')", timeout=5)
    assert (outcome.status, outcome.exception) == ("failed", "Exception")
    assert outcome.detail == r"\ud800 half"
