"""Dotted overrides from the command line: `policy.tau=0.95`, `policy=smartcrop`."""

from collections.abc import Iterable

from dlm_length.config.issues import Issue, RefusedError
from dlm_length.config.tree import Entry, SourceLocation, mapping, merge
from dlm_length.config.yaml import read_value


def read_overrides(overrides: Iterable[str]) -> tuple[Entry, Entry, list[Issue]]:
    """(whole fields and sections, fields inside sections, issues); of two for one field the later is used.

    Only the form is checked here; fields and values are validated together with those of YAML files.
    """
    here = SourceLocation.command_line()
    whole, inside = mapping({}, here), mapping({}, here)
    issues: list[Issue] = []
    for override in overrides:
        name, equals, text = override.partition("=")
        fields = [part.strip() for part in name.split(".")]
        if not equals:
            issues.append(
                Issue((here,), (), f"{override!r} is not an override: write FIELD=VALUE, such as policy.tau=0.9")
            )
        elif not all(fields):
            issues.append(
                Issue((here,), (), f"{override!r} has an empty field name: write FIELD=VALUE, such as policy.tau=0.9")
            )
        else:
            try:
                entry = read_value(text.strip())
            except RefusedError as refused:
                issues.append(Issue((here,), tuple(fields), refused.issue.sentence))
                continue
            if len(fields) == 1:
                whole.value[fields[0]] = entry
            else:
                inside = merge(inside, _nested(fields, entry, here))
    return whole, inside, issues


def _nested(fields: list[str], entry: Entry, place: SourceLocation) -> Entry:
    for field in reversed(fields):
        entry = mapping({field: entry}, place)
    return entry
