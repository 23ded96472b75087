"""Verifying an answer, strictly and loosely, from instruction ids and arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dlm_length.benchmarks._data import whole
from dlm_length.benchmarks._ifeval.instructions import INSTRUCTIONS, Instruction
from dlm_length.common import suggestion


@dataclass(frozen=True)
class Verdict:
    """Whether each instruction is followed, in the order given."""

    strict: tuple[bool, ...]
    """Followed by the answer itself."""
    loose: tuple[bool, ...]
    """Followed by the answer, or by the answer without its first line, its last line or its asterisks."""


def verify(ids: Sequence[str], arguments: Sequence[Mapping[str, Any]], answer: str) -> Verdict:
    """The verdict on an answer, from a row's `instruction_id_list` and `kwargs`.

    The prompt is not needed, as an instruction that refers to it has its own copy. Raises ValueError as
    `instructions_of`, and RunawayPatternError.
    """
    return verdict(instructions_of(ids, arguments), answer)


def verdict(instructions: Sequence[Instruction], answer: str) -> Verdict:
    """The verdict on an answer. Raises RunawayPatternError for a regular expression of the data set."""
    variants = _variants(answer)
    strict = tuple(_followed(instruction, answer) for instruction in instructions)
    loose = tuple(
        followed or any(_followed(instruction, variant) for variant in variants)
        for instruction, followed in zip(instructions, strict, strict=True)
    )
    return Verdict(strict, loose)


def _followed(instruction: Instruction, answer: str) -> bool:
    # An empty answer follows no instruction, not even one that only forbids something.
    return bool(answer.strip()) and instruction.followed(answer)


def _variants(answer: str) -> tuple[str, ...]:
    """The up to seven distinct variants of an answer that count for the loose verdict in addition to it."""
    lines = answer.split("\n")
    shortened = ("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))
    texts = (answer, *shortened)
    return tuple(dict.fromkeys((*texts[1:], *(text.replace("*", "") for text in texts))))


def instructions_of(ids: Sequence[str], arguments: Sequence[Mapping[str, Any]]) -> tuple[Instruction, ...]:
    """A row's instructions. Raises ValueError for unknown ids and invalid arguments.

    An argument that is None or NaN counts as absent, and 2.0 as 2, as pandas writes them.
    """
    if not _is_list_of(str, ids) or not ids:
        raise ValueError(f"expected a list of instruction ids in instruction_id_list, found {_brief(ids)}.")
    if not _is_list_of(Mapping, arguments):
        raise ValueError(f"expected a list of objects in kwargs, found {_brief(arguments)}.")
    if len(ids) != len(arguments):
        raise ValueError(f"expected as many objects in kwargs as instructions ({len(ids)}), found {len(arguments)}.")
    return tuple(_instruction(name, given) for name, given in zip(ids, arguments, strict=True))


def _instruction(name: str, arguments: Mapping[str, Any]) -> Instruction:
    if name not in INSTRUCTIONS:
        raise ValueError(f"there is no instruction {name!r}.{suggestion(name, INSTRUCTIONS)}")
    kind = INSTRUCTIONS[name]
    try:
        return kind(**{key: whole(value) for key, value in arguments.items() if value is not None and value == value})
    except ValidationError as error:
        faults = "; ".join(_fault(kind, details) for details in error.errors())
        raise ValueError(f"instruction {name!r}: {faults}.") from None


def _fault(kind: type[Instruction], details: ErrorDetails) -> str:
    argument = ".".join(str(part) for part in details["loc"])
    match details["type"]:
        case "missing":
            return f"the argument {argument!r} is missing"
        case "extra_forbidden":
            takes = ", ".join(kind.model_fields) or "none"
            near = suggestion(argument, kind.model_fields).strip()
            return f"it has no argument {argument!r}, it takes {takes}{near and f' ({near})'}"
        case _:
            message = details["msg"].removeprefix("Value error, ")
            return f"{argument or 'its arguments'}: {message}, found {_brief(details['input'])}"


def _is_list_of(kind: type, values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, kind) for value in values)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
