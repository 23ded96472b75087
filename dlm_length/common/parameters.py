"""How a policy, a benchmark or a model declares its parameters: once, in a class next to its algorithm.

A policy or benchmark is one file in its package. `catalogue` finds it there, so that a new file is in the YAML, the
command line, the JSON schema and the listings without another edit.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from inspect import isabstract
from types import ModuleType
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from dlm_length.common.errors import listing, suggestion

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
MOST_TOKENS = 2**20
"""Upper bound of canvas lengths and of numbers of tokens or forwards: longer than the context of any model."""
TokenCount = Annotated[int, Field(gt=0, le=MOST_TOKENS)]
"""Tokens, positions or forwards of one sample."""


class Parameters(BaseModel):
    """Frozen fields with defaults, validated strictly: no unknown fields, no conversion between types."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What `repr` shows: the fields that are not at their default."""
        defaults = {
            name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()
        }
        return ((name, value) for name, value in super().__repr_args__() if value != defaults.get(name or ""))

    def __str__(self) -> str:
        """As `repr`: pydantic's own leaves the class out, which is nothing at all where every field has its default."""
        return repr(self)


def faults_of(schema: type[Parameters], error: ValidationError) -> str:
    """Every error in the parameters given to a class, as a sentence without its period."""
    return "; ".join(_described(fault, list(schema.model_fields)) for fault in error.errors())


def _described(fault: ErrorDetails, fields: list[str]) -> str:
    """One error, of a field or of several fields together."""
    field = ".".join(map(str, fault["loc"]))
    match fault["type"]:
        case "extra_forbidden":
            return (
                f"{field}: no such parameter; there are {listing(fields)}{suggestion(field, fields).removesuffix('?')}"
            )
        case "value_error":
            return fault["msg"].removeprefix("Value error, ")
        case "missing" if isinstance(fault["loc"][-1], int):  # of a list of fixed length
            tuple_field = ".".join(map(str, fault["loc"][:-1]))
            return f"{tuple_field}: has no value {fault['loc'][-1] + 1}, found {fault['input']!r}"
        case "literal_error":
            near = suggestion(str(fault["input"]), re.findall(r"'([^']*)'", fault["ctx"]["expected"]))
            sentence = f"{fault['msg'][:1].lower()}{fault['msg'][1:]}, found {fault['input']!r}"
            return f"{field}: {sentence}{'.' + near.removesuffix('?') if near else ''}"
    return f"{field}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, found {fault['input']!r}"


class Named(Parameters):
    """Parameters chosen by name in a config. A concrete class sets `name: Literal["x"] = "x"`."""

    source: ClassVar[str] = ""
    """Where the method or the data come from: paper, section, identifier."""
    title: ClassVar[str] = ""
    """Its name in publications, as the authors spell it; if empty, `name` without underscores."""

    name: str

    @classmethod
    def summary(cls) -> str:
        """First line of the class's docstring, for listings."""
        return (cls.__doc__ or "").strip().partition("\n")[0]

    @classmethod
    def remarks(cls) -> tuple[str, ...]:
        """Further lines for listings."""
        return ()


NamedT = TypeVar("NamedT", bound=Named)


def catalogue(package: ModuleType, base: type[NamedT]) -> dict[str, type[NamedT]]:
    """Every concrete subclass of `base` defined in a module of `package`, by its name, sorted.

    For classes of installed distributions and of files see `dlm_length.common.plugins`.
    """
    by_name: dict[str, type[NamedT]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, cls in named_classes(module, base).items():
            assert name not in by_name, f"two classes of {package.__name__} are named {name!r}"
            by_name[name] = cls
    return dict(sorted(by_name.items()))


def named_classes(module: ModuleType, base: type[NamedT]) -> dict[str, type[NamedT]]:
    """The concrete subclasses of `base` that a module defines itself, by name."""
    by_name: dict[str, type[NamedT]] = {}
    for entry in vars(module).values():
        is_own = isinstance(entry, type) and issubclass(entry, base) and entry.__module__ == module.__name__
        if is_own and not isabstract(entry) and "name" in entry.__annotations__:
            name = entry.model_fields["name"].default
            assert isinstance(name, str), f"{entry.__qualname__}: a concrete class gives its name a default"
            assert by_name.get(name, entry) is entry, f"two classes of {module.__name__} are named {name!r}"
            by_name[name] = entry
    return by_name
