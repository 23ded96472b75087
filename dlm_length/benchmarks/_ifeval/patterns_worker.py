"""The far side of `patterns`: run as a script, one JSON line in, one out. Ends when its input does."""

import json
import re
import signal
import sys


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        # By default SIGPROF ends the process, whatever the search is at.
        signal.setitimer(signal.ITIMER_PROF, job["seconds"])
        found = len(re.findall(job["pattern"], job["text"], job["flags"]))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps({"occurrences": found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
