"""The far side of the sandboxes: run as a script, with nothing but the standard library.

Two processes: a supervisor, which keeps the time, ends the candidate and prints the verdict, and the candidate, a fork
of it, which puts itself under limits, runs the program, then the tests, and reports through a pipe.

What a program has to do for a verdict it did not earn. A report counts only with a token that the supervisor makes up
after the fork. The candidate reads it before it runs the program and keeps it where no name, frame attribute or
container leads: as a half-evaluated operand on the interpreter's stack, beside the functions that will run the tests
and write the report. So nothing that a program prints, writes, replaces, raises or exits with is a pass, nor is
anything it finds by walking frames; an audit hook refuses tracing, the collector's listings, ctypes and foreign
shared libraries. The tests run in a namespace of their own, with the built-in functions and
the modules' attributes as they were before the program. What remains, since program and tests share a process as in the
field's own harnesses:
- values that lie about themselves: an `__eq__` that is always true passes `assert f(x) == y`;
- what the program does while the tests call it: from there it can walk to the test's own frame and change its global
  names, or patch a module the tests use (`math.isclose`);
- patches deeper than a module's attributes: methods of a class written in Python that the tests use;
- hand-made bytecode, and faults of the interpreter.
"""

import ctypes
import functools
import json
import math
import os
import resource
import signal
import sys
import time
import types
from typing import Any, NoReturn

CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITIES_VERSION = 0x20080522
NETWORK = ("socket.",)
PROCESSES = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.", "subprocess.")
TAMPERING = (
    "ctypes.",
    "gc.get_",
    "sqlite3.enable_load_extension",
    "sqlite3.load_extension",
    "sys._current_",
    "sys.monitoring.",
    "sys.setprofile",
    "sys.settrace",
)
NATIVE = ("_ctypes", "_interp", "_test", "_xx")
"""Beginnings of the names of built-in modules that reach into the interpreter."""
NOBODY = 65534
DETAIL_CHARACTERS = 500
NAME_CHARACTERS = 100
REPORT_BYTES = 1 << 14
TOKEN_BYTES = 16
FAILURES = ("failed", "memory", "syntax")


def main() -> None:
    job = json.load(sys.stdin)
    first_to_go_without_memory()
    apart = job["enclosed"] or enter_namespaces()
    user = spare_user(job["user"])
    if user is not None and not job["enclosed"]:
        os.chown(".", user, user)
    control(PR_SET_DUMPABLE, 0)  # no reading of our memory or descriptors through /proc

    token_out, token_in = os.pipe()
    report_out, report_in = os.pipe()
    started = time.monotonic()
    candidate = os.fork()
    if candidate == 0:
        os.close(token_in)
        os.close(report_out)
        become_candidate(job, token_out, report_in, apart, user)
    os.close(report_in)
    token = os.urandom(TOKEN_BYTES)
    os.write(token_in, token)
    os.close(token_in)
    ended = wait(candidate, started + job["wall_seconds"])
    seconds = time.monotonic() - started
    if ended is None and not job["enclosed"]:
        kill(candidate)
    os.set_blocking(report_out, False)
    try:
        report = os.read(report_out, REPORT_BYTES)
    except BlockingIOError:
        report = b""
    status, exception, detail = verdict(job, token, ended, report)
    outcome = {"status": status, "exception": exception, "detail": detail, "seconds": round(seconds, 4)}
    sys.stdout.write(json.dumps(outcome | {"isolation": isolation(job, apart, user)}))


def isolation(job: dict[str, Any], apart: bool, user: int | None) -> str:
    hooked = not apart or as_root(job, user)
    limited = "limited, audit hook" if hooked and not as_root(job, user) else "audit hook" if hooked else "limited"
    owner = "root" if as_root(job, user) else "separate" if user or job["enclosed"] else "same"
    return "; ".join(
        [
            "bubblewrap" if job["enclosed"] else "process limits",
            f"network: {'namespace' if apart else 'audit hook'}",
            f"processes: {limited}",
            f"user: {owner}",
        ]
    )


def as_root(job: dict[str, Any], user: int | None) -> bool:
    """Whether the kernel will take the candidate for root, whose processes it does not count."""
    return job["root"] and user is None


def first_to_go_without_memory() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 (no pathlib: this is paid once a program)
            score.write("1000")
    except OSError:
        pass  # not Linux, or no /proc


def control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def drop_capabilities() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0), (ctypes.c_uint32 * 6)())


def enter_namespaces() -> bool:
    """Leaves the network and, for children to come, the other processes. False where the kernel refuses."""
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None).unshare
    rooms = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC
    return any(unshare(flags) == 0 for flags in (rooms, rooms | CLONE_NEWUSER))


def spare_user(own: int) -> int | None:
    """For root only: a user id for the candidate, `own` if possible, so that limits per user count it alone."""
    if os.geteuid() != 0:
        return None
    for user in (own, NOBODY):
        try:
            os.seteuid(user)
        except OSError:
            continue  # an id that this container does not have
        try:
            with open(os.__file__, "rb"):  # noqa: PTH123
                return user
        except OSError:
            return None  # an interpreter below /root: the candidate could not import anything
        finally:
            os.seteuid(0)
    return None


def wait(candidate: int, deadline: float) -> "tuple[int, resource.struct_rusage] | None":
    pause = 0.0005
    while True:
        pid, status, usage = os.wait4(candidate, os.WNOHANG)
        if pid:
            return status, usage
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.02)


def kill(candidate: int) -> None:
    # The first process of a process namespace takes all others of it along; without one, the hook let none be started.
    # Under bubblewrap that is the supervisor itself, whose end is due anyway.
    os.kill(candidate, signal.SIGKILL)
    os.waitpid(candidate, 0)


def verdict(
    job: dict[str, Any], token: bytes, ended: "tuple[int, resource.struct_rusage] | None", report: bytes
) -> tuple[str, str, str]:
    if ended is None:
        return "timeout", "", f"still running after {job['wall_seconds']:g} s"
    if told := told_in(report, token):
        return told
    # Nothing, or the program's own scribbling: the process's end has to tell.
    status, usage = ended
    out_of_time = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    if out_of_time or usage.ru_utime + usage.ru_stime >= cpu_seconds(job):
        return "timeout", "", f"used {cpu_seconds(job)} s of CPU time"
    if os.WIFSIGNALED(status):
        return "crashed", "", f"ended by signal {os.WTERMSIG(status)} ({signal.strsignal(os.WTERMSIG(status))})"
    return "crashed", "", f"left with status {os.WEXITSTATUS(status)} before its last line"


def told_in(report: bytes, token: bytes) -> tuple[str, str, str] | None:
    """Status, exception and detail, where the report is one; the latter two may be any text of the program's."""
    if not report.startswith(token):
        return None
    if report == token + b"passed":
        return "passed", "", ""
    status, _, words = report.removeprefix(token).decode("ascii", "replace").partition("\n")
    try:
        exception, detail = json.loads(words)
    except (ValueError, TypeError, RecursionError):
        return None
    return (status, str(exception)[:NAME_CHARACTERS], str(detail)[:DETAIL_CHARACTERS]) if status in FAILURES else None


def cpu_seconds(job: dict[str, Any]) -> int:
    seconds: float = job["seconds"]
    return math.ceil(seconds)


def become_candidate(job: dict[str, Any], token_out: int, report_in: int, apart: bool, user: int | None) -> NoReturn:
    control(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A file without a name: what is printed is limited as what is written is.
    output = os.open("output", os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink("output")  # noqa: PTH108
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    os.close(output)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        control(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user clears it
    if user is not None or job["enclosed"]:
        drop_capabilities()
    control(PR_SET_NO_NEW_PRIVS, 1)
    control(PR_SET_DUMPABLE, 0)
    limit(job)
    for name in ("ctypes", "_ctypes"):
        sys.modules.pop(name, None)
    sys.settrace = without_tracing
    hooked = as_root(job, user)
    refuse(TAMPERING + (() if apart else NETWORK) + (PROCESSES if hooked or not apart else ()))
    # A fork of the program comes to the program's end as well, and has nothing to report.
    os.register_at_fork(after_in_child=functools.partial(os.close, report_in))
    # Evaluated from left to right: while `attempt` runs the program, `_exit`, `write`, the descriptor and the token are
    # on this frame's stack, which Python code cannot look into. None of them may ever have a name.
    os._exit(os.write(report_in, os.read(token_out, TOKEN_BYTES) + attempt(job)) and 0)


def limit(job: dict[str, Any]) -> None:
    for which, most, grace in (
        (resource.RLIMIT_CORE, 0, 0),
        # SIGXCPU at the soft limit ends a program that does not catch it, SIGKILL at the hard one any other.
        (resource.RLIMIT_CPU, cpu_seconds(job), 1),
        (resource.RLIMIT_AS, job["memory_bytes"], 0),
        (resource.RLIMIT_FSIZE, job["file_bytes"], 0),
        (resource.RLIMIT_NOFILE, job["open_files"], 0),
        (resource.RLIMIT_NPROC, job["processes"], 0),
    ):
        _, hard = resource.getrlimit(which)
        soft, hard = (
            (most, most + grace) if hard == resource.RLIM_INFINITY else (min(most, hard), min(most + grace, hard))
        )
        resource.setrlimit(which, (soft, hard))


def without_tracing(function: object) -> None:
    """In place of `sys.settrace`: doctest puts back a tracer that was never there."""
    if function is not None:
        raise PermissionError("sys.settrace is refused in the sandbox")


def refuse(events: tuple[str, ...]) -> None:
    # Defaults, not free variables and not global names: those a program could replace.
    def hook(
        event: str,
        arguments: Any,
        events: tuple[str, ...] = events,
        natives: tuple[str, ...] = NATIVE,
        libraries: tuple[str, ...] = tuple(sys.path),
        begins: Any = str.startswith,
    ) -> None:
        if begins(event, events):
            raise PermissionError(f"{event} is refused in the sandbox")
        if event == "import":
            name, file, *_ = arguments
            if begins(name, natives) or (file is not None and not begins(file, libraries)):
                raise ImportError(f"importing {name} is refused in the sandbox")

    sys.addaudithook(hook)


def attempt(job: dict[str, Any]) -> bytes:
    """Runs the program, then its tests. How it ended is a constant in here, whatever the program replaced by then."""
    module = types.ModuleType("program")
    # dataclasses and pickle look their module up; and nothing of ours is to be had as __main__.
    sys.modules["program"] = sys.modules["__main__"] = module
    sys.argv = ["program"]
    try:
        code = compile(job["program"], "program", "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001 (SyntaxError mostly; ValueError, MemoryError, RecursionError for odd texts)
        return b"".join((b"syntax\n", told_of(error)))
    import_first(job["modules"])
    try:
        # The inner `exec` runs the program; all that stands before it here is on the stack by then, as above. That goes
        # for the tests as well: a program need not know what it will be asked.
        exec(
            compile(job.pop("tests"), "tests", "exec", dont_inherit=True),
            trial_names(
                {**vars(sys.modules["builtins"])},
                frozenset(job["entry_points"]),
                attributes(),
                module.__dict__,
                exec(code, module.__dict__),  # type: ignore[func-returns-value]
            ),
        )
    except MemoryError:
        module.__dict__.clear()
        return b'memory\n["MemoryError", "out of memory"]'
    except BaseException as error:  # noqa: BLE001 (the program may raise what it likes, SystemExit included)
        return b"".join((b"failed\n", told_of(error)))
    return b"passed"


def import_first(modules: list[str]) -> None:
    """What the tests import is imported before the program can touch it."""
    for name in modules:
        try:
            __import__(name)
        except Exception:  # noqa: BLE001 (the tests will say so, in their turn)
            continue


def attributes() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of every module, and which modules there are: the dictionary itself, and what is in it now."""
    live = [sys.modules, *(vars(module) for module in sys.modules.values())]
    return [(names, names.copy()) for names in live if isinstance(names, dict)]


def trial_names(
    builtins: dict[str, Any],
    entry_points: frozenset[str],
    before: list[tuple[dict[str, Any], dict[str, Any]]],
    program: dict[str, Any],
    _: None,
) -> dict[str, Any]:
    """What the tests see: the program's names but none in place of a built-in one; modules are as they were before."""
    for names, then in before:
        names.update(then)
    own = {name: value for name, value in program.items() if name in entry_points or name not in builtins}
    return {**own, "__builtins__": builtins, "__name__": "tests"}


def told_of(error: BaseException) -> bytes:
    try:
        detail = str(error)[:DETAIL_CHARACTERS]
    except Exception:  # noqa: BLE001 (the message is the program's own code)
        detail = "(its message cannot be read)"
    return json.dumps([type(error).__name__[:NAME_CHARACTERS], detail]).encode()


if __name__ == "__main__":
    main()
