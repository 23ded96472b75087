"""Programs that try to harm the machine; after each of them the next one is scored as usual."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlm_length.sandbox import Bubblewrap, Sandbox

TESTS = "assert f(2) == 4"
RIGHT = "def f(x): return 2 * x\n"

HOSTILE = {
    "loop": ("while True: pass", {"timeout"}),
    "loop that catches": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        {"timeout"},
    ),
    "loop that ignores signals": (
        "import signal\nfor n in (1, 2, 3, 14, 15, signal.SIGXCPU): signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
        {"timeout"},
    ),
    "loop inside": ("def f(x):\n    while True: pass", {"timeout"}),
    "sleep": ("import time; time.sleep(1000)", {"timeout"}),
    "fork bomb": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", {"timeout", "failed"}),
    "thread bomb": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(1000,)).start()",
        {"timeout", "failed", "memory"},
    ),
    "64 GB": ("x = bytearray(64 << 30)", {"memory"}),
    "64 GB bit by bit": ("x = []\nwhile True: x.append(bytearray(1 << 20))", {"memory", "timeout"}),
    "10 GB file": (
        "with open('big', 'wb') as f:\n    for _ in range(10_000): f.write(b'0' * 1_000_000)",
        {"failed"},
    ),
    "1 GB printed": ("for _ in range(1000): print('x' * 1_000_000)", {"failed", "timeout"}),
    "1 GB of errors": ("import os\nfor _ in range(1000): os.write(2, b'x' * 1_000_000)", {"failed"}),
    "1 GB message": ("raise ValueError('x' * 10**8)", {"failed"}),
    "descriptors": ("files = [open('/dev/null') for _ in range(100_000)]", {"failed"}),
    "descriptors closed": ("import os\nos.closerange(0, 10_000)", {"failed"}),
    "pipe flooded": (
        "import os\nfor fd in range(3, 20):\n    try:\n        while True: os.write(fd, b'x' * 4096)\n"
        "    except OSError: pass",
        {"failed"},
    ),
    "abort": ("import os\nos.abort()", {"crashed"}),
    "deep recursion": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x)",
        {"crashed", "memory", "failed", "timeout"},
    ),
    "deep folders": ("import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')\nassert False", {"failed"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_fails_and_the_next_program_is_scored(box: Sandbox, name: str) -> None:
    program, statuses = HOSTILE[name]
    # Those that end by themselves have enough time on a busy machine.
    outcome = box.run(program, TESTS, timeout=0.5 if "timeout" in statuses else 20)
    assert outcome.status in statuses, outcome
    assert outcome.isolation != "unknown", "the supervisor did not keep the time"
    assert box.run(RIGHT, TESTS, timeout=10).status == "passed"


def test_the_environment_is_not_visible(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    assert (
        box.run("import os\nassert 'HF_TOKEN' not in os.environ and len(os.environ) < 9", timeout=10).status == "passed"
    )


SNOOP = """
import os
found = []
for folder, _, names in [*os.walk("/proc", onerror=None), *os.walk(os.path.expanduser("~"))]:
    for name in names:
        if name in ("environ", "cmdline", "secret"):
            try: found.append(open(os.path.join(folder, name), "rb").read())
            except OSError: pass
found = b" ".join(found)
assert b"hf_very_secret" not in found and b"neighbour" not in found, "found it"
"""


def test_other_processes_and_their_secrets_are_not_visible(
    bubblewrap: Bubblewrap, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    (tmp_path / "secret").write_text("hf_very_secret")
    neighbour = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "neighbour"])
    try:
        outcome = bubblewrap.run(SNOOP, timeout=10)
        assert (outcome.status, outcome.detail) == ("passed", "")
        there = """
import os
def there(pid):
    try: os.kill(pid, 0)
    except OSError as error: return isinstance(error, PermissionError)
    return True
raise ValueError([pid for pid in range(1, 40_000) if there(pid)], os.path.exists("/proc"))
"""
        assert bubblewrap.run(there, timeout=10).detail == "([1, 2], False)"
    finally:
        neighbour.kill()
        neighbour.wait()


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=server.accept, daemon=True).start()
        host, port = server.getsockname()
        yield host, port


def test_nobody_can_be_reached(box: Sandbox, listener: tuple[str, int]) -> None:
    connect = f"import socket\nsocket.create_connection({listener!r}, timeout=5)"
    outcome = box.run(connect, timeout=10)
    assert outcome.status == "failed"
    assert outcome.exception in {"OSError", "ConnectionRefusedError", "PermissionError"}
    with socket.create_connection(listener, timeout=5):
        pass  # it was listening


def test_nothing_is_deleted_or_written_outside_the_programs_own_folders(bubblewrap: Bubblewrap, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    precious.chmod(0o666)
    tmp_path.chmod(0o777)
    library = Path(os.__file__).parent
    places = [
        str(precious),
        str(tmp_path),
        str(Path.home()),
        str(library),
        "/",
        "/usr",
        "/etc",
        "/dev",
        "/sandbox",
        "/root",
    ]
    program = f"""
import os, shutil
done = []
for place in {places!r}:
    inside = [entry.path for entry in os.scandir(place)][:20] if os.path.isdir(place) else []
    for harm in (
        *(lambda path=path: os.unlink(path) for path in inside if place not in ("/", "/dev")),
        lambda: open(place, "a").write("harm"),
        lambda: open(os.path.join(place, "harm"), "w").write("harm"),
        lambda: os.unlink(place),
        lambda: os.rmdir(place),
        lambda: os.rename(place, "/tmp/gone"),
        lambda: os.chmod(place, 0o777),
    ):
        try: harm()
        except OSError: continue
        done.append(place)
    if place not in ("/", "/usr", {str(library)!r}):
        shutil.rmtree(place, ignore_errors=True)
assert not done, done
"""
    outcome = bubblewrap.run(program, timeout=20)
    assert (outcome.status, outcome.detail) == ("passed", "")
    assert precious.read_text() == "kept"
    assert library.joinpath("os.py").exists()
    assert bubblewrap.run(RIGHT, TESTS, timeout=10).status == "passed"


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_10_gb_in_many_files_do_not_fit(bubblewrap: Bubblewrap, folder: str) -> None:
    fill = (
        f"import os\nos.chdir({folder!r})\nfor n in range(1000):\n"
        "    with open(str(n), 'wb') as f: f.write(bytes(10_000_000))"
    )
    outcome = bubblewrap.run(fill, timeout=10)
    assert (outcome.status, outcome.exception) == ("failed", "OSError")
    assert "No space left" in outcome.detail


@pytest.mark.parametrize("target", ["os.getppid()", "1", "-1", "0"])
def test_the_supervisor_survives(bubblewrap: Bubblewrap, target: str) -> None:
    kill = (
        "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGSTOP):\n"
        f"    try: os.kill({target}, number)\n    except OSError: pass\n    except KeyboardInterrupt: pass\n"
        "raise ValueError('still here')"
    )
    outcome = bubblewrap.run(kill, timeout=1)
    assert outcome.status in {"failed", "crashed", "timeout"}
    assert outcome.isolation != "unknown", outcome


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/usr/bin/env", ["env", "sleep", "86399.{marker}"])
    os._exit(0)
time.sleep(0.3)
"""


def commands() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_bytes()
        except OSError:
            continue


def test_no_daemon_is_left_behind(bubblewrap: Bubblewrap) -> None:
    marker = str(os.getpid())
    assert bubblewrap.run(DAEMON.format(marker=marker) + "assert False", timeout=5).status == "failed"
    assert bubblewrap.run(DAEMON.format(marker=marker) + "while True: pass", timeout=1).status == "timeout"
    assert not [command for command in commands() if f"86399.{marker}".encode() in command]
