"""What the code of policies and benchmarks from outside the package raises, as errors that say where it comes from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from dlm_length.common.errors import ConfigError, UserError, described
from dlm_length.common.plugins import distribution_of, line_in

ResultT = TypeVar("ResultT")


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
    line = _line_in_package(error, cls.__module__) if file is None else line_in(error, Path(file))
    return ConfigError(f"{origin}: {doing} raised {described(error)}{line}.")


def _origin(cls: type, name: str, file: str | None) -> str | None:
    """Where a class from outside is from: its file, or its distribution; None for the package's own classes."""
    if file is not None:
        return file
    for kind, noun in (("policies", "policy"), ("benchmarks", "benchmark")):
        if (distribution := distribution_of(kind, cls)) is not None:
            return f"{noun} {name} of the distribution {distribution}"
    return None


def _line_in_package(error: BaseException, module: str) -> str:
    """Where in the package that `module` belongs to it was raised: file and line."""
    package = module.partition(".")[0]
    own = [
        (frame.f_code.co_filename, line)
        for frame, line in walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package
    ]
    return f", line {own[-1][1]} of {own[-1][0]}" if own else ""
