"""What policies declare for analysis: their role, whether they pay for their lengths, the field of their series."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from dlm_length.policies import policies
from dlm_length.policies.base import Policy, Role


@dataclass(frozen=True)
class Declared:
    """A policy's declarations of how its runs are compared and drawn: the class variables of `Policy`."""

    role: Role = "method"
    lengths_charged: bool = True
    series_field: str | None = None
    series_default: Any = None
    """The default value of `series_field`."""
    variant_of: str | None = None
    palette_place: int | None = None


def declared(policy: str) -> Declared:
    """The declarations of the policy of that name; a policy that is not installed counts as a method."""
    known = policies()
    return _of_class(known[policy]) if policy in known else Declared()


@cache
def _of_class(policy: type[Policy]) -> Declared:
    field = policy.series_field
    return Declared(
        policy.role,
        policy.lengths_charged,
        field,
        None if field is None else policy.model_fields[field].default,
        policy.variant_of,
        policy.palette_place,
    )
