"""Where and with what a run was made: what environment.json says."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlm_length.common import GIB
from dlm_length.common.plugins import plugin_distributions
from dlm_length.common.program import command_line, git_commit, package_version
from dlm_length.config import Hardware
from dlm_length.engine import Engine
from dlm_length.engine.attention import attention_name
from dlm_length.engine.machine import Machine, library_versions
from dlm_length.models import MaskPredictor


def environment(hardware: Hardware, machine: Machine, engine: Engine, *, checkpoint: str) -> dict[str, Any]:
    """One session of a run. Everything that can change an answer's last bits is in it."""
    model = engine.model
    return {
        "dlmlen": package_version(),
        "git_commit": git_commit(),
        "command": command_line(),
        **library_versions(),
        **({"plugins": plugins} if (plugins := plugin_distributions()) else {}),
        "checkpoint": checkpoint,
        "special_tokens": _special_tokens(model),
        "device": machine.device,
        "device_name": machine.name,
        "threads": machine.threads,
        "dtype": str(model.dtype).removeprefix("torch."),
        "attention": attention_name(model, engine.attention),
        "compile": hardware.compile,
        "fused": model.fused is not None,
        "batch_invariant": model.batch_invariant,
        "seed": hardware.seed,
        "max_batch_tokens": engine.max_batch_tokens,
        "profile": hardware.profile,
    }


def _special_tokens(model: MaskPredictor) -> dict[str, Any]:
    """Id and text of each; `eos` is the termination token, which the config may have chosen."""
    ids = {"mask": model.tokens.mask, "eos": model.tokens.eos, "eot": model.tokens.eot}
    return {
        name: None if token is None else {"id": token, "text": model.tokenizer.token_text(token)}
        for name, token in ids.items()
    }


def rescored(session: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """A session of the run in the folder `source` whose answers were scored again now, after any earlier times."""
    now = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": str(source),
        "dlmlen": package_version(),
        "git_commit": git_commit(),
        "command": command_line(),
        "python": platform.python_version(),
    }
    return {**session, "rescored": [*session.get("rescored", ()), now]}


def mismatches(hardware: Hardware, machine: Machine) -> list[str]:
    """How the machine found differs from the one the profile was written for; a sentence each."""
    found = []
    if hardware.device_name and hardware.device_name.lower() not in machine.name.lower():
        found.append(
            f"hardware profile {hardware.profile!r} is for a device named {hardware.device_name!r},"
            f" found {machine.name!r}: its memory and rate may not fit"
        )
    if hardware.memory_gib and not 0.85 <= machine.memory / GIB / hardware.memory_gib <= 1.15:
        found.append(
            f"hardware profile {hardware.profile!r} says {hardware.memory_gib:g} GiB of memory,"
            f" found {machine.memory / GIB:.1f} GiB"
        )
    return found
