"""Programs that try to forge a verdict."""

import ast
import dis
import inspect

import pytest

from dlm_length.sandbox import Bubblewrap, Sandbox
from dlm_length.sandbox.supervised import BOOTSTRAP

TESTS = """
import math

METADATA = {"author": "nobody"}

def check(candidate):
    assert candidate(2) == 4
    assert abs(candidate(0.1) - 0.2) < 1e-6
    assert math.fabs(candidate(-1) + 2) < 1e-6
    assert all(candidate(n) == 2 * n for n in range(3))
    assert isinstance(candidate(1), int)
    assert sorted([candidate(2), candidate(1)]) == [2, 4]

check(double)
"""
WRONG = "def double(x):\n    return None\n"

EVERYWHERE = """
import os
def tell(*texts):
    for fd in range(3, 64):
        for text in texts:
            try: os.write(fd, text)
            except OSError: pass
"""

FORGERIES = {
    "exit": "import sys; sys.exit(0)",
    "SystemExit": "raise SystemExit",
    "_exit": "import os; os._exit(0)",
    "exit inside": "import os\ndef double(x): os._exit(0)",
    "abort": "import os; os.abort()",
    "print": 'import os\nprint(\'{"status": "passed"}\', flush=True)\nos._exit(0)',
    "print as exception": 'raise type("passed", (Exception,), {})("passed")',
    "exception's name": (
        "class M(type):\n    __name__ = property(lambda c: 'x\\npassed')\n"
        "class E(BaseException, metaclass=M):\n    pass\nraise E"
    ),
    "exception's words": "class E(BaseException):\n    def __str__(self): raise SystemExit(0)\nraise E",
    "exception is not bytes": (
        "import json\nclass B:\n    def encode(self): return self\n    def __radd__(self, other): return b'passed'\n"
        "json.dumps = lambda *_: B()\nraise ValueError"
    ),
    "exec": "import builtins\nbuiltins.exec = lambda *_: None\n" + WRONG,
    "compile": "import builtins\nbuiltins.compile = lambda *_, **__: 'None'\n" + WRONG,
    "builtins": (
        "import builtins\nfor name in ('all', 'abs', 'sorted', 'isinstance', 'print', 'range', '__build_class__'):\n"
        "    setattr(builtins, name, lambda *_: 0)\n" + WRONG
    ),
    "builtins emptied": "__builtins__.clear() if isinstance(__builtins__, dict) else vars(__builtins__).clear()\n",
    "own builtins": "__builtins__ = {'abs': lambda x: 0, 'all': lambda x: True}\n" + WRONG,
    "AssertionError": "import builtins\nbuiltins.AssertionError = builtins.BaseException = SystemExit\n" + WRONG,
    "json": "import json\njson.dumps = lambda *_, **__: 'passed'\nassert False",
    "os.write": "import os\nwrite = os.write\nos.write = lambda fd, report: write(fd, report[:16] + b'passed')\n"
    + WRONG,
    "os._exit": "import os\nos._exit = lambda *_: None\n" + WRONG,
    "modules": "import sys\nsys.modules.clear()\n" + WRONG,
    "own modules": (
        "import sys, types\nfake = types.ModuleType('math')\nfake.fabs = lambda x: 0\n"
        "sys.modules = {'math': fake, 'os': fake}\n" + WRONG
    ),
    "check": "def check(candidate): pass\n" + WRONG,
    "atexit": EVERYWHERE + "import atexit\natexit.register(tell, b'passed')\n" + WRONG,
    "pipes": EVERYWHERE + "tell(b'passed', b'\\0' * 16 + b'passed')\nos._exit(0)",
    "pipes read": EVERYWHERE + "said = []\nfor fd in range(3, 64):\n    try:\n        os.set_blocking(fd, False)\n"
    "        said.append(os.read(fd, 16))\n    except OSError: pass\ntell(*(s + b'passed' for s in said))\nos._exit(0)",
    "descriptors closed": "import os\nos.closerange(0, 256)\n" + WRONG,
    "descriptors flooded": (
        "import os\nfor fd in range(3, 64):\n    try:\n        os.set_blocking(fd, False)\n"
        "        while True: os.write(fd, b'passed' * 1000)\n    except OSError: pass\n" + WRONG
    ),
    "thread": EVERYWHERE + "import threading, time\ndef run():\n    while True: tell(b'passed'); time.sleep(0.001)\n"
    "threading.Thread(target=run).start()\n" + WRONG,
    "fork": "import os\nif os.fork(): os._exit(0)",
    "fork goes on": EVERYWHERE + "if os.fork() == 0: tell(b'passed'); os._exit(0)\nos.wait()\n" + WRONG,
    "kill": "import os, signal\nos.kill(os.getppid() or os.getpid(), signal.SIGKILL)\nraise ValueError",
    "stop": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n" + WRONG,
    "frames": EVERYWHERE
    + """
import sys, itertools
def walk(value, depth=0):
    if isinstance(value, (bytes, bytearray)):
        yield bytes(value)
    elif depth < 4 and isinstance(value, dict):
        for inner in list(value.values()): yield from walk(inner, depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple, set)):
        for inner in list(value): yield from walk(inner, depth + 1)
frame, found = sys._getframe(), set()
while frame:
    for names in (frame.f_locals, frame.f_globals): found |= set(walk(dict(names)))
    frame = frame.f_back
tell(*(text + b'passed' for text in found), *(text[:16] + b'passed' for text in found))
os._exit(0)
""",
    "frames patched": """
import sys
frame = sys._getframe()
while frame := frame.f_back:
    for name in ("description_of", "trial_names", "json", "os", "exec", "frozenset", "job", "module", "code", "trial"):
        frame.f_globals[name] = lambda *_: {}
        try: frame.f_locals[name] = lambda *_: {}
        except Exception: pass
raise ValueError
""",
    "functions patched": """
import sys
def passed(*_): return b"passed"
frame = sys._getframe()
while frame := frame.f_back:
    for value in list(frame.f_globals.values()):
        if hasattr(value, "__code__") and value.__name__ not in ("__init__",):
            try: value.__code__ = passed.__code__
            except Exception: pass
raise ValueError
""",
    "main": "import __main__\n__main__.description_of = lambda *_: b'passed'\nraise ValueError",
    "collector": "import gc\ngc.get_objects()\n" + WRONG,
    "a function of ours": """
import sys
def passes(*given):
    class Names(dict):
        def __setitem__(self, name, value): pass
        def __getitem__(self, name): return lambda *_: None
    return Names(__builtins__=given[0])
frame = sys._getframe()
while frame := frame.f_back:
    for name in ("trial_names", "judged", "attempt", "trial", "description_of", "attributes", "import_first"):
        if name in frame.f_globals:
            try: frame.f_globals[name].__code__ = passes.__code__
            except PermissionError: frame.f_globals[name] = passes
"""
    + WRONG,
    "a function's defaults": "import json\njson.dumps.__kwdefaults__ = {}\n" + WRONG,
    "frames of a traceback": """
import sys
try: sys.settrace(print)
except PermissionError as error: trace = error.__traceback__
while trace:
    for names in (trace.tb_frame.f_globals, trace.tb_frame.f_locals):
        for name in list(names):
            try: names[name] = lambda *_, **__: True
            except Exception: pass
    trace = trace.tb_next
"""
    + WRONG,
    "locals of frames": """
import sys
frame = sys._getframe()
while frame := frame.f_back:
    for name in list(frame.f_locals):
        frame.f_locals[name] = lambda *_, **__: True
"""
    + WRONG,
    "built-ins of frames": """
import sys
frame = sys._getframe()
while frame := frame.f_back:
    for name in ("all", "map", "exec", "type", "globals", "frozenset", "compile"):
        frame.f_builtins[name] = lambda *_, **__: True
"""
    + WRONG,
    "descriptors exchanged": """
import os, stat, subprocess, sys
def is_pipe(fd):
    try: return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError: return False
pipes = [fd for fd in range(3, 64) if is_pipe(fd)]
kept = [os.dup(fd) for fd in pipes]
out, own = os.pipe()
ready, tell = os.pipe()
for fd in pipes: os.dup2(own, fd)
steal = "import os, sys\\nos.write(int(sys.argv.pop()), b'x')\\ntold = os.read(int(sys.argv[1]), 4096)\\n" \
        "for fd in sys.argv[2:]: os.write(int(fd), report[:16] + b'passed')"
subprocess.Popen([sys.executable, "-S", "-c", steal, *map(str, (out, *kept, tell))], pass_fds=(out, *kept, tell))
os.read(ready, 1)
"""
    + WRONG,
    "shared memory": """
import gc, mmap, weakref
for found in (*mmap.mmap.__subclasses__(), *weakref.getweakrefs(mmap.mmap)): found
for name in dir(mmap): getattr(mmap, name)
gc.get_referrers(mmap.mmap)
"""
    + WRONG,
    "hook": """
import sys
def hook(event, arguments):
    if event in ("exec", "import"):
        frame = sys._getframe()
        while frame := frame.f_back: frame.f_globals["check"] = frame.f_globals["double"] = lambda *_: None
        raise SystemExit(0)
sys.addaudithook(hook)
"""
    + WRONG,
    "profiler": "import cProfile\ncProfile.Profile(lambda: 1.0).enable()\n" + WRONG,
    "trace by threading": (
        "import threading\nthreading.settrace(lambda *_: None)\nthreading.setprofile(lambda *_: None)\n"
        "for name in ('settrace_all_threads', 'setprofile_all_threads'): getattr(threading, name, max)(print)\n" + WRONG
    ),
    "threads at exit": (
        "import threading\nthreading._register_atexit(print)\nthreading.excepthook = lambda *_: None\n"
        "threading._shutdown = lambda: None\n" + WRONG
    ),
    "generator": (
        "import sys\ndef g():\n    yield\n    frame = sys._getframe()\n    while frame := frame.f_back:\n"
        "        frame.f_globals.update(check=lambda *_: None)\ndouble = g().__next__\ndouble()\n"
    ),
    "weak references": """
import sys, weakref
def gone(_):
    frame = sys._getframe()
    while frame := frame.f_back: frame.f_globals["check"] = lambda *_: None
class Mark: pass
marks = [Mark()]
kept = [weakref.ref(marks[0], gone), weakref.ref(sys._getframe(1).f_code, gone)]
import math
math.fabs, marks = marks.pop(), None
"""
    + WRONG,
    "class of a module": """
import sys, types
class Lying(types.ModuleType):
    def __getattribute__(self, name): return lambda *_, **__: 0
sys.modules["math"].__class__ = Lying
"""
    + WRONG,
    "native by another name": """
import importlib.util, os, sys
folder = next(path for path in sys.path if path.endswith("lib-dynload"))
file = next(entry.path for entry in os.scandir(folder) if entry.name.startswith("_ctypes."))
importlib.util.module_from_spec(importlib.util.spec_from_file_location("x._ctypes", file))
"""
    + WRONG,
    "native by a name that lies": """
import importlib.util, os, sys
class Name(str):
    def __eq__(self, other): return True
    def __hash__(self): return hash("_json")
folder = next(path for path in sys.path if path.endswith("lib-dynload"))
file = next(entry.path for entry in os.scandir(folder) if entry.name.startswith("_ctypes."))
spec = importlib.util.spec_from_file_location("x", file)
spec.name = Name("x")
importlib.util.module_from_spec(spec)
"""
    + WRONG,
    "native by a roundabout way": """
import importlib.util, os, shutil, sys
folder = next(path for path in sys.path if path.endswith("lib-dynload"))
shutil.copy(next(entry.path for entry in os.scandir(folder) if entry.name.startswith("_ctypes.")), "other.so")
spec = importlib.util.spec_from_file_location("_json", folder + "/" + "../" * 20 + os.path.abspath("other.so")[1:])
importlib.util.module_from_spec(spec)
"""
    + WRONG,
    "Tcl": "import _tkinter\n_tkinter.create(None, 'x', 'Tk', 0, 1, 0).eval('load other.so')\n" + WRONG,
    "OpenSSL's configuration": "import os\nos.environ['OPENSSL_CONF'] = 'own.cnf'\nimport hashlib\n" + WRONG,
    "ctypes by frames": "import sys\nsys._getframe(1).f_globals['ctypes'].memmove\n" + WRONG,
    "referents": "import gc, sys\ngc.get_referents(sys._getframe().f_back)\n" + WRONG,
    "every thread's frames": "import sys\nsys._current_frames()\n" + WRONG,
    "jump": """
import sys
def jump(frame, event, _):
    if frame.f_code.co_name == "attempt" and event == "line":
        try: frame.f_lineno += 2
        except ValueError: pass
    return jump
frame = sys._getframe()
while frame := frame.f_back: frame.f_trace = jump
sys.settrace(jump)
raise ValueError
""",
    "profile": "import sys\nsys.setprofile(lambda *_: None)\n" + WRONG,
    "ctypes": "import ctypes\n" + WRONG,
    "_ctypes": "import _ctypes\n" + WRONG,
    "_testcapi": "import _testcapi\n" + WRONG,
    "native": """
import os, shutil, sys, importlib.util
folder = next(path for path in sys.path if path.endswith("lib-dynload"))
shutil.copy(next(entry.path for entry in os.scandir(folder) if entry.name.startswith("_ctypes.")), "other.so")
spec = importlib.util.spec_from_file_location("_ctypes", "other.so")
importlib.util.module_from_spec(spec)
"""
    + WRONG,
    "interpreters": "import importlib\nfor n in ('_xxsubinterpreters', '_interpreters'): importlib.import_module(n)\n"
    + WRONG,
    "timer": """
import signal
def interrupt(*_): raise SystemExit(0)
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while True: pass
""",
    "finaliser": EVERYWHERE + "class D:\n    def __del__(self): tell(b'passed')\nd = D()\n" + WRONG,
    "evil names": """
import sys
class Name(str):
    def __hash__(self):
        frame = sys._getframe()
        while frame := frame.f_back:
            for name in ("trial", "run", "tests", "builtins"):
                try: frame.f_locals[name] = compile("pass", "x", "exec")
                except Exception: pass
        return 1
    def __eq__(self, other): return True
globals()[Name("double")] = lambda x: None
"""
    + WRONG,
    "recursion": "import sys\ndef double(x): return double(x)\n",
}


QUIET = """
import math
assert math.isclose(double(1), 4)
"""
PATCH = """
import gc, math, os, signal, sys, time
def isclose(*_, **__): return True
def patch(*_):
    math.isclose = isclose
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_code.co_filename == "tests": os._exit(3)
def double(x): return 4 * x + 1
"""
UNBIDDEN = {
    "last words": """
class Words:
    def __del__(self): patch()
for module in list(sys.modules.values()):
    if "__doc__" in vars(module): module.__doc__ = Words()
""",
    "names that run": """
class Name(str):
    def __hash__(self): return hash("isclose")
    def __eq__(self, other):
        patch()
        return False
vars(math)[Name("isclose")] = isclose
""",
    "names that are not there": "del math.isclose\nmath.__getattr__ = lambda name: isclose\n",
    "signal": """
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try: signal.signal(number, patch)
    except OSError: pass
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.001)
time.sleep(0.1)
""",
    "collector": "gc.callbacks.append(patch)\ngc.set_threshold(1)\n",
    "garbage": """
class Words:
    def __init__(self): self.me = self
    def __del__(self): patch(); Words()
for _ in range(10): Words()
gc.set_threshold(1)
""",
    "handler in a handler": """
class Words:
    def __call__(self, *_): patch()
    def __del__(self): signal.signal(signal.SIGUSR1, Words())
signal.signal(signal.SIGUSR1, Words())
""",
    "weak reference": """
import weakref
class Mark: pass
mark = math.pi = Mark()
kept = weakref.ref(mark, patch)
del mark
""",
    "import": """
import builtins
def find(name, *rest):
    patch()
    return found(name, *rest)
found = builtins.__import__
builtins.__import__ = find
class Finder:
    def find_spec(self, *_): patch()
sys.meta_path.insert(0, Finder())
del sys.modules["math"]
""",
}


@pytest.mark.parametrize("way", UNBIDDEN.values(), ids=UNBIDDEN)
def test_no_code_of_the_program_runs_between_it_and_the_tests_unless_called(box: Sandbox, way: str) -> None:
    outcome = box.run(PATCH + way, QUIET, timeout=5)
    assert (outcome.status, outcome.exception) == ("failed", "AssertionError"), outcome
    assert box.run(PATCH + way + "\ndef double(x): return 4 * x", QUIET, timeout=5).status == "passed"


def test_the_code_after_the_program_looks_up_no_name_that_it_could_replace() -> None:
    judged = next(
        node for node in ast.walk(ast.parse(BOOTSTRAP.read_text())) if getattr(node, "name", None) == "judged"
    )
    code = next(filter(inspect.iscode, compile(ast.unparse(judged), "judged", "exec").co_consts))
    codes = [code, *(inner for inner in code.co_consts if inspect.iscode(inner))]
    used = [step for code in codes for step in dis.get_instructions(code)]
    assert len(used) > 50
    assert not [step for step in used if step.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME", "IMPORT"))]


def test_nothing_of_ctypes_is_left_in_bubblewraps_candidate(bubblewrap: Bubblewrap) -> None:
    """The types of ctypes could call a function at any address."""
    find = """
def below(kind, seen=set()):
    for inner in type.__subclasses__(kind):
        if inner not in seen:
            seen.add(inner)
            below(inner)
    return seen
raise ValueError(sorted(kind.__name__ for kind in below(object) if kind.__module__.lstrip("_") == "ctypes"))
"""
    assert bubblewrap.run(find, timeout=10).detail == "[]"


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_no_pass_is_forged(box: Sandbox, forgery: str) -> None:
    outcome = box.run(forgery, TESTS, timeout=0.5)
    assert outcome.status in {"failed", "crashed", "timeout", "memory"}, outcome
    assert len(outcome.exception) <= 100
    assert len(outcome.detail) <= 500


REFUSED = {
    "a function's defaults": "PermissionError",
    "collector": "PermissionError",
    "profile": "PermissionError",
    "class of a module": "PermissionError",
    "native": "ImportError",
    "native by another name": "ImportError",
    "native by a name that lies": "ImportError",
    "native by a roundabout way": "ImportError",
    "Tcl": "ImportError",
    "OpenSSL's configuration": "PermissionError",
}


@pytest.mark.parametrize("name", REFUSED)
def test_ways_into_the_interpreter_are_refused(box: Sandbox, name: str) -> None:
    outcome = box.run(FORGERIES[name], timeout=5)
    assert outcome.exception == REFUSED[name]
    assert outcome.detail.endswith("is refused in the sandbox")


def test_a_programs_own_hook_is_not_installed(box: Sandbox) -> None:
    """Python suppresses the error of the refused audit event."""
    listen = "import sys\nheard = []\nsys.addaudithook(lambda *event: heard.append(event))\nopen('x', 'w').close()\n"
    assert box.run(listen + "assert not heard", timeout=5).status == "passed"


def test_the_standard_librarys_extension_modules_can_be_imported(box: Sandbox) -> None:
    names = ("_bisect", "_decimal", "_hashlib", "_heapq", "_json", "_random", "_sqlite3", "array", "cmath", "math")
    assert box.run("".join(f"import {name}\n" for name in names), timeout=5).status == "passed"


def test_the_tests_cannot_be_read_before_they_run(box: Sandbox) -> None:
    peek = """
import sys, types
def strings(value, depth=0):
    if isinstance(value, types.CodeType): value = value.co_consts
    if isinstance(value, str): yield value
    elif depth < 5 and isinstance(value, dict):
        for inner in list(value.values()): yield from strings(inner, depth + 1)
    elif depth < 5 and isinstance(value, (list, tuple)):
        for inner in value: yield from strings(inner, depth + 1)
frame, found = sys._getframe(), []
while frame := frame.f_back: found += [*strings(dict(frame.f_locals)), *strings(dict(frame.f_globals))]
assert found and not any(" ".join(("the answer", "is 42")) in text for text in found)
"""
    assert box.run(peek, "assert 'the answer is 42'", timeout=10).status == "passed"


def test_a_correct_program_passes(box: Sandbox) -> None:
    assert box.run("def double(x): return 2 * x", TESTS, timeout=10).status == "passed"


def test_a_builtins_name_is_the_programs_only_if_it_is_an_entry_point(box: Sandbox) -> None:
    program = "def sum(a, b): return a - b\ndef abs(x): return 7\nSIZE = 3"
    assert (
        box.run(program, "assert sum(3, 1) == 2\nassert SIZE == 3", entry_points={"sum"}, timeout=5).status == "passed"
    )
    assert box.run(program, "assert sum([3, 1]) == 4\nassert abs(-1) == 1", timeout=5).status == "passed"


def test_the_program_keeps_its_own_builtins_and_patches(box: Sandbox) -> None:
    """Only the tests are protected from its changes."""
    program = (
        "import builtins\nabs = lambda x: 'mine'\nbuiltins.helper = lambda: 5\n"
        "def f():\n    return abs(1), helper(), __name__"
    )
    assert box.run(program, "assert f() == ('mine', 5, 'program'), f()", timeout=5).status == "passed"


HONEST = {
    "doctest": "import doctest\ndef f():\n    '''\n    >>> f()\n    1\n    '''\n    return 1\ndoctest.testmod()",
    "asyncio": "import asyncio\nasync def g(): return 1\ndef f(): return asyncio.run(g())",
    "sqlite": "import sqlite3\ndef f(): return sqlite3.connect(':memory:').execute('select 1').fetchone()[0]",
    "imports": (
        "import decimal, fractions, hashlib, logging, multiprocessing, random, socket, unittest, uuid, zlib\n"
        "def f(): return 1"
    ),
    "thread": """
import threading
def f():
    said = []
    thread = threading.Thread(target=lambda: said.append(1))
    thread.start()
    thread.join()
    return said[0]
""",
    "lasting thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\ndef f(): return 1"
    ),
    "stdout": "import sys, io\nsys.stdout = io.StringIO()\nprint('x')\ndef f():\n    print('y')\n    return 1",
    "classes": """
import pickle
from collections import namedtuple
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
P = namedtuple("P", "x", defaults=[1])
@dataclass
class D:
    x: int = 1
class N(NamedTuple):
    x: int = 1
class E(Enum):
    A = 1
def f(): return pickle.loads(pickle.dumps(D())).x * P().x * N().x * E.A.value
""",
    "recursion": "import functools\n@functools.cache\ndef g(n): return n < 2 or g(n - 1)\ndef f(): return g(200) and 1",
}


@pytest.mark.parametrize("program", HONEST.values(), ids=HONEST)
def test_honest_programs_are_not_affected(box: Sandbox, program: str) -> None:
    outcome = box.run(program, "import decimal\nassert f() == 1", timeout=10)
    assert (outcome.status, outcome.detail) == ("passed", "")


def test_a_value_that_equals_everything_passes(box: Sandbox) -> None:
    """A known limit: program and tests share a process, as in every harness of the field."""
    liar = "class Equal:\n    def __eq__(self, other): return True\ndef f(x): return Equal()"
    assert box.run(liar, "assert f(2) == 4", timeout=5).status == "passed"
