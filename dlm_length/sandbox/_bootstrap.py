"""The process inside the sandboxes, run as a script that uses only the standard library.

There are two processes: a supervisor, which enforces the time limit, ends the candidate and prints the verdict; and the
candidate, a fork of it, which puts itself under limits, runs the program, then the tests, and reports through shared
memory.

Protection from forged verdicts. No name, frame attribute, container or descriptor leads to that memory: while the
program runs, it is a half-evaluated operand on the interpreter's stack. So is the only function of this module that
runs after the program, with all that it needs; it looks up no global and no built-in name, which the program might have
replaced. So nothing that a program prints, writes, replaces, raises or exits with is a pass, nor is anything that it
finds by walking frames. A program that raises anything while it is loaded has failed, StopIteration included. Between
the program and the tests no code of the program can run: its timers are stopped, its signal handlers, the garbage
collector's callbacks and the hooks of `sys` removed, garbage in cycles is kept, the collector is off, and replaced
objects are kept alive. Each of these steps is counted; a program that prevents or undoes one fails. The tests run in
their own namespace, with the built-in functions, the modules' attributes and the import system's lists as they were
before the program. An audit hook refuses tracing, further hooks, the collector's listings, other interpreters, patching
the code of functions that existed before the program, giving a module another class, and every shared library except
the standard library's extension modules under their own names, without those that lead to native code (`NATIVE`).

Program and tests share a process, as in the field's own harnesses, so that these forgeries remain possible:
- values that misrepresent themselves: an `__eq__` that is always true passes `assert f(x) == y`;
- actions of the program while the tests call it or use its results: it can walk to the test's frame and change its
  global names, patch a module that the tests use (`math.isclose`), or raise a StopIteration that ends the `map` in an
  `all(map(f, ...))` of the tests; and whatever its threads do meanwhile;
- patches deeper than a module's attributes: methods of a class written in Python that the tests use, attributes of an
  object such as `sys.stdout`, registrations in a module (an error handler of `codecs`, a filter of `warnings`), modules
  that others import only when they are used (`_strptime`);
- hand-made bytecode (`code.replace`, `marshal`, a `.pyc` file), which can read and write CPython's memory, and faults
  of the interpreter;
- under process limits only: ctypes, which the candidate's setup needs there. Its module is removed and cannot be
  imported, but its types can still be found among the subclasses of `object`.
"""

import _imp
import _signal  # type: ignore[import-not-found]
import functools
import gc
import itertools
import json
import math
import mmap
import operator
import os
import resource
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
CAP_DAC_READ_SEARCH = 1 << 2
CAPABILITIES_VERSION = 0x20080522
NETWORK = ("socket.",)
PROCESSES = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.", "subprocess.")
TAMPERING = (
    "cpython.PyInterpreterState_New",
    "cpython.remote_debugger_script",
    "ctypes.",
    "gc.get_",
    "sqlite3.enable_load_extension",
    "sqlite3.load_extension",
    "sys._current_",
    "sys.addaudithook",
    "sys.monitoring.",
    "sys.remote_exec",
    "sys.setprofile",
    "sys.settrace",
)
NATIVE = ("_ctypes", "_interp", "_remote_debugging", "_test", "_tkinter", "_xx")
"""Prefixes of the names of modules that reach into the interpreter, or (Tcl) load libraries by themselves."""
LIBRARY_LOADERS = (b"OPENSSL",)
"""Prefixes of the names of environment variables that make a library load another one."""
FUNCTION_PARTS = ("__code__", "__defaults__", "__kwdefaults__")
NOBODY = 65534
DETAIL_CHARACTERS = 500
NAME_CHARACTERS = 100
REPORT_BYTES = 1 << 14
FAILURES = ("failed", "memory", "syntax")


def main() -> None:
    job = json.load(sys.stdin)
    if not job["enclosed"]:
        prefer_to_be_oom_killed()
    apart = job["enclosed"] or enter_namespaces()
    user = spare_user(job["user"])
    if user is not None and not job["enclosed"]:
        os.chown(".", user, user)
    if not job["enclosed"]:
        control(PR_SET_DUMPABLE, 0)  # nobody can read this process's memory or descriptors through /proc
    filtered = job["filters"] is not None and (job["enclosed"] or filter_calls(job["filters"]["always"]))

    reports = [mmap.mmap(-1, REPORT_BYTES)]  # shared with the fork, and all zeros
    started = time.monotonic()
    candidate = os.fork()
    if candidate == 0:
        become_candidate(job, reports, apart, user, filtered)
    ended, stopped = wait(candidate, started + job["wall_seconds"], job)
    seconds = time.monotonic() - started
    if ended is None and not job["enclosed"]:
        kill(candidate)
    status, exception, detail = verdict(job, ended, reports[0][:].rstrip(b"\0")) if ended else stopped
    outcome = {"status": status, "exception": exception, "detail": detail, "seconds": round(seconds, 4)}
    sys.stdout.write(json.dumps(outcome | {"isolation": isolation(job, apart, user, filtered)}))


def isolation(job: dict[str, Any], apart: bool, user: int | None, filtered: bool) -> str:
    """The means of isolation, as `Outcome.isolation`. `apart`: whether the candidate has its own namespaces."""
    stand_in = "system call filter" if filtered else "audit hook"
    hooked = not apart or as_root(job, user)
    limited = f"limited, {stand_in}" if hooked and not as_root(job, user) else stand_in if hooked else "limited"
    owner = "root" if as_root(job, user) else "separate" if user or job["enclosed"] else "same"
    return "; ".join(
        [
            "bubblewrap" if job["enclosed"] else "process limits",
            f"network: {'namespace' if apart else stand_in}",
            f"processes: {limited}",
            f"user: {owner}",
            *([] if filtered else ["system calls: all"]),
        ]
    )


def as_root(job: dict[str, Any], user: int | None) -> bool:
    """Whether the candidate is root for the kernel, which does not count root's processes."""
    return job["root"] and user is None


def prefer_to_be_oom_killed() -> None:
    """Make this process and its children the first that the kernel ends when memory runs out."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 (no pathlib: this is paid once a program)
            score.write("1000")
    except OSError:
        pass  # not Linux, or no /proc


def control(option: int, value: int, argument: Any = 0) -> int:
    """Call `prctl`; -1 on other systems than Linux. Not for bubblewrap's candidate, see `become_candidate`."""
    import ctypes

    return int(ctypes.CDLL(None).prctl(option, value, argument, 0, 0)) if sys.platform == "linux" else -1


def filter_calls(steps: str) -> bool:
    """Install a system call filter for this process and its children. False where the kernel does not support it."""
    import ctypes

    control(PR_SET_NO_NEW_PRIVS, 1)
    text = bytes.fromhex(steps)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    return control(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(text) // 8, text))) == 0


def keep_capabilities(kept: int) -> None:
    if sys.platform == "linux":
        import ctypes

        header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
        ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)(kept, kept))


def enter_namespaces() -> bool:
    """Enter new namespaces for network and IPC and, for future children, processes. False where the kernel refuses."""
    if sys.platform != "linux":
        return False
    import ctypes

    unshare = ctypes.CDLL(None).unshare
    namespaces = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC
    return any(unshare(flags) == 0 for flags in (namespaces, namespaces | CLONE_NEWUSER))


def spare_user(own: int) -> int | None:
    """A user id for root's candidate, `own` if possible, so that limits per user count only it; None: no other id.

    None if this process is not root, or if the id could not read the standard library.
    """
    if os.geteuid() != 0:
        return None
    for user in (own, NOBODY):
        try:
            os.seteuid(user)
        except OSError:
            continue  # this container does not have that id
        try:
            with open(os.__file__, "rb"):  # noqa: PTH123
                return user
        except OSError:
            return None  # such as an interpreter below /root: the candidate could not import anything
        finally:
            os.seteuid(0)
    return None


def wait(
    candidate: int, deadline: float, job: dict[str, Any]
) -> "tuple[tuple[int, resource.struct_rusage] | None, tuple[str, str, str]]":
    """Wait for the candidate: its exit status and usage or, where it had to be stopped, None and the verdict."""
    pause = 0.0005
    while True:
        pid, status, usage = os.wait4(candidate, os.WNOHANG)
        if pid:
            return (status, usage), ("", "", "")
        left = deadline - time.monotonic()
        if left <= 0:
            return None, ("timeout", "", f"still running after {job['wall_seconds']:g} s")
        if sum(map(files_in, job["counted"])) > job["files"]:
            return None, ("crashed", "", f"made more than {job['files']} files")
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.02)


def files_in(folder: str) -> int:
    """Number of files in the file system of a folder."""
    system = os.statvfs(folder)
    return system.f_files - system.f_ffree


def kill(candidate: int) -> None:
    # With the first process of a process namespace all others end; without a namespace, the hook allowed no others.
    # Under bubblewrap the first process is the supervisor, which ends anyway.
    os.kill(candidate, signal.SIGKILL)
    os.waitpid(candidate, 0)


def verdict(job: dict[str, Any], ended: "tuple[int, resource.struct_rusage]", report: bytes) -> tuple[str, str, str]:
    """Status, exception and detail, from the candidate's report or else from its exit status and usage."""
    if reported := parsed_report(report):
        return reported
    status, usage = ended
    out_of_time = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    if out_of_time or usage.ru_utime + usage.ru_stime >= cpu_seconds(job):
        return "timeout", "", f"used {cpu_seconds(job)} s of CPU time"
    if os.WIFSIGNALED(status):
        return "crashed", "", f"ended by signal {os.WTERMSIG(status)} ({signal.strsignal(os.WTERMSIG(status))})"
    return "crashed", "", f"left with status {os.WEXITSTATUS(status)} before its last line"


def parsed_report(report: bytes) -> tuple[str, str, str] | None:
    """Status, exception and detail of a report; None where it is not one. The latter two may be any text."""
    if report == b"passed":
        return "passed", "", ""
    status, _, texts = report.decode("ascii", "replace").partition("\n")
    try:
        exception, detail = json.loads(texts)
    except (ValueError, TypeError, RecursionError):
        return None
    return (status, str(exception)[:NAME_CHARACTERS], str(detail)[:DETAIL_CHARACTERS]) if status in FAILURES else None


def cpu_seconds(job: dict[str, Any]) -> int:
    seconds: float = job["seconds"]
    return math.ceil(seconds)


def become_candidate(
    job: dict[str, Any], reports: list[mmap.mmap], apart: bool, user: int | None, filtered: bool
) -> NoReturn:
    # Output goes to a file without a name, so that its size is limited like that of other files.
    output = os.open("output", os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink("output")  # noqa: PTH108
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    os.close(output)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)  # which also drops the capabilities
    refuse_processes, refuse_network = as_root(job, user) or not apart, not apart
    if not job["enclosed"] or refuse_processes:
        # By ctypes, which bubblewrap's candidate does not need otherwise: there is no /proc through which its memory
        # could be read, it ends with its namespace, and it started with its filter and without privileges.
        control(PR_SET_PDEATHSIG, signal.SIGKILL)
        keep_capabilities(CAP_DAC_READ_SEARCH if user is None and not job["enclosed"] else 0)
        control(PR_SET_NO_NEW_PRIVS, 1)
        control(PR_SET_DUMPABLE, 0)
        if filtered and refuse_processes:
            filter_calls(job["filters"]["no_processes"])
        if filtered and refuse_network:
            filter_calls(job["filters"]["no_network"])
    limit(job)
    for name in [name for name in sys.modules if name.lstrip("_").startswith("ctypes")]:
        del sys.modules[name]
    sys.settrace = without_tracing
    lose_native_builtins()
    import_first(job["modules"])
    refuse(
        TAMPERING + (NETWORK if refuse_network else ()) + (PROCESSES if refuse_processes else ()), as_root(job, user)
    )
    # A process that the program forks reaches this function's end too, and must not report.
    os.register_at_fork(after_in_child=reports[0].close)
    # Evaluated from left to right: while `attempt` runs the program, `_exit` and the shared memory's `write` are on
    # this frame's stack, which Python code cannot inspect. Neither may ever have a name.
    os._exit(reports.pop().write(attempt(job)) and 0)


def limit(job: dict[str, Any]) -> None:
    """Set the resource limits of this process."""
    for which, most, grace in (
        (resource.RLIMIT_CORE, 0, 0),
        # At the soft limit SIGXCPU ends a program that does not catch it; at the hard limit SIGKILL ends any program.
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
    """Replaces `sys.settrace`; accepts None, as doctest restores the absence of a tracer."""
    if function is not None:
        raise PermissionError("sys.settrace is refused in the sandbox")


def lose_native_builtins() -> None:
    """Remove `_imp.create_builtin` where native modules are built in: making one raises no audit event."""
    if any(name.startswith(NATIVE) for name in sys.builtin_module_names):
        import_first([(name, []) for name in sys.builtin_module_names if not name.startswith(NATIVE)])
        del _imp.create_builtin


def refuse(events: tuple[str, ...], root: bool) -> None:
    """Install the audit hook. `events`: prefixes of refused events; `root`: whether the candidate is root."""

    # Defaults instead of free variables and global names, which a program could replace.
    def hook(
        event: str,
        arguments: Any,
        events: tuple[str, ...] = events,
        natives: tuple[str, ...] = NATIVE,
        extensions: frozenset[tuple[str, str]] = frozenset(extension_modules()),
        loaders: tuple[bytes, ...] = LIBRARY_LOADERS,
        parts: tuple[str, ...] = FUNCTION_PARTS,
        own: frozenset[int] = frozenset(id(vars(module)) for module in sys.modules.values()),
        root: bool = root,
        begins: Any = str.startswith,
        octets_begin: Any = bytes.startswith,
        type_of: Any = type,
        text: Any = str,
        octets: Any = bytes,
        number: Any = int,
        memory: Any = ("mem", "/mem", b"mem", b"/mem"),
        identity: Any = id,
        module: Any = types.ModuleType,
        function: Any = types.FunctionType,
        refused: Any = PermissionError,
        not_imported: Any = ImportError,
    ) -> None:
        if begins(event, events):
            raise refused(f"{event} is refused in the sandbox")
        if event == "import":
            name, file, *_ = arguments
            if begins(name, natives):
                raise not_imported(f"importing {name} is refused in the sandbox")
            # Exactly the name and path that the import system finds: an instance of a subclass of str could claim to be
            # equal, and another path to the file could lead to another file by the time it is opened.
            if file is not None and not (type_of(name) is type_of(file) is text and (name, file) in extensions):
                raise not_imported(f"importing {name} from {file} is refused in the sandbox")
        elif event == "object.__setattr__":
            changed, name, *_ = arguments
            if name == "__class__" and type_of(changed) is module:
                raise refused("another class for a module is refused in the sandbox")
            if name in parts and type_of(changed) is function and identity(changed.__globals__) in own:
                raise refused("patching a function's code is refused in the sandbox")
        elif event == "os.putenv":
            if octets_begin(arguments[0], loaders):  # not a method of the argument, which a subclass could override
                raise refused("setting a variable that loads libraries is refused in the sandbox")
        elif root and (event == "open" or event == "os.symlink"):
            path = arguments[0]
            kind = type_of(path)
            # An instance of a subclass could name another file to the system than here.
            if kind is not number and ((kind is not text and kind is not octets) or path[-4:] in memory):
                raise refused("opening a process's memory is refused in the sandbox")

    sys.addaudithook(hook)


def extension_modules() -> Iterator[tuple[str, str]]:
    """(name, path) of each extension module of the standard library, as the import system composes them."""
    for folder in sys.path:
        try:
            entries = os.listdir(folder)  # noqa: PTH208
        except OSError:
            continue  # a folder or archive that does not exist
        for entry in entries:
            suffix = next((suffix for suffix in _imp.extension_suffixes() if entry.endswith(suffix)), None)
            if suffix is not None and not entry.startswith(NATIVE):
                yield entry.removesuffix(suffix), f"{folder}/{entry}"


def attempt(job: dict[str, Any]) -> bytes:
    """Run the program, then its tests, and return the report. Statuses are constants, which nothing can replace."""
    module = types.ModuleType("program")
    # dataclasses and pickle look up their module; and __main__ must not lead to this module.
    sys.modules["program"] = sys.modules["__main__"] = module
    sys.argv = ["program"]
    try:
        code = compile(job["program"], "program", "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001 (SyntaxError mostly; ValueError, MemoryError, RecursionError for odd texts)
        return b"".join((b"syntax\n", description_of(error)))
    parts = trial(job, code, module.__dict__)
    try:
        # Evaluated from left to right: judged, {count: None}, countOf, steps, load. When the last of them runs the
        # program, all others are on the stack, as above, and `parts` is empty. The tests are there too, so that a
        # program cannot read them. KeyError if the number of steps that succeeded is not `count`.
        return parts.pop()(parts.pop()[parts.pop()(parts.pop(), parts.pop()() is None)])  # type: ignore[no-any-return]
    except MemoryError:
        module.__dict__.clear()
        return b'memory\n["MemoryError", "out of memory"]'
    except BaseException as error:  # noqa: BLE001 (the program may raise what it likes, SystemExit included)
        return b"".join((b"failed\n", description_of(error)))


def import_first(modules: list[tuple[str, list[str]]]) -> None:
    """Import the modules of the tests, and names from them, before the program can change them."""
    for module, names in modules:
        try:
            __import__(module, fromlist=names)
        except Exception:  # noqa: BLE001 (the tests will fail with it)
            continue


def trial(job: dict[str, Any], code: types.CodeType, program: dict[str, Any]) -> list[Any]:
    """The actions of `attempt`, the last one first: `load` runs the program, `judged` its tests.

    The steps between the two ensure that no code of the program runs unless it is called: by a signal, the garbage
    collector, an exception that nobody can catch, or the finaliser of an object that is replaced. All are calls of C
    functions by C functions, so that no bytecode is executed between them, before which a signal handler would run.
    Each step has a known result, and `countOf` counts those that have it: an iterator that ends early, because a
    handler raised StopIteration, is thus not confused with one that reached its end.
    """
    sys.unraisablehook = id  # any function that does nothing
    before, lists = attributes(), [(live, live.copy()) for live in (sys.meta_path, sys.path, sys.path_hooks)]
    hooks = vars(sys)
    kept: list[Any] = []
    hooked: list[tuple[str, Any]] = []
    numbers = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
    # None means a handler that was not set from Python; this module sets none.
    handlers = [_signal.SIG_DFL if (now := _signal.getsignal(number)) is None else now for number in numbers]
    timers = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)
    quieting: list[Callable[[], object]] = [
        functools.partial(_signal.set_wakeup_fd, -1),
        *(functools.partial(_signal.setitimer, timer, 0) for timer in timers),
        *(functools.partial(_signal.signal, *pair) for pair in zip(numbers, handlers, strict=True)),
        # `signal` runs the handlers of pending signals; the following steps run no code of the program.
        gc.disable,
        functools.partial(kept.extend, gc.callbacks),
        gc.callbacks.clear,
        gc.freeze,
        functools.partial(hooked.extend, hooks.items()),
        hooks.clear,
        functools.partial(hooks.update, hooks.copy()),
    ]
    checks: list[Callable[[], object]] = [
        gc.isenabled,
        gc.callbacks.__len__,
        functools.partial(_signal.set_wakeup_fd, -1),
        *(functools.partial(_signal.getsignal, number) for number in numbers),
    ]
    done = map(operator.is_, map(kept.append, map(operator.call, quieting)), itertools.repeat(None))
    checked = map(operator.is_, map(operator.call, checks), [False, 0, -1, *handlers])
    judge = functools.partial(
        globals().pop("judged"),  # from here on the function has no name
        run=exec,
        type_of=type,
        text=str,
        collect=gc.enable,
        hook_generators=sys.set_asyncgen_hooks,
        tests=compile(job.pop("tests"), "tests", "exec", dont_inherit=True),
        builtins={**vars(sys.modules["builtins"])},
        entry_points=frozenset(job["entry_points"]),
        hooks=hooks,
        hooked=hooked,
        before=before,
        lists=lists,
        kept=kept,
        program=program,
    )
    load = functools.partial(exec, code, program)
    return [load, itertools.chain(done, checked), operator.countOf, {len(quieting) + len(checks): None}, judge]


def attributes() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(live dictionary, copy of its present content) of all modules' attributes, `sys.modules` and the importers."""
    live = [sys.modules, *(vars(module) for module in sys.modules.values()), sys.path_importer_cache]
    return [(names, names.copy()) for names in live if isinstance(names, dict)]


def judged(
    _: None,
    *,
    run: Any,
    type_of: Any,
    text: Any,
    collect: Any,
    hook_generators: Any,
    tests: types.CodeType,
    builtins: dict[str, Any],
    entry_points: frozenset[str],
    hooks: dict[str, Any],
    hooked: list[tuple[str, Any]],
    before: list[tuple[dict[str, Any], dict[str, Any]]],
    lists: list[tuple[list[Any], list[Any]]],
    kept: list[Any],
    program: dict[str, Any],
) -> bytes:
    """Restore the modules and run the tests, which see the program's names, but none in place of a built-in one.

    Runs after the program: no global and no built-in name may occur in here, nor a call of an object of the program.
    Replaced objects are kept alive, so that no finaliser runs. A name of a subclass of str could override `__eq__`.
    """
    for name, value in hooked:  # the content of `sys`, to which a program may have added names
        if type_of(name) is text and name not in hooks:
            hooks[name] = value
    for names, then in before:
        if names is program:
            continue
        now = [*names.items()]
        kept.append(now)
        if [name for name, _ in now if type_of(name) is not text]:
            names.clear()
        elif "__getattr__" not in then:
            names.pop("__getattr__", None)
        names.update(then)
    for values, those in lists:
        kept.append(values[:])
        values[:] = those
    hook_generators(None, None)
    own = {
        name: value
        for name, value in program.items()
        if type_of(name) is text
        and (name in entry_points or (name not in builtins and not (name[:2] == "__" == name[-2:])))
    }
    collect()
    run(tests, {**own, "__builtins__": builtins, "__name__": "tests"})
    return b"passed"


def description_of(error: BaseException) -> bytes:
    """Type name and message of an exception, as a JSON list."""
    name: Callable[[object], str] = lambda error: type.__dict__["__name__"].__get__(type(error))  # noqa: E731
    texts = (
        text_of(name, error, "", NAME_CHARACTERS),
        text_of(str, error, "(its message cannot be read)", DETAIL_CHARACTERS),
    )
    return json.dumps(texts).encode()


def text_of(describe: Callable[[object], str], error: BaseException, otherwise: str, most: int) -> str:
    """`describe(error)` as a plain str of at most `most` characters; `otherwise` where it raises.

    The exception may run code of the program, or return an instance of a subclass of str.
    """
    try:
        return "".join([describe(error)])[:most]
    except BaseException:  # noqa: BLE001 (see above)
        return otherwise


if __name__ == "__main__":
    main()
