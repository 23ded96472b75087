"""Programs that want a verdict they did not earn."""

import pytest

from dlm_length.sandbox import Sandbox

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
def tell(*told):
    for fd in range(3, 64):
        for text in told:
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
    "os.write": "import os\nwrite = os.write\nos.write = lambda fd, told: write(fd, told[:16] + b'passed')\n" + WRONG,
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
    for name in ("told_of", "trial_names", "json", "os", "exec", "frozenset", "job", "module", "code", "trial"):
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
    "main": "import __main__\n__main__.told_of = lambda *_: b'passed'\nraise ValueError",
    "collector": "import gc\ngc.get_objects()\n" + WRONG,
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


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_no_pass_is_forged(box: Sandbox, forgery: str) -> None:
    outcome = box.run(forgery, TESTS, timeout=0.5)
    assert outcome.status in {"failed", "crashed", "timeout", "memory"}, outcome
    assert len(outcome.exception) <= 100
    assert len(outcome.detail) <= 500


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


def test_a_pass_that_is_earned_is_given(box: Sandbox) -> None:
    assert box.run("def double(x): return 2 * x", TESTS, timeout=10).status == "passed"


def test_a_name_of_the_tests_own_is_the_programs_only_where_the_tests_call_it(box: Sandbox) -> None:
    program = "def sum(a, b): return a - b\ndef abs(x): return 7\nSIZE = 3"
    assert (
        box.run(program, "assert sum(3, 1) == 2\nassert SIZE == 3", entry_points={"sum"}, timeout=5).status == "passed"
    )
    assert box.run(program, "assert sum([3, 1]) == 4\nassert abs(-1) == 1", timeout=5).status == "passed"


def test_the_program_keeps_its_own_builtins_and_patches(box: Sandbox) -> None:
    """It is the tests that are shielded."""
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
def test_honest_programs_do_not_notice(box: Sandbox, program: str) -> None:
    outcome = box.run(program, "import decimal\nassert f() == 1", timeout=10)
    assert (outcome.status, outcome.detail) == ("passed", "")


def test_the_fields_known_limit_is_ours_too(box: Sandbox) -> None:
    """A value that says it equals everything: program and tests share a process, as in every harness."""
    liar = "class Equal:\n    def __eq__(self, other): return True\ndef f(x): return Equal()"
    assert box.run(liar, "assert f(2) == 4", timeout=5).status == "passed"
