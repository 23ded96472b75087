"""Length policies: one file per method."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dlm_length.common import ConfigError, catalogue, faults_of, listing, suggestion
from dlm_length.common.parameters import named_classes
from dlm_length.common.plugins import named_in_file, with_plugins
from dlm_length.policies.base import Policy

__all__ = ["Policy", "build_policy", "policies", "policies_in_file"]


def policies() -> dict[str, type[Policy]]:
    """Every policy by name: the package's, and those of installed distributions (group `dlm_length.policies`)."""
    own = catalogue(sys.modules[__name__], Policy)  # type: ignore[type-abstract]  # python/mypy#4717
    return with_plugins("policies", own, Policy, lambda module: named_classes(module, Policy))  # type: ignore[type-abstract]


def policies_in_file(file: Path) -> dict[str, type[Policy]]:
    """The policies that a Python file defines, by name. Runs the file; raises ConfigError where it has none."""
    return named_in_file(file, Policy, policies())  # type: ignore[type-abstract]  # python/mypy#4717


def build_policy(name: str, file: str | Path | None = None, **parameters: Any) -> Policy:
    """The policy of that name with its parameters as in the YAML; `file`: the Python file that defines it.

    Raises ConfigError for an unknown name, an unknown parameter, a value out of its range, or a file that is missing,
    raises or defines no such policy.
    """
    known: Mapping[str, type[Policy]] = policies()
    if file is not None:
        path = Path(file).expanduser().absolute()
        known = policies_in_file(path)
        parameters["file"] = str(path)
    if name not in known:
        where = "" if file is None else f" in {file}"
        raise ConfigError(
            f"policy: no policy is named {name!r}{where}; there are {listing(known)}.{suggestion(name, known)}"
        )
    try:
        return known[name](**parameters)
    except ValidationError as error:
        raise ConfigError(f"policy {name!r}: {faults_of(known[name], error)}.") from error
