"""Searching for the regular expressions of a data set, some of which take exponential time (`(a+)+$`)."""

import re
import threading
from pathlib import Path

from dlm_length.benchmarks._worker import Worker

WORKER = Path(__file__).with_name("patterns_worker.py")
CPU_SECONDS = 5.0
"""CPU time limit per search, which usually takes milliseconds; a busy machine does not change verdicts."""
_CAN_RUN_AWAY = re.compile(r"[*+?{|(]")
"""Repetition or alternatives; without them a search takes at most text length times pattern length steps."""


class RunawayPatternError(Exception):
    """A search that exceeded its limit or ended its process; the message names the expression."""


def occurrences(pattern: str, text: str, flags: re.RegexFlag) -> int:
    """Number of matches of the pattern in the text, as by `re.findall`. Raises RunawayPatternError."""
    if not _CAN_RUN_AWAY.search(pattern):
        return len(re.findall(pattern, text, flags))
    reply = _WORKERS.worker.ask({"pattern": pattern, "text": text, "flags": int(flags)}, CPU_SECONDS)
    if isinstance(reply, str):
        after = f"took more than {CPU_SECONDS:g} s" if reply == "timeout" else "ended its process"
        raise RunawayPatternError(
            f"the data set's regular expression {pattern!r:.100} {after} on an answer of {len(text)} characters"
        )
    return int(reply["occurrences"])


class _Workers(threading.local):
    """One worker per thread, which ends when its pipe closes."""

    def __init__(self) -> None:
        self.worker = Worker(WORKER)


_WORKERS = _Workers()
