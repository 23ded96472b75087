"""What the policies of runs declare: their role, what they are charged, what their series run over."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from dlm_length.policies import policies
from dlm_length.policies.base import Policy, Role


@dataclass(frozen=True)
class Declared:
    """How a policy declares that its runs are compared and drawn; see `Policy`, whose class variables these are."""

    role: Role = "method"
    lengths_charged: bool = True
    series_field: str | None = None
    series_default: Any = None
    """The value of `series_field` unless it is set."""
    variant_of: str | None = None
    palette_place: int | None = None


def declared(policy: str) -> Declared:
    """What the policy of that name declares; a policy that is not installed counts as a method."""
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
