"""The worker of `patterns`, run as a script: reads a JSON line, writes one, and ends with its input."""

import json
import re
import signal
import sys


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        # SIGPROF without a handler ends the process, even during a search.
        signal.setitimer(signal.ITIMER_PROF, job["seconds"])
        found = len(re.findall(job["pattern"], job["text"], job["flags"]))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps({"occurrences": found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
