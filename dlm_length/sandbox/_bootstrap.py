"""The far side of `process_limits`: run as a script, with nothing but the standard library.

Two processes: a supervisor, which keeps the time, ends the candidate and prints the verdict, and the candidate, a fork
of it, which puts itself under limits, runs the program and reports through a pipe.
"""

import ctypes
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
NETWORK = ("socket.",)
PROCESSES = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.", "subprocess.")
NOBODY = 65534
DETAIL_CHARACTERS = 500
REPORT_BYTES = 1 << 14


def main() -> None:
    job = json.load(sys.stdin)
    apart = enter_namespaces()
    user = spare_user()
    if user is not None:
        os.chown(".", user, user)
    control(PR_SET_DUMPABLE, 0)  # no reading of our memory or descriptors through /proc

    token = os.urandom(16).hex()
    report_out, report_in = os.pipe()
    started = time.monotonic()
    candidate = os.fork()
    if candidate == 0:
        os.close(report_out)
        become_candidate(job, token, report_in, apart, user)
    os.close(report_in)
    ended = wait(candidate, started + job["wall_seconds"])
    seconds = time.monotonic() - started
    if ended is None:
        kill(candidate)
    os.set_blocking(report_out, False)
    try:
        report = os.read(report_out, REPORT_BYTES)
    except BlockingIOError:
        report = b""
    status, exception, detail = verdict(job, token, ended, report)
    outcome = {"status": status, "exception": exception, "detail": detail, "seconds": round(seconds, 4)}
    sys.stdout.write(json.dumps(outcome | {"isolation": isolation(apart, user)}))


def isolation(apart: bool, user: int | None) -> str:
    as_root = os.geteuid() == 0 and user is None
    limited = "limited" if apart else "limited, audit hook"
    return "; ".join(
        [
            "process limits",
            f"network: {'namespace' if apart else 'audit hook'}",
            f"processes: {'audit hook' if as_root else limited}",
            f"user: {'root' if as_root else 'same' if user is None else 'separate'}",
        ]
    )


def control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def enter_namespaces() -> bool:
    """Leaves the network and, for children to come, the other processes. False where the kernel refuses."""
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None).unshare
    rooms = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC
    return any(unshare(flags) == 0 for flags in (rooms, rooms | CLONE_NEWUSER))


def spare_user() -> int | None:
    """For root only: a user id for the candidate, its own if possible, so that limits per user count it alone."""
    if os.geteuid() != 0:
        return None
    for user in (1 << 30 | os.getpid(), NOBODY):
        try:
            os.seteuid(user)
        except OSError:
            continue  # an id that this container does not have
        try:
            with open(os.__file__, "rb"):  # noqa: PTH123 (no pathlib: this start-up is paid once a program)
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
    os.kill(candidate, signal.SIGKILL)
    os.waitpid(candidate, 0)


def verdict(
    job: dict[str, Any], token: str, ended: "tuple[int, resource.struct_rusage] | None", report: bytes
) -> tuple[str, str, str]:
    if ended is None:
        return "timeout", "", f"still running after {job['wall_seconds']:g} s"
    try:
        said = json.loads(report)
        if said["token"] == token:
            return said["status"], said["exception"], said["detail"]
    except (ValueError, TypeError, LookupError, RecursionError):
        pass  # nothing, or the program's own scribbling: the process's end has to tell
    status, usage = ended
    out_of_time = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    if out_of_time or usage.ru_utime + usage.ru_stime >= cpu_seconds(job):
        return "timeout", "", f"used {cpu_seconds(job)} s of CPU time"
    if os.WIFSIGNALED(status):
        return "crashed", "", f"ended by signal {os.WTERMSIG(status)} ({signal.strsignal(os.WTERMSIG(status))})"
    return "crashed", "", f"left with status {os.WEXITSTATUS(status)} before its last line"


def cpu_seconds(job: dict[str, Any]) -> int:
    seconds: float = job["seconds"]
    return math.ceil(seconds)


def become_candidate(job: dict[str, Any], token: str, report_in: int, apart: bool, user: int | None) -> NoReturn:
    control(PR_SET_PDEATHSIG, signal.SIGKILL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        control(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user clears it
    control(PR_SET_NO_NEW_PRIVS, 1)
    control(PR_SET_DUMPABLE, 0)
    limit(job)
    refuse((() if apart else NETWORK) + (PROCESSES if not apart or os.geteuid() == 0 else ()))
    report_on(job["program"], token, report_in)


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


def refuse(events: tuple[str, ...]) -> None:
    def hook(event: str, _: object) -> None:
        if event.startswith(events):
            raise PermissionError(f"{event} is refused in the sandbox")

    if events:
        sys.addaudithook(hook)


def report_on(program: str, token: str, report_in: int) -> NoReturn:
    def report(status: str, exception: str = "", detail: str = "") -> bytes:
        fields = {"token": token, "status": status, "exception": exception, "detail": detail}
        return json.dumps(fields).encode()

    # Taken before the program can replace them, and made before it can leave no memory to make them.
    write, leave, pid, own_pid = os.write, os._exit, os.getpid, os.getpid()
    passed, out_of_memory = report("passed"), report("memory", "MemoryError", "out of memory")
    module = types.ModuleType("program")
    sys.modules["program"] = module  # dataclasses and pickle look their module up
    sys.argv = ["program"]
    try:
        told = passed if (failure := attempt(program, module)) is None else report(*failure)
    except MemoryError:
        module.__dict__.clear()
        told = out_of_memory
    if pid() == own_pid:  # a fork of the program comes by here as well
        write(report_in, told)
    leave(0)


def attempt(program: str, module: types.ModuleType) -> tuple[str, str, str] | None:
    """None where the program came to its end. Raises MemoryError."""
    try:
        code = compile(program, "program", "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001 (SyntaxError mostly; ValueError, MemoryError, RecursionError for odd texts)
        return "syntax", *told_of(error)
    try:
        exec(code, module.__dict__)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 (the program may raise what it likes, SystemExit included)
        return "failed", *told_of(error)
    return None


def told_of(error: BaseException) -> tuple[str, str]:
    try:
        return type(error).__name__[:100], str(error)[:DETAIL_CHARACTERS]
    except Exception:  # noqa: BLE001 (the message is the program's own code)
        return type(error).__name__[:100], "(its message cannot be read)"


if __name__ == "__main__":
    main()
