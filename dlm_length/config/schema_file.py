"""The JSON schema of a config file, for completion and validation in editors."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from dlm_length.common import Parameters
from dlm_length.config import search_path
from dlm_length.config.run_config import RunConfig
from dlm_length.config.sections import SECTIONS, Section

_DEFINED = "#/$defs/{model}"
_OF_A_FILE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "description": "A Python file, relative to this one, that defines the class."},
        "name": {"type": "string", "description": "Which of the file's classes is meant."},
    },
    "required": ["file", "name"],
}
"""A class in a file, whose other fields are known to the file only."""
_BASE = "Name of a config of the same kind, which this one is merged over."


def json_schema() -> dict[str, Any]:
    """The schema of a run config. `$defs` also has one for each kind of section file: model, policy, ..."""
    classes = [schema for section in SECTIONS.values() for schema in section.classes()]
    classes.append(RunConfig)
    _, collected = models_json_schema([(schema, "validation") for schema in classes], ref_template=_DEFINED)
    definitions: dict[str, Any] = collected["$defs"]
    whole = definitions.pop(RunConfig.__name__)
    experiment = whole["properties"]["experiment"]
    for field, section in SECTIONS.items():
        definitions[field] = _file(section, definitions)
    required = [field for field in whole["required"] if field != "experiment"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dlmlen run config",
        "type": "object",
        "properties": {
            "extends": _name(search_path.run_names(), _BASE),
            "experiment": experiment,
            "tracking": whole["properties"]["tracking"],
            **{field: {"description": RunConfig.model_fields[field].description} for field in SECTIONS},
        },
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "then": {"properties": {field: _section(field, section, partial=True) for field, section in SECTIONS.items()}},
        "else": {
            "properties": {field: _section(field, section, partial=False) for field, section in SECTIONS.items()},
            "required": required,
        },
        "$defs": definitions,
    }


def _section(field: str, section: Section, *, partial: bool) -> dict[str, Any]:
    """The schema of a section: a name, all its fields, or with a base those that differ."""
    inline = {"$ref": f"#/$defs/{field}"}
    names = [_name(section.names(), f"Name of a {field}.")] if section.folder else []
    changes = [_partial(section, extends=False)] if partial else []
    outside = [_OF_A_FILE] if section.in_file else []
    others = [*names, *outside, *changes]
    return {"anyOf": [inline, *others]} if others else inline


def _file(section: Section, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a section, as inline or in a file of its own; with `extends`, those that differ."""
    for schema in section.classes():
        if "name" in schema.model_fields:
            # The name has a default in the class; in a file it is required, as it chooses the class.
            definitions[schema.__name__]["required"] = ["name", *definitions[schema.__name__].get("required", [])]
    if section.schema:
        complete: dict[str, Any] = _reference(section.schema)
    else:
        registered = section.registered()
        complete = {
            "oneOf": [_reference(schema) for schema in registered.values()],
            "discriminator": {
                "propertyName": "name",
                "mapping": {name: _reference(schema)["$ref"] for name, schema in registered.items()},
            },
        }
    if not section.folder:
        return complete
    return {"if": {"required": ["extends"]}, "then": _partial(section, extends=True), "else": complete}


def _partial(section: Section, *, extends: bool) -> dict[str, Any]:
    """Any fields of any class of the section, as only the base decides which class it is."""
    base = {"extends": _name(section.names(), _BASE)} if extends else {}
    properties: dict[str, Any] = {}
    for schema in section.classes():
        for field in schema.model_fields:
            properties.setdefault(field, []).append({"$ref": f"{_reference(schema)['$ref']}/properties/{field}"})
    fields = {field: {"anyOf": references} for field, references in properties.items()}
    return {"type": "object", "properties": {**base, **fields}, "additionalProperties": False}


def _reference(schema: type[Parameters]) -> dict[str, str]:
    return {"$ref": _DEFINED.format(model=schema.__name__)}


def _name(known: Any, description: str) -> dict[str, Any]:
    """A name: the known ones are suggested, others (a path, a file yet to be written) are accepted."""
    return {"type": "string", "anyOf": [{"enum": sorted(known)}, {}], "description": description}
