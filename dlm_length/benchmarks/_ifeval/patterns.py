"""Searching for a data set's own regular expressions, some of which never come to an end (`(a+)+$`)."""

import re
import threading
from pathlib import Path

from dlm_length.benchmarks._worker import Worker

WORKER = Path(__file__).with_name("patterns_worker.py")
CPU_SECONDS = 5.0
"""For one search, which otherwise takes milliseconds. CPU time, so that a busy machine does not change verdicts."""
_CAN_RUN_AWAY = re.compile(r"[*+?{|(]")
"""Without repetition and alternatives a search takes no more steps than the text's length times the pattern's."""


class RunawayPatternError(Exception):
    """A search that was given up; says which."""


def occurrences(pattern: str, text: str, flags: re.RegexFlag) -> int:
    """How often the pattern is found in the text, as `re.findall` counts. Raises RunawayPatternError."""
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
    """A worker for each thread that scores; it ends when its pipe closes."""

    def __init__(self) -> None:
        self.worker = Worker(WORKER)


_WORKERS = _Workers()
