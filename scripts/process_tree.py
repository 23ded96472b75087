"""The descendants of a process, from Linux's /proc."""

from collections.abc import Iterable, Iterator
from pathlib import Path


def processes_below(ancestor: int) -> dict[int, str]:
    """Process id and start time of every descendant of a process."""
    parents = {int(entry.name): _status(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}

    def ancestors(child: int) -> Iterator[int]:
        while (status := parents.get(child)) is not None:
            yield (child := int(status[1]))

    return {
        child: status[19]
        for child, status in parents.items()
        if status is not None and ancestor in set(ancestors(child))
    }


def start_of(process: int) -> str | None:
    """Start time of a process, in clock ticks since boot; None if it has ended or is a zombie."""
    status = _status(process)
    return None if status is None or status[0] == "Z" else status[19]


def workers_of(driver: int) -> list[int]:
    """Process ids of this project's Ray workers that a driver has started."""
    return workers_among(processes_below(driver))


def workers_among(processes: Iterable[int]) -> list[int]:
    """The processes among these that are this project's Ray workers."""
    return [process for process in processes if name_of(process).startswith("ray::Worker")]


def name_of(process: int) -> str:
    """The first word of a process's command line, which Ray sets; empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


def _status(process: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third, the state, on; None if there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
