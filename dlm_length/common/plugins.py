"""Classes from outside the package: those of installed distributions, and those of a file that a config names."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, create_model

from dlm_length.common.errors import ConfigError, UserError, first_line, listing, suggestion
from dlm_length.common.parameters import Named, named_classes
from dlm_length.common.program import LOGGER

NamedT = TypeVar("NamedT", bound=Named)
ClassT = TypeVar("ClassT")
ResultT = TypeVar("ResultT")
Classes = Callable[[ModuleType], Mapping[str, type[ClassT]]]
"""Finds the classes of one kind that a module defines, by name."""

KINDS = ("policies", "benchmarks", "models")
PREFIX = "dlm_length."
"""Prefix of the entry point groups, which ends in a kind: `dlm_length.policies`."""
_DIGEST = "__sha256__"
"""Attribute of a module made from a file: the digest of its content."""


@dataclass(frozen=True)
class Plugin:
    """The target of one entry point of an installed distribution."""

    distribution: str
    """Name and version, such as `dlm-crop 1.2`."""
    target: str
    """The entry point's value, such as `dlm_crop.policies:Crop`."""
    value: Any
    """The module or class; None where it failed to import."""
    fault: str = ""
    """Why it failed to import, as a sentence."""


@cache
def plugins(kind: str) -> tuple[Plugin, ...]:
    """The entry points of installed distributions in the group `dlm_length.<kind>`, imported once."""
    sorted_entries = sorted(entry_points(group=PREFIX + kind), key=lambda entry: (_distribution(entry), entry.name))
    return tuple(_load(entry) for entry in sorted_entries)


def plugin_distributions() -> dict[str, str]:
    """Name and version of each installed distribution that adds policies, benchmarks or model families.

    Imports none of them.
    """
    groups = [entry_points(group=PREFIX + kind) for kind in KINDS]
    return {entry.dist.name: entry.dist.version for group in groups for entry in group if entry.dist is not None}


def with_plugins(
    kind: str, own: Mapping[str, type[ClassT]], base: type[ClassT], classes: Classes[ClassT]
) -> dict[str, type[ClassT]]:
    """The package's `own` classes and those of installed distributions, by name, sorted.

    A plugin that fails to import, defines no class of the kind, or has a name that is taken is left out, and one
    warning in the log names its distribution.
    """
    owner = {name: f"{cls.__module__}.{cls.__qualname__}" for name, cls in own.items()}
    all_classes = dict(own)
    for plugin in plugins(kind):
        by_name = {} if plugin.value is None else _classes_of(plugin.value, base, classes)
        if not by_name:
            reason = plugin.fault or f"it defines no concrete {base.__name__}{_what_is_missing(plugin.value, base)}."
            _warn_once(f"{kind}: {plugin.target} of the distribution {plugin.distribution} is left out: {reason}")
        for name, cls in by_name.items():
            if name in owner:
                _warn_once(
                    f"{kind}: {name!r} of the distribution {plugin.distribution} is left out: the name is taken by"
                    f" {owner[name]}."
                )
                continue
            owner[name] = f"the distribution {plugin.distribution}"
            all_classes[name] = cls
    return dict(sorted(all_classes.items()))


def distribution_of(kind: str, cls: type) -> str | None:
    """Name and version of the distribution whose entry point provides `cls`; None for the package's own classes."""
    for plugin in plugins(kind):
        if plugin.value is cls or getattr(plugin.value, "__name__", None) == cls.__module__:
            return plugin.distribution
    return None


def classes_in_file(file: Path, base: type[ClassT], classes: Classes[ClassT]) -> dict[str, type[ClassT]]:
    """The concrete subclasses of `base` that a Python file defines, by name.

    The file is run. Raises ConfigError for one that is missing, raises, or defines none.
    """
    module = _run(file, _content(file))
    try:
        by_name = dict(classes(module))
    except AssertionError as error:
        raise ConfigError(f"{file}: {error}") from error
    if not by_name:
        wanted = f"{base.__module__}.{base.__name__}"
        raise ConfigError(
            f"{file}: defines no concrete subclass of {wanted} with a name{_what_is_missing(module, base)}"
        )
    return by_name


def _what_is_missing(value: Any, base: type) -> str:
    """What the subclasses of `base` that a module defines, or the one given, do not implement; empty without any."""
    entries = list(vars(value).values()) if isinstance(value, ModuleType) else [value]
    module = getattr(value, "__name__", None) if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    own: list[Any] = [
        each for each in entries if isinstance(each, type) and issubclass(each, base) and each.__module__ == module
    ]
    faults = [
        f"{cls.__name__} does not implement {', '.join(sorted(cls.__abstractmethods__))}"
        if isabstract(cls)
        else f'{cls.__name__} has no field `name: Literal["..."] = "..."`'
        for cls in dict.fromkeys(own)
    ]
    return f": {'; '.join(faults)}" if faults else ""


def named_in_file(file: Path, base: type[NamedT], taken: Mapping[str, type[Named]]) -> dict[str, type[NamedT]]:
    """As `classes_in_file`, for policies or benchmarks, with two more fields: `file` and `file_sha256` of its content.

    As parameters they are recorded with a run, and the digest enters the run's hash. `taken`: the classes whose names
    a file may not use. Raises ConfigError.
    """
    by_name = classes_in_file(file, base, lambda module: named_classes(module, base))
    for name in by_name:
        if name in taken:
            other = taken[name]
            raise ConfigError(
                f"{file}: the name {name!r} is taken by {other.__module__}.{other.__qualname__}; give the class another"
            )
    return {name: _with_file(cls, file) for name, cls in by_name.items()}


@cache
def _with_file(cls: type[NamedT], file: Path) -> type[NamedT]:
    # The digest of the content that was executed; the file may have changed since.
    digest = sys.modules[cls.__module__].__dict__[_DIGEST]
    fields: dict[str, Any] = {
        "file": (str, Field(str(file), description="The Python file that defines it.")),
        "file_sha256": (
            Literal[digest],
            Field(digest, description="SHA-256 of the file's content, which is part of the run's hash."),
        ),
    }
    return create_model(cls.__name__, __base__=cls, __module__=cls.__module__, __doc__=cls.__doc__, **fields)


@contextmanager
def faults_named(policy: object, doing: str) -> Iterator[None]:
    """Turn what the code of a policy from outside raises into a ConfigError that says where it comes from.

    It names the file, or the distribution and the file within it, and the line. What the package's own policies raise
    is left as it is.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # sys.exit would end the command without a word
        if (fault := _fault(error, type(policy), *_name_and_file(policy), doing)) is None:
            raise
        raise fault from error


def result_of(
    named: object, doing: str, compute: Callable[[], object], expected: type[ResultT], description: str
) -> ResultT:
    """What `compute` gets from a policy or a benchmark: an instance of `expected`, which `description` names.

    Raises ConfigError, which says where the code is from, where it raises or gives something else.
    """
    with faults_named(named, doing):
        result = compute()
    if isinstance(result, expected):
        return result
    origin = origin_of(named) or type(named).__name__
    raise ConfigError(f"{origin}: {doing} gave {result!r:.80}, expected {description}.")


@contextmanager
def class_faults_named(cls: type[BaseModel], doing: str) -> Iterator[None]:
    """As `faults_named`, for a class of parameters while there is no instance yet: its validators' faults.

    What pydantic reports of values is left as it is.
    """
    try:
        yield
    except (UserError, ValidationError):
        raise
    except (Exception, SystemExit) as error:
        file, name = (field.default if (field := cls.model_fields.get(each)) else None for each in ("file", "name"))
        if (fault := _fault(error, cls, str(name), file, doing)) is None:
            raise
        raise fault from error


def origin_of(named: object) -> str | None:
    """The file or distribution that a policy or a benchmark is from; None for the package's own."""
    return _origin(type(named), *_name_and_file(named))


def _name_and_file(named: object) -> tuple[str, str | None]:
    """The name of a policy or a benchmark, and the Python file that defines it."""
    return getattr(named, "name", type(named).__name__), getattr(named, "file", None)


def _fault(error: BaseException, cls: type, name: str, file: str | None, doing: str) -> ConfigError | None:
    """What code from outside raised, with where it comes from; None for the package's own classes."""
    if (origin := _origin(cls, name, file)) is None:
        return None
    line = _line_in_package(error, cls.__module__) if file is None else _line(error, Path(file))
    return ConfigError(f"{origin}: {doing} raised {_reason(error)}{line}.")


def _origin(cls: type, name: str, file: str | None) -> str | None:
    """Where a class from outside is from: its file, or its distribution; None for the package's own classes."""
    if file is not None:
        return file
    for kind, noun in (("policies", "policy"), ("benchmarks", "benchmark")):
        if (distribution := distribution_of(kind, cls)) is not None:
            return f"{noun} {name} of the distribution {distribution}"
    return None


def _distribution(entry: EntryPoint) -> str:
    return "unknown" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _load(entry: EntryPoint) -> Plugin:
    distribution = _distribution(entry)
    try:
        return Plugin(distribution, entry.value, entry.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any exception of a third-party module
        return Plugin(distribution, entry.value, None, f"it fails to import ({_reason(error)}).")


def _classes_of(value: Any, base: type[ClassT], classes: Classes[ClassT]) -> Mapping[str, type[ClassT]]:
    """The classes that an entry point's module defines, or the one class that it names."""
    if isinstance(value, ModuleType):
        return classes(value)
    if not (isinstance(value, type) and issubclass(value, base) and not isabstract(value)):
        return {}
    module = sys.modules[value.__module__]
    return {name: cls for name, cls in classes(module).items() if cls is value}


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        others = [other.name for other in sorted(file.parent.glob("*.py"))] if file.parent.is_dir() else []
        hint = f"; {file.parent} has {listing(others)}.{suggestion(file.name, others)}" if others else ""
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: cannot be read ({reason}), expected a Python file{hint}") from error


@cache
def _run(file: Path, content: bytes) -> ModuleType:
    """A module from a file's content; cached by content, so that its classes keep their identity."""
    digest = sha256(content).hexdigest()
    module = ModuleType(f"dlm_length_file_{file.stem}_{digest[:8]}")
    module.__file__ = str(file)
    module.__dict__[_DIGEST] = digest
    sys.modules[module.__name__] = module  # where pydantic resolves annotations
    try:
        exec(compile(content, str(file), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:  # any exception of the user's file
        del sys.modules[module.__name__]
        raise ConfigError(f"{file}: fails to import ({_reason(error)}{_line(error, file)})") from error
    return module


def _reason(error: BaseException) -> str:
    text = first_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: BaseException, file: Path) -> str:
    """The line of the file where it was raised; a syntax error's own text has it already."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)]
    return f", line {lines[-1]}" if lines and not isinstance(error, SyntaxError) else ""


def _line_in_package(error: BaseException, module: str) -> str:
    """Where in the package that `module` belongs to it was raised: file and line."""
    package = module.partition(".")[0]
    own = [
        (frame.f_code.co_filename, line)
        for frame, line in walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package
    ]
    return f", line {own[-1][1]} of {own[-1][0]}" if own else ""


@cache
def _warn_once(sentence: str) -> None:
    logging.getLogger(LOGGER).warning(sentence)
