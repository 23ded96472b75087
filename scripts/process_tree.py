"""The processes that a process has started, as Linux lists them in /proc."""

from collections.abc import Iterable, Iterator
from pathlib import Path


def processes_below(ancestor: int) -> dict[int, str]:
    """The processes that a process has started, directly or not, each with its start."""
    parents = {int(entry.name): _status(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}

    def above(child: int) -> Iterator[int]:
        while (status := parents.get(child)) is not None:
            yield (child := int(status[1]))

    return {
        child: status[19] for child, status in parents.items() if status is not None and ancestor in set(above(child))
    }


def start_of(process: int) -> str | None:
    """When a process began, in the kernel's count; None where it is over, or a zombie."""
    status = _status(process)
    return None if status is None or status[0] == "Z" else status[19]


def workers_of(driver: int) -> list[int]:
    """Process numbers of the Ray workers of ours that a driver has started."""
    return workers_among(processes_below(driver))


def workers_among(processes: Iterable[int]) -> list[int]:
    """Those of the processes that are Ray workers of ours."""
    return [process for process in processes if name_of(process).startswith("ray::Worker")]


def name_of(process: int) -> str:
    """The first word of its command line, which Ray sets; empty where it is over."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


def _status(process: int) -> list[str] | None:
    """Fields of /proc/N/stat from the third, the state; None where there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
