"""Validating a tree: a RunConfig, or everything that is wrong with it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from dlm_length.benchmarks import Benchmark
from dlm_length.common import ConfigError, Named, Parameters, listing, suggestion
from dlm_length.common.plugin_faults import class_faults_named, result_of
from dlm_length.config.describe import allowed_at, choices_at, fields_at, kind_of, shown
from dlm_length.config.issues import Issue
from dlm_length.config.run_config import RunConfig
from dlm_length.config.sections import SECTIONS, Section
from dlm_length.config.tree import Entry, SourceLocation
from dlm_length.config.yaml import read_value
from dlm_length.policies import Policy

Checked = TypeVar("Checked", bound=Parameters)


def check(tree: Entry, unresolved: Collection[str]) -> tuple[RunConfig | None, list[Issue]]:
    """The run that `tree` describes, None where there are issues.

    `unresolved`: sections whose name was not found. That is reported already, so they are skipped.
    """
    tree = _with_models_preset(tree)
    issues: list[Issue] = []
    parts: dict[str, Any] = {}
    for field, section in SECTIONS.items():
        if field in tree.value and field not in unresolved:
            parts[field], own = _check_section(field, section, tree.value[field])
            issues += own
    settled = {*unresolved, *(field for field, part in parts.items() if part is None)}
    others = tree.without(*SECTIONS)
    config, own = _validate(RunConfig, others, (), {field: part for field, part in parts.items() if part is not None})
    issues += [issue for issue in own if settled.isdisjoint(issue.path[:1])]
    return (None if issues else config), issues


def _with_models_preset(tree: Entry) -> Entry:
    """The tree with the preset of its model in its policy, if the policy takes one and names none itself."""
    model, policy = tree.value.get("model"), tree.value.get("policy")
    if not (model and policy and model.is_mapping and policy.is_mapping) or "preset" in policy.value:
        return tree
    preset, name = model.value.get("preset"), policy.value.get("name")
    if preset is None or preset.value is None or name is None:
        return tree
    chosen = _choose("policy", SECTIONS["policy"], policy)
    if isinstance(chosen, Issue) or "preset" not in chosen.model_fields:
        return tree
    with_preset = replace(policy, value={**policy.value, "preset": preset})
    return replace(tree, value={**tree.value, "policy": with_preset})


def check_section(field: str, tree: Entry, unresolved: Collection[str]) -> tuple[Parameters | None, list[Issue]]:
    """One section of `tree`, validated as `check` does."""
    return (None, []) if field in unresolved else _check_section(field, SECTIONS[field], tree.value[field])


def _check_section(field: str, section: Section, entry: Entry) -> tuple[Parameters | None, list[Issue]]:
    if not entry.is_mapping:
        by_name = f"a name ({listing(section.names())}) or " if section.folder else ""
        fields = "" if section.folder else f" of {', '.join(section.classes()[0].model_fields)}"
        sentence = f"{_found(entry)}; allowed: {by_name}a mapping{fields}"
        return None, [Issue((entry.place,), (field,), sentence)]
    chosen = section.schema or _choose(field, section, entry)
    if not isinstance(chosen, type):
        return None, [chosen]
    part, issues = _validate(chosen, entry, (field,), {})
    if isinstance(part, Policy | Benchmark):  # every table and record has the label
        result_of(part, "label", lambda: part.label, str, "text")
    return part, issues


def _choose(field: str, section: Section, entry: Entry) -> type[Named] | Issue:
    """The class that the mapping's `name` chooses, among those of its `file` where it names one."""
    name, file = entry.value.get("name"), entry.value.get("file")
    if file is None or section.in_file is None:
        registered, where = section.registered(), ""
    elif file.as_text is None:
        return Issue((file.place,), (field, "file"), f"{_found(file)}; allowed: the path of a Python file")
    else:
        try:
            registered, where = section.in_file(Path(file.as_text)), f" in {file.as_text}"
        except ConfigError as error:
            return Issue((file.place,), (field, "file"), str(error))
    there_are = f"there are {listing(registered)}"
    if name is None:
        return Issue((entry.place,), (field, "name"), f"missing: it says which {field} this is; {there_are}")
    if name.as_text in registered:
        return _edited_since(field, entry, registered[name.as_text]) or registered[name.as_text]
    near = suggestion(name.as_text, registered) if name.as_text else ""
    return Issue(
        (name.place,), (field, "name"), f"no {field} is named {shown(name.plain())}{where}; {there_are}.{near}"
    )


def _edited_since(field: str, entry: Entry, chosen: type[Named]) -> Issue | None:
    """An issue if the file of a recorded config was edited after its run; else None."""
    recorded = entry.value.get("file_sha256")
    if recorded is None or "file_sha256" not in chosen.model_fields:
        return None
    now = chosen.model_fields["file_sha256"].default
    if recorded.plain() == now:
        return None
    sentence = (
        f"found {shown(recorded.plain())}, but {entry.value['file'].as_text} has the digest {now!r}: it was edited"
        " since this config was written; restore it, or leave file_sha256 out for a run with the file as it is now"
    )
    return Issue((recorded.place,), (field, "file_sha256"), sentence)


def _validate(
    schema: type[Checked], entry: Entry, path: tuple[str, ...], parts: Mapping[str, Parameters]
) -> tuple[Checked | None, list[Issue]]:
    """`entry` as parameters of that class. `parts`: fields that were validated before."""
    try:
        with class_faults_named(schema, "validation"):
            return schema.model_validate(entry.plain() | parts), []
    except ValidationError as error:
        numbers = [entry.follow(wrong["loc"]) for wrong in error.errors() if wrong["type"] == "string_type"]
        texts = {where for number, where in numbers if number.text is not None}
        if texts:
            for where in texts:
                entry = entry.with_value(where, entry.follow(where)[0].text)
            return _validate(schema, entry, path, parts)
        issues: dict[tuple[str | int, ...], Issue] = {}
        for wrong in error.errors():
            issue = _issue(schema, entry, path, wrong)
            # A union reports one issue per member: the first is enough.
            issues.setdefault(issue.path, issue)
        return None, list(issues.values())


def _issue(schema: type[Parameters], entry: Entry, path: tuple[str, ...], wrong: Mapping[str, Any]) -> Issue:
    """An error of pydantic as an issue."""
    value, where = entry.follow(wrong["loc"])
    match wrong["type"]:
        case "extra_forbidden":
            return Issue((value.place,), (*path, *where), _unknown(schema, where))
        case "missing" if isinstance(wrong["loc"][-1], int):  # of a list of fixed length
            return Issue((value.place,), (*path, *where), f"{_found(value)}; allowed: {_allowed(schema, where)}")
        case "literal_error":
            near = suggestion(str(value.plain()), choices_at(schema, where))
            sentence = f"{_found(value)}; allowed: {_allowed(schema, where)}"
            return Issue((value.place,), (*path, *where), f"{sentence}.{near}" if near else sentence)
        case "missing":
            missing = (*where, wrong["loc"][-1])
            return Issue((value.place,), (*path, *missing), f"missing; allowed: {_allowed(schema, missing)}")
        case "value_error" | "assertion_error":
            message = str(wrong["ctx"]["error"])
            locations, values = _concerned(value, message)
            suffix = "" if "found" in message else f"; {values}"
            return Issue(locations, (*path, *where), f"{message.rstrip('.')}{suffix}")
    return Issue(
        (value.place,), (*path, *where), f"{_found(value)}; allowed: {_allowed(schema, where)}{_unquoted(value, wrong)}"
    )


def _unknown(schema: type[Parameters], path: tuple[str | int, ...]) -> str:
    *above, name = path
    known = fields_at(schema, above)
    near = (not above and _elsewhere(schema, str(name))) or suggestion(name, known)
    return f"unknown field; allowed: {listing(known)}.{near}"


def _elsewhere(schema: type[Parameters], name: str) -> str:
    """Where a field of that name exists: in a section (`tau` for `policy.tau`), or in another class of the section."""
    for field, section in SECTIONS.items():
        if schema is RunConfig and any(name in other.model_fields for other in section.classes()):
            return f" Did you mean '{field}.{name}'?"
        registered = section.registered()
        if schema in registered.values():
            owners = [other for other, its in registered.items() if name in its.model_fields]
            return f" It is a field of {listing(owners)}." if owners else ""
    return ""


def _allowed(schema: type[Parameters], path: tuple[str | int, ...]) -> str:
    if schema is RunConfig and path[0] in SECTIONS:
        return f"a name ({listing(SECTIONS[str(path[0])].names())}) or a mapping"
    return allowed_at(schema, path)


def _found(entry: Entry) -> str:
    value = entry.plain()
    return "found nothing (null)" if value is None else f"found {shown(value)} ({kind_of(value)})"


def _unquoted(entry: Entry, wrong: Mapping[str, Any]) -> str:
    """A hint for `tau: "0.9"`."""
    if not isinstance(entry.value, str) or wrong["type"] not in {"int_type", "float_type", "bool_type"}:
        return ""
    meant = read_value(entry.value.strip())
    return "" if meant.value is None or isinstance(meant.value, str) else "; write it without quotes"


def _concerned(entry: Entry, message: str) -> tuple[tuple[SourceLocation, ...], str]:
    """The locations and values of the fields that the message of a check over several fields names."""
    if not entry.is_mapping:
        return (entry.place,), _found(entry)
    named = {field: part for field, part in entry.value.items() if re.search(rf"\b{re.escape(field)}\b", message)}
    values = ", ".join(f"{field}: {shown(part.plain())}" for field, part in (named or entry.value).items())
    return tuple(part.place for part in named.values()) or (entry.place,), f"found {values}"


def check_parameters(schema: type[Checked], tree: Entry) -> tuple[Checked | None, list[Issue]]:
    """A file of another kind than a run config, validated as `check` does."""
    return _validate(schema, tree, (), {})
