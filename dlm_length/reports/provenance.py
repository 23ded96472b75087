"""How a report and the runs behind it were made: version, commit, device, dtype, torch, dates and commands.

The report's own date is not included: reports of the same runs by the same command are equal, byte by byte.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlm_length.common import counted, first_few
from dlm_length.common.program import git_commit, package_version
from dlm_length.records import RunFolder

_MADE_WITH = ("dlmlen", "git_commit", "torch", "device", "device_name", "dtype")
"""Fields of a session by which runs are grouped in the sentences."""


@dataclass(frozen=True)
class Provenance:
    """How a report and its runs were made."""

    command: str | None
    """The command that wrote the report; None where it was not written by one."""
    version: str
    commit: str | None
    runs: Mapping[Path, Sequence[Mapping[str, Any]]]
    """The sessions in each run's environment.json, by the run's folder."""

    @property
    def date(self) -> datetime | None:
        """When the newest of the runs was started or continued; None where no run says so."""
        started = [str(session["started"]) for _, session in self._sessions if "started" in session]
        return max(map(datetime.fromisoformat, started), default=None)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The provenance in sentences."""
        by = f" by “{self.command}”" if self.command else ""
        return (f"Report{by}, dlmlen {_commit(self.version, self.commit)}.", *self._made(), *self._commands())

    def as_json(self) -> dict[str, Any]:
        """The provenance for programs."""
        report = {"command": self.command, "dlmlen": self.version, "git_commit": self.commit}
        return {"report": report, "runs": {str(path): list(sessions) for path, sessions in self.runs.items()}}

    @property
    def _sessions(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        return ((path, session) for path, sessions in self.runs.items() for session in sessions)

    def _made(self) -> Iterator[str]:
        alike: dict[tuple[Any, ...], list[tuple[Path, Mapping[str, Any]]]] = {}
        for path, session in self._sessions:
            alike.setdefault(tuple(session.get(field) for field in _MADE_WITH), []).append((path, session))
        for (version, commit, torch, device, name, dtype), made in alike.items():
            days = sorted({str(session["started"])[:10] for _, session in made if "started" in session})
            when = "" if not days else f", on {days[0]}" if len(days) == 1 else f", from {days[0]} to {days[-1]}"
            runs = len({path for path, _ in made})
            yield (
                f"{counted(runs, 'run')} made with dlmlen {_commit(version, commit)},"
                f" torch {torch or 'unknown'}, on {device or 'an unknown device'} ({name or 'unknown'})"
                f" in {dtype or 'an unknown dtype'}{when}."
            )
        if silent := [path.name for path, sessions in self.runs.items() if not sessions]:
            how = "does not say how it was" if len(silent) == 1 else "do not say how they were"
            yield f"{len(silent):,} of {counted(len(self.runs), 'run')} {how} made: {first_few(silent)}."

    def _commands(self) -> Iterator[str]:
        recorded = (str(session["command"]) for _, session in self._sessions if "command" in session)
        # Under `python -c`, Python's name of the program is `-c`.
        commands = list(dict.fromkeys(re.sub(r"^-c ", "dlmlen ", command) for command in recorded))
        if commands:
            yield f"Runs by {first_few([f'“{command}”' for command in commands])}."


def provenance(runs: Sequence[Path], command: str | None) -> Provenance:
    """The provenance of a report of these runs. Raises RecordError where an environment.json cannot be read."""
    sessions = {path: RunFolder(path).sessions for path in sorted(runs)}
    return Provenance(command, package_version(), git_commit(), sessions)


def source_date_epoch(made: Provenance) -> Mapping[str, str]:
    """Environment variables that make LaTeX date a PDF by its newest run, unless the user has set a date."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return {"FORCE_SOURCE_DATE": "1"}
    date = made.date or datetime.fromtimestamp(0, UTC)
    return {"SOURCE_DATE_EPOCH": str(int(date.timestamp())), "FORCE_SOURCE_DATE": "1"}


def _commit(version: str | None, commit: str | None) -> str:
    return f"{version or 'of unknown version'}{f' (commit {commit})' if commit else ''}"
