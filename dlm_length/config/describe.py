"""The allowed values of a field in words, from its JSON schema; used by errors and listings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlm_length.common import Parameters, counted, listing

Schema = Mapping[str, Any]

_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


@dataclass(frozen=True)
class FieldDescription:
    """A parameter for listings. `default`: None where the field is required, else in YAML's notation."""

    name: str
    default: str | None
    allowed: str
    description: str


def fields_of(parameters: type[Parameters]) -> Iterator[FieldDescription]:
    """The parameters of a class in their order, without `name`, which chooses the class."""
    root = parameters.model_json_schema()
    for name, schema in root["properties"].items():
        if name == "name" and "const" in schema:
            continue
        default = shown(schema["default"]) if "default" in schema else None
        yield FieldDescription(name, default, allowed(schema, root), " ".join(schema.get("description", "").split()))


def allowed_at(parameters: type[Parameters], path: Sequence[str | int]) -> str:
    """The allowed values of the field at `path`."""
    root = parameters.model_json_schema()
    return allowed({"anyOf": _schemas_at(root, path)}, root)


def choices_at(parameters: type[Parameters], path: Sequence[str | int]) -> list[str]:
    """The allowed strings of the field at `path`, where these are enumerated."""
    root = parameters.model_json_schema()
    schemas = _unfold(_schemas_at(root, path), root)
    values = [value for schema in schemas for value in schema.get("enum", [schema.get("const")])]
    return [value for value in values if isinstance(value, str)]


def fields_at(parameters: type[Parameters], path: Sequence[str | int]) -> list[str]:
    """Names of the fields that a mapping at `path` may have, `name` first."""
    root = parameters.model_json_schema()
    mappings = _unfold(_schemas_at(root, path), root)
    fields = dict.fromkeys(field for schema in mappings for field in schema.get("properties", {}))
    return sorted(fields, key=lambda field: field != "name")


def _schemas_at(root: Schema, path: Sequence[str | int]) -> list[Schema]:
    """The schemas of the value at `path`: several where a field is a union."""
    schemas = [root]
    for part in path:
        inside = [_inside(schema, part) for schema in _unfold(schemas, root)]
        schemas = [schema for schema in inside if schema is not None]
    return schemas


def _inside(schema: Schema, part: str | int) -> Schema | None:
    inner: Schema | None
    if not isinstance(part, int):
        inner = schema.get("properties", {}).get(part)
    elif part < len(items := schema.get("prefixItems", [])):
        inner = items[part]
    else:
        inner = schema.get("items")
    return inner


def _unfold(schemas: Sequence[Schema], root: Schema) -> Iterator[Schema]:
    """The schemas with references resolved and unions split."""
    for schema in schemas:
        if "$ref" in schema:
            yield from _unfold([root["$defs"][schema["$ref"].rpartition("/")[2]]], root)
        elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
            yield from _unfold(alternatives, root)
        else:
            yield schema


def allowed(schema: Schema, root: Schema) -> str:
    """The values that the schema accepts, such as `an integer above 0 or null`."""
    kinds = [kind for alternative in _unfold([schema], root) for kind in _kinds(alternative, root)]
    return listing(dict.fromkeys(kinds)) if kinds else "another value"


def _kinds(schema: Schema, root: Schema) -> list[str]:
    if "const" in schema:
        return [shown(schema["const"])]
    if "enum" in schema:
        return [shown(value) for value in schema["enum"]]
    match schema.get("type"):
        case "integer":
            return [f"an integer{_range(schema)}"]
        case "number":
            return [f"a number{_range(schema)}"]
        case "string" if "pattern" in schema and "description" in schema:
            # The field's description is clearer than its regular expression.
            return [" ".join(schema["description"].split()).rstrip(".")]
        case "string":
            return ["text"]
        case "boolean":
            return ["true", "false"]
        case "null":
            return ["null"]
        case "array" if items := schema.get("prefixItems"):
            return [
                f"a list of {counted(len(items), 'value')}, each"
                f" {listing(dict.fromkeys(allowed(i, root) for i in items))}"
            ]
        case "array":
            items = schema.get("items")
            what = f"a list of {allowed(items, root)}" if items else "a list"
            return [f"{what} that is not empty" if schema.get("minItems") else what]
        case "object" if properties := schema.get("properties"):
            return [f"a mapping of {', '.join(properties)}"]
        case "object":
            return ["a mapping"]
    return ["any value"]


def _range(schema: Schema) -> str:
    # Bounds without a needless fraction: from 0 to 1.
    bound = {key: int(value) if float(value).is_integer() else value for key, value in schema.items() if key in _BOUNDS}
    if {"minimum", "maximum"} <= bound.keys():
        return f" from {bound['minimum']} to {bound['maximum']}"
    words = [f"{_BOUNDS[key]} {bound[key]}" for key in _BOUNDS if key in bound]
    return f" {' and '.join(words)}" if words else ""


def shown(value: object) -> str:
    """A value as messages and listings show it, shortened if it is long."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict() if not value:
            return "an empty mapping"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def kind_of(value: object) -> str:
    """The type of a value, in the words of `allowed`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
    return "mapping"
