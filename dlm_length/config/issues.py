"""Issues of a config, which are all collected before any is reported."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlm_length.common import ConfigError
from dlm_length.config.tree import SourceLocation


@dataclass(frozen=True)
class Issue:
    """One thing to fix: its locations, the field, and a sentence on what was found and what is allowed."""

    locations: tuple[SourceLocation, ...]
    path: tuple[str | int, ...]
    sentence: str

    def __str__(self) -> str:
        where = ", ".join(dict.fromkeys(str(place) for place in self.locations))
        return ": ".join(part for part in (where, dotted(self.path), self.sentence) if part)


class RefusedError(Exception):
    """Stops reading or looking up a config; its issue is collected with the others and reported with them."""

    def __init__(self, place: SourceLocation, path: Sequence[str | int], sentence: str) -> None:
        super().__init__(sentence)
        self.issue = Issue((place,), tuple(path), sentence)


def _reading_order(issue: Issue) -> tuple[bool, str, int]:
    place = issue.locations[0]
    return place.is_command_line, place.source, place.line or 0


def dotted(path: Iterable[str | int]) -> str:
    """`benchmark.sample_ids[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def config_error(config: str, issues: Sequence[Issue]) -> ConfigError:
    """One error with all issues, a line each, in the order of the files' lines."""
    if len(issues) == 1:
        return ConfigError(str(issues[0]))
    lines = "\n".join(f"  {issue}" for issue in sorted(issues, key=_reading_order))
    return ConfigError(f"config {config!r} has {len(issues)} issues:\n{lines}")
