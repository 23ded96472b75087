"""The far side of `_equivalence`: run as a script, one JSON line in, one out. Ends when its input does."""

import json
import resource
import signal
import sys
from typing import Any

MEMORY_BYTES = 2 << 30


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from math_verify import parse, verify

    for line in sys.stdin:
        job = json.loads(line)
        # By default SIGPROF ends the process: an exception would wait for native code that may never return.
        signal.setitimer(signal.ITIMER_PROF, job["seconds"])
        outcome, parsed = judge(parse, verify, job["reference"], job["answer"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps({"outcome": outcome, "parsed": parsed}) + "\n")
        sys.stdout.flush()


def judge(parse: Any, verify: Any, reference: str, answer: str) -> tuple[str, str | None]:
    found = parse(answer, parsing_timeout=None)
    if not found:
        return "unreadable", None
    gold = parse(f"\\boxed{{{reference}}}", parsing_timeout=None)
    equal = verify(gold, found, timeout_seconds=None)
    return "equal" if equal else "different", next((part for part in found if isinstance(part, str)), None)


if __name__ == "__main__":
    main()
