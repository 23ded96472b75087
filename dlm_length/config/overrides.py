"""Dotted overrides from the command line: `policy.tau=0.95`, `policy=smartcrop`."""

from collections.abc import Iterable

from dlm_length.config.faults import Fault, RefusedError
from dlm_length.config.tree import Entry, Place, mapping, merge
from dlm_length.config.yaml import read_value


def read_overrides(overrides: Iterable[str]) -> tuple[Entry, Entry, list[Fault]]:
    """(whole fields and sections, fields inside sections, faults); of two for one field the later counts.

    Only the form is checked here. Whether there is such a field, and whether the value fits, the check decides that
    YAML files meet as well.
    """
    here = Place.command_line()
    whole, inside = mapping({}, here), mapping({}, here)
    faults: list[Fault] = []
    for override in overrides:
        name, equals, text = override.partition("=")
        fields = [part.strip() for part in name.split(".")]
        if not equals:
            faults.append(Fault((here,), (), f"{override!r} is no override: write FIELD=VALUE, such as policy.tau=0.9"))
        elif not all(fields):
            faults.append(
                Fault((here,), (), f"{override!r} has an empty field name: write FIELD=VALUE, such as policy.tau=0.9")
            )
        else:
            try:
                entry = read_value(text.strip())
            except RefusedError as refused:
                faults.append(Fault((here,), tuple(fields), refused.fault.sentence))
                continue
            if len(fields) == 1:
                whole.value[fields[0]] = entry
            else:
                inside = merge(inside, _nested(fields, entry, here))
    return whole, inside, faults


def _nested(fields: list[str], entry: Entry, place: Place) -> Entry:
    for field in reversed(fields):
        entry = mapping({field: entry}, place)
    return entry
