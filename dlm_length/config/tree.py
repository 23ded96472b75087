"""A config before validation: plain values, each with the location where it was written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class SourceLocation:
    """The location of a value. `line`: from 1; `folder`: what a relative path written there is relative to."""

    source: str
    line: int | None
    folder: Path

    @classmethod
    def in_file(cls, path: Path, line: int | None = None) -> Self:
        here = Path.cwd()
        absolute = here / path
        shown = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
        return cls(str(shown), line, absolute.parent)

    @classmethod
    def command_line(cls) -> Self:
        return cls("command line", None, Path.cwd())

    @property
    def is_command_line(self) -> bool:
        return self.source == "command line"

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Entry:
    """A value with its location. `value`: a scalar, a list of entries, or a dict of them (a mapping)."""

    value: Any
    place: SourceLocation
    text: str | None = None
    """An unquoted number as it was written: where a field takes text, `0123456` is one and keeps its zero."""

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def as_text(self) -> str | None:
        """The text of this value, or None where it is of another type."""
        return self.value if isinstance(self.value, str) else self.text

    def plain(self) -> Any:
        """The value without locations, for pydantic."""
        match self.value:
            case dict():
                return {field: entry.plain() for field, entry in self.value.items()}
            case list():
                return [entry.plain() for entry in self.value]
        return self.value

    def follow(self, path: Sequence[str | int]) -> tuple["Entry", tuple[str | int, ...]]:
        """The deepest entry along `path`, and the parts of the path that exist; others are skipped.

        Pydantic's locations have names of union members between the fields, which do not exist in the tree.
        """
        entry, existing = self, tuple[str | int, ...]()
        for part in path:
            here = entry.value
            inside = part in here if isinstance(here, dict) else isinstance(here, list) and part in range(len(here))
            if inside:
                entry, existing = here[part], (*existing, part)
        return entry, existing

    def without(self, *fields: str) -> "Entry":
        """The mapping without those fields."""
        return replace(self, value={field: entry for field, entry in self.value.items() if field not in fields})

    def with_value(self, path: Sequence[str | int], value: Any) -> "Entry":
        """The tree with another value at `path`, with the same location."""
        if not path:
            return replace(self, value=value, text=None)
        changed = self.value.copy()
        changed[path[0]] = changed[path[0]].with_value(path[1:], value)
        return replace(self, value=changed)


def mapping(fields: Mapping[str, Entry], place: SourceLocation) -> Entry:
    """A mapping of the given entries."""
    return Entry(dict(fields), place)


def merge(base: Entry, change: Entry) -> Entry:
    """`base` with the fields of `change` merged over it, recursively; lists are replaced.

    A mapping with another `name` than `base` chooses another class, so nothing of `base` is kept: its fields belong to
    the former class.
    """
    if not (base.is_mapping and change.is_mapping) or _chooses_another(base, change):
        return change
    fields = dict(base.value)
    for field, entry in change.value.items():
        fields[field] = merge(fields[field], entry) if field in fields else entry
    # Missing fields are reported at the file, not at the command line.
    return Entry(fields, base.place if change.place.is_command_line else change.place)


def _chooses_another(base: Entry, change: Entry) -> bool:
    both = "name" in base.value and "name" in change.value
    return both and bool(base.value["name"].value != change.value["name"].value)
