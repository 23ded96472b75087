"""Length policies: one file a method."""

import sys
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dlm_length.common import ConfigError, catalogue, listing, suggestion
from dlm_length.policies.base import Policy

__all__ = ["Policy", "build_policy", "policies"]


def policies() -> dict[str, type[Policy]]:
    """Every policy by name."""
    return catalogue(sys.modules[__name__], Policy)  # type: ignore[type-abstract]  # python/mypy#4717


def build_policy(name: str, **parameters: Any) -> Policy:
    """The policy of that name with its parameters as in the YAML.

    Raises ConfigError for an unknown name, an unknown parameter or a value out of its range.
    """
    known = policies()
    if name not in known:
        raise ConfigError(f"policy: no policy is named {name!r}; there are {listing(known)}.{suggestion(name, known)}")
    try:
        return known[name](**parameters)
    except ValidationError as error:
        faults = "; ".join(_told(fault, list(known[name].model_fields)) for fault in error.errors())
        raise ConfigError(f"policy {name!r}: {faults}.") from error


def _told(fault: ErrorDetails, fields: list[str]) -> str:
    """What is wrong with one field, or with several together."""
    field = ".".join(map(str, fault["loc"]))
    match fault["type"]:
        case "extra_forbidden":
            return (
                f"{field}: no such parameter; there are {listing(fields)}{suggestion(field, fields).removesuffix('?')}"
            )
        case "value_error":
            return fault["msg"].removeprefix("Value error, ")
    return f"{field}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, found {fault['input']!r}"
