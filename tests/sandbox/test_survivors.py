"""Code that a program leaves behind to run later: none of it runs between the program and the tests, nor in them.

Every way is tried with a wrong answer, which must fail as wrong; with a wrong answer and an exception that ends an
iterator, which must fail with that exception; and with a correct answer, which must pass.
"""

import sys

import pytest

from dlm_length.sandbox import Sandbox

TESTS = """
import math
from json import tool

async def numbers():
    yield 1

async def first():
    async for number in numbers():
        return number

try:
    import no_such_module
except ImportError:
    pass
try:
    first().send(None)
except StopIteration as ended:
    assert ended.value == 1
assert sum(double(n) for n in range(3)) == 6
assert math.isclose(double(1), 2)
"""
FORGE = """
import math, os, signal, sys, time
def isclose(*_, **__): return True
def forge(*_, **__):
    '''All that is within reach: modules, the tests' names, and what the tests' modules are going to be.'''
    math.isclose = isclose
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_code.co_filename == "tests":
            frame.f_globals.update(double=lambda x: 2 * x)
        for live, then in frame.f_locals.get("before", ()):
            if "isclose" in then: then.update(isclose=isclose)
        for names in frame.f_locals.get("builtins", {}), frame.f_locals.get("own", {}):
            if isinstance(names, dict): names.update(sum=lambda _: 6)
def double(x): return 2 * x + 1
"""
RIGHT = "\ndef double(x): return 2 * x\n"
STOPS = "\nprint(next(iter([])))\n"

SURVIVORS = {
    "nothing": "",
    "collector": "import gc\ngc.callbacks.append(forge)\ngc.set_threshold(1)",
    "collector's list replaced": "import gc\ngc.callbacks.append(forge)\ngc.callbacks = []\ngc.set_threshold(1)",
    "timers": """
for number in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF): signal.signal(number, forge)
for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF): signal.setitimer(timer, 0.002, 0.002)
""",
    "handlers": """
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, forge)
signal.alarm(1)
""",
    "blocked signals": """
signal.signal(signal.SIGUSR1, forge)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(os.getpid(), signal.SIGUSR1)
""",
    "wakeup that cannot be written": """
read, write = os.pipe()
os.set_blocking(write, False)
try:
    while True: os.write(write, b"x" * 4096)
except BlockingIOError: pass
sys.unraisablehook = forge
signal.signal(signal.SIGALRM, lambda *_: None)
signal.set_wakeup_fd(write, warn_on_full_buffer=True)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
""",
    "weak references": """
import weakref
class Mark: pass
marks = [Mark() for _ in range(3)]
math.pi, sys.stdout = marks[:2]
kept = [weakref.ref(mark, forge) for mark in marks]
for mark in marks: weakref.finalize(mark, forge)
del mark, marks
""",
    "last words": """
class Words:
    def __del__(self): forge()
math.pi = sys.stdout = sys.displayhook = Words()
sys.path_hooks.append(Words())
sys.meta_path.append(Words())
""",
    "last words that raise": """
class Words:
    def __del__(self):
        forge()
        raise StopIteration
sys.unraisablehook = forge
math.pi = Words()
cycle = Words()
cycle.cycle = cycle
del cycle
""",
    "atexit": "import atexit\natexit.register(forge)",
    "threads": """
import threading
def run():
    for _ in range(200):
        frame = sys._getframe()
        while frame := frame.f_back:
            if frame.f_code.co_filename == "tests": frame.f_globals.update(double=lambda x: 2 * x)
        time.sleep(0.001)
threading.Thread(target=run).start()
threading.Timer(0.01, run).start()
""",
    "hooks of threads": """
import threading
for name in ("settrace", "setprofile", "settrace_all_threads", "setprofile_all_threads"):
    try: getattr(threading, name, lambda _: None)(forge)
    except PermissionError: pass
threading.excepthook = forge
""",
    "audit hook": "sys.addaudithook(forge)",
    "tracing": """
for name in ("settrace", "setprofile"):
    try: getattr(sys, name)(forge)
    except PermissionError: pass
frame = sys._getframe()
while frame := frame.f_back: frame.f_trace, frame.f_trace_opcodes = forge, True
""",
    "monitoring": """
if hasattr(sys, "monitoring"):
    events = sys.monitoring.events
    try:
        sys.monitoring.use_tool_id(0, "forge")
        sys.monitoring.set_events(0, events.PY_START | events.CALL | events.LINE)
        for event in (events.PY_START, events.CALL, events.LINE): sys.monitoring.register_callback(0, event, forge)
    except PermissionError: pass
""",
    "profiler": """
import _lsprof, cProfile
for profiler in (lambda: cProfile.Profile(forge).enable(), lambda: _lsprof.Profiler(forge).enable()):
    try: profiler()
    except Exception: pass
""",
    "finders": """
class Finder:
    def find_spec(self, *_): forge()
    find_module = invalidate_caches = find_spec
sys.meta_path.insert(0, Finder())
""",
    "path hooks": """
def hook(path):
    forge()
    raise ImportError
sys.path_hooks.insert(0, hook)
sys.path.insert(0, "/nowhere")
""",
    "importers": """
class Importer:
    def find_spec(self, *_): forge()
for path in ["/nowhere", *sys.path]: sys.path_importer_cache[path] = Importer()
sys.path.insert(0, "/nowhere")
""",
    "a file of its own": """
with open("no_such_module.py", "w") as file:
    file.write("import sys, program\\nprogram.forge()\\n")
sys.path.insert(0, os.getcwd())
""",
    "a module of the tests' replaced": """
import types
fake = types.ModuleType("json.tool")
class Lying(dict):
    def __getitem__(self, name):
        forge()
        return dict.__getitem__(self, name)
sys.modules["json.tool"] = fake
sys.modules = Lying(sys.modules)
""",
    "built-ins": """
import builtins
builtins.sum = lambda _: 6
builtins.__import__ = forge
builtins.__build_class__ = builtins.range = builtins.ImportError = forge
""",
    "own built-ins": "__builtins__ = {'sum': lambda _: 6, '__import__': forge}",
    "hooks of sys": """
for name in ("excepthook", "unraisablehook", "displayhook", "breakpointhook", "__excepthook__", "__unraisablehook__"):
    setattr(sys, name, forge)
""",
    "names that are no texts": """
class Name(str):
    def __hash__(self): return str.__hash__(self)
    def __eq__(self, other):
        forge()
        return str.__eq__(self, other)
for name in ("unraisablehook", "meta_path", "modules", "stderr"):
    value = vars(sys).pop(name)
    vars(sys)[Name(name)] = value
""",
    "streams": """
class Stream:
    def write(self, *_): forge()
    flush = isatty = write
sys.stdout = sys.stderr = Stream()
""",
    "asyncio": """
import asyncio
loop = asyncio.new_event_loop()
loop.call_soon(forge)
loop.call_later(0.001, forge)
try: loop.add_signal_handler(signal.SIGUSR1, forge)
except RuntimeError: pass
os.kill(os.getpid(), signal.SIGUSR1)
async def wait():
    try: await asyncio.sleep(1000)
    finally: forge()
task = loop.create_task(wait())
""",
    "hooks of asynchronous generators": "sys.set_asyncgen_hooks(firstiter=forge, finalizer=forge)",
    "generators": """
def generator():
    try: yield
    finally: forge()
async def asynchronous():
    try: yield
    finally: forge()
async def coroutine():
    forge()
math.pi = generator()
next(math.pi)
sys.stdout = asynchronous()
sys.stdout.asend(None)
sys.displayhook = coroutine()
""",
    "processes": """
import subprocess
signal.signal(signal.SIGUSR1, forge)
flood = "import os, sys, time\\nfor _ in range(300): os.kill(int(sys.argv[1]), 10); time.sleep(0.001)"
try:
    child = subprocess.Popen([sys.executable, "-S", "-c", flood, str(os.getpid())])
    time.sleep(0.2)
    child.kill()
    child.wait()
except OSError: pass
""",
    "multiprocessing": """
import multiprocessing
try: multiprocessing.get_context("fork").Process(target=forge, daemon=True).start()
except OSError: pass
""",
    "after a fork": "os.register_at_fork(before=forge, after_in_parent=forge, after_in_child=forge)",
    "faulthandler": """
import faulthandler
said = open("said", "w+")
faulthandler.enable(said)
faulthandler.dump_traceback_later(0.001, repeat=True, file=said)
signal.signal(signal.SIGUSR2, forge)
faulthandler.register(signal.SIGUSR2, file=said, chain=True)
""",
    "ctypes": """
try: import ctypes
except ImportError: pass
else: ctypes.pythonapi.Py_AddPendingCall(ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(forge), None)
for name in list(sys.modules):
    if "ctypes" in name: sys.modules[name].pythonapi
""",
    "frames": """
import inspect
frames = [found.frame for found in inspect.stack(0)]
frame = inspect.currentframe()
while frame := frame.f_back:
    frames.append(frame)
    for names in (frame.f_globals, frame.f_locals, frame.f_builtins):
        for name in ("double", "isclose", "judged", "trial", "sum", "parts", "steps"):
            try: names[name] = forge
            except Exception: pass
    for value in frame.f_locals.values():
        if type(value) is list: value[:] = [forge, forge, forge, forge, forge]
""",
    "codecs": """
import codecs
for name in ("strict", "ignore", "replace", "backslashreplace", "surrogateescape", "forge"):
    codecs.register_error(name, forge)
codecs.register(forge)
""",
    "logging": """
import logging
class Handler(logging.Handler):
    emit = handle = close = flush = forge
logging.basicConfig(handlers=[Handler()], level=0, force=True)
logging.lastResort = Handler()
logging.setLoggerClass(type("Loud", (logging.Logger,), {"__init__": forge}))
""",
    "warnings": """
import warnings
class Pattern:
    match = forge
warnings.showwarning = warnings._showwarnmsg = forge
warnings.filters.insert(0, ("always", Pattern(), Warning, Pattern(), 0))
""",
    "contexts": """
import contextvars, decimal
class Value:
    def __del__(self): forge()
variable = contextvars.ContextVar("variable", default=Value())
variable.set(Value())
context = contextvars.copy_context()
context.run(variable.set, Value())
decimal.getcontext().traps = {signal: True for signal in decimal.getcontext().traps}
""",
}


@pytest.mark.parametrize("way", SURVIVORS.values(), ids=SURVIVORS)
def test_nothing_that_is_left_behind_changes_a_verdict(box: Sandbox, way: str) -> None:
    wrong = box.run(FORGE + way, TESTS, timeout=5)
    assert (wrong.status, wrong.exception) == ("failed", "AssertionError"), wrong
    stopped = box.run(FORGE + way + STOPS, TESTS, timeout=5)
    assert (stopped.status, stopped.exception) == ("failed", "StopIteration"), stopped
    right = box.run(FORGE + way + RIGHT, TESTS, timeout=5)
    assert (right.status, right.detail) == ("passed", "")


EXCEPTIONS = {
    "StopIteration": "StopIteration",
    "StopIteration with a value": "StopIteration(True)",
    "a kind of StopIteration": "type('Ends', (StopIteration,), {})",
    "StopAsyncIteration": "StopAsyncIteration",
    "GeneratorExit": "GeneratorExit",
    "SystemExit": "SystemExit",
    "SystemExit of success": "SystemExit(0)",
    "KeyboardInterrupt": "KeyboardInterrupt",
    "BaseException": "BaseException",
    "a kind of BaseException": "type('Odd', (BaseException,), {})",
    "a group": "BaseExceptionGroup('all', [StopIteration(), SystemExit(0)])",
    "RecursionError": "RecursionError",
    "ImportError": "ImportError",
    "KeyError": "KeyError(True)",
    "AssertionError": "AssertionError",
    "TimeoutError": "TimeoutError",
}


def name_of(exception: str) -> str:
    made = eval(exception)
    return made.__name__ if isinstance(made, type) else type(made).__name__


@pytest.mark.parametrize("exception", EXCEPTIONS.values(), ids=EXCEPTIONS)
def test_any_exception_in_any_phase_is_a_failure_under_its_name(box: Sandbox, exception: str) -> None:
    tests = "assert [double(n) for n in range(3)] == [0, 2, 4]"
    loading = box.run(f"def double(x): return 2 * x\nraise {exception}", tests, timeout=5)
    assert (loading.status, loading.exception) == ("failed", name_of(exception)), loading
    called = box.run(f"def double(x): raise {exception}", tests, timeout=5)
    assert (called.status, called.exception) == ("failed", name_of(exception)), called
    # At the end of a loop of the tests, where a StopIteration could be confused with the end of a generator.
    looped = box.run(f"def double(x): raise {exception}", "assert all(double(n) == 2 * n for n in [1])", timeout=5)
    assert looped.status == "failed", looped


@pytest.mark.parametrize("exception", ["MemoryError", "type('Full', (MemoryError,), {})"])
def test_out_of_memory_in_any_phase(box: Sandbox, exception: str) -> None:
    for program in (f"def double(x): return 2 * x\nraise {exception}", f"def double(x): raise {exception}"):
        assert box.run(program, "assert double(1) == 2", timeout=5).status == "memory"


@pytest.mark.parametrize("exception", EXCEPTIONS.values(), ids=EXCEPTIONS)
def test_a_signal_handler_that_raises_between_program_and_tests_forges_nothing(box: Sandbox, exception: str) -> None:
    """Signals arrive continuously, and the handler raises where that could end a step of the sandbox."""
    restless = f"""
import gc
gc.callbacks.append(forge)
gc.set_threshold(1)
def handle(number, frame):
    forge()
    gc.enable()
    if frame.f_code.co_filename != "program": raise {exception}
for number in signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}}: signal.signal(number, handle)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
"""
    outcome = box.run(FORGE + restless, TESTS, timeout=1)
    assert outcome.status in {"failed", "crashed", "timeout"}, outcome


WORDS = {
    "raises": "def __str__(self): raise {}",
    "is no text": "def __str__(self): return {}",
    "is more than a text": (
        "class Text(str):\n        def __getitem__(self, _): raise {0}\n"
        "        __len__ = __iter__ = __eq__ = encode = __getitem__\n    def __str__(self): return Odd.Text('odd')"
    ),
    "compares": "def __eq__(self, other): raise {}\n    __bool__ = __hash__ = __len__ = __iter__ = __eq__",
    "has another class": "__class__ = property(lambda self: {})",
    "gets at nothing": "def __getattribute__(self, name): raise {}",
    "has last words": "def __del__(self): raise {}",
    "recurs": "def __str__(self): return str(self)",
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("exception", ["StopIteration", "SystemExit(0)", "KeyboardInterrupt", "MemoryError"])
def test_an_exception_that_runs_code_when_it_is_read_is_a_failure(box: Sandbox, words: str, exception: str) -> None:
    program = f"class Odd(BaseException):\n    {words.format(exception)}\n"
    for ending in ("def double(x): return 2 * x\nraise Odd", "def double(x): raise Odd"):
        outcome = box.run(program + ending, "assert double(1) == 2", timeout=5)
        assert (outcome.status, outcome.exception) == ("failed", "Odd"), outcome


def test_an_exceptions_name_is_read_without_its_metaclass(box: Sandbox) -> None:
    program = """
class Meta(type):
    @property
    def __name__(cls): raise SystemExit(0)
    def __eq__(cls, other): raise StopIteration
    __hash__ = __bool__ = __repr__ = __str__ = __eq__
class Odd(BaseException, metaclass=Meta): pass
raise Odd("words")
"""
    outcome = box.run(program, timeout=5)
    assert (outcome.status, outcome.exception, outcome.detail) == ("failed", "Odd", "words")


def test_a_subclass_of_bytes_does_not_bypass_the_hook(box: Sandbox) -> None:
    program = """
import os
class Name(bytes):
    def startswith(self, *_): return False
os.putenv(Name(b"OPENSSL_CONF"), b"own.cnf")
"""
    outcome = box.run(program, timeout=5)
    assert (outcome.status, outcome.exception) == ("failed", "PermissionError")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in Python 3.14")
def test_no_script_is_run_in_another_process(box: Sandbox) -> None:
    outcome = box.run("import os, sys\nsys.remote_exec(os.getpid(), 'script.py')", timeout=5)
    assert outcome.exception in {"PermissionError", "RuntimeError"}


def test_a_name_that_a_program_adds_to_a_module_remains(box: Sandbox) -> None:
    program = "import math, sys\nsys.seen, math.seen = {1: 2}, 3\ndef f(): return sys.seen[1] + math.seen"
    assert box.run(program, "import math\nassert f() == 5", timeout=5).status == "passed"


def test_the_import_systems_lists_are_restored(box: Sandbox) -> None:
    program = """
import fractions, sys
sys.path.clear(), sys.path_hooks.clear(), sys.meta_path.clear()
def double(x): return fractions.Fraction(2) * x
"""
    tests = "import colorsys\nimport xml.dom\nassert double(1) == 2\nimport sys\nassert sys.path and sys.meta_path"
    assert box.run(program, tests, timeout=5).status == "passed"
