"""Low-rank adapters (LoRA, Hu et al. 2021) in peft's format, merged into a checkpoint's weights at loading."""

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from dlm_length.common import listing, suggestion
from dlm_length.models.config_fields import shortened
from dlm_length.models.errors import CheckpointError
from dlm_length.models.json_file import read_json_object

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_PREFIX = "base_model.model."
_PAIR = re.compile(r"(?P<module>.+)\.lora_(?P<half>[AB])\.weight$")
_REFUSED = {"use_dora": "DoRA", "fan_in_fan_out": "weights stored transposed", "use_qalora": "QALoRA"}
"""Switches of peft's config that change how weights are merged, with what they mean. None is implemented here."""
_DTYPES = ("F64", "F32", "F16", "BF16")
"""Dtypes that an adapter's tensors may have, by their names in a safetensors header."""
_SHOWN = 3
"""Weights that a message names at most."""


@dataclass(frozen=True)
class _Pair:
    """The two low-rank factors of a weight's change, as stored: A (rank, in), B (out, rank)."""

    a: Tensor
    b: Tensor
    scale: float

    def delta(self) -> Tensor:
        """`scale * B @ A` in float32, (out, in)."""
        return (self.b.float() @ self.a.float()) * self.scale


@dataclass(frozen=True)
class Layout:
    """Which weights an adapter changes, by its config and the header of its weights file."""

    scales: Mapping[str, float]
    """Layer name -> the factor of B @ A, for every linear layer with lora_A and lora_B."""
    whole: tuple[str, ...]
    """Names of the weights that the adapter replaces entirely (`modules_to_save`)."""


class Adapter:
    """A LoRA adapter: changes to add to weights, and weights that replace others entirely (`modules_to_save`)."""

    def __init__(self, folder: Path) -> None:
        """Read peft's `adapter_config.json` and `adapter_model.safetensors`.

        Raises CheckpointError for a missing or unreadable file, NaN or infinity, and another kind of adapter.
        """
        self.folder = folder
        layout, tensors = read_layout(folder), _read_tensors(folder)
        self._pairs = {
            f"{module}.weight": _Pair(tensors[f"{module}.lora_A.weight"], tensors[f"{module}.lora_B.weight"], scale)
            for module, scale in layout.scales.items()
        }
        self._whole = {name: tensors[name] for name in layout.whole}
        self._used: set[str] = set()

    def merged(self, name: str, stored: Tensor) -> Tensor:
        """The checkpoint's weight `name` with the adapter's change, in float32; `stored` itself where there is none.

        The caller rounds the sum once, to the dtype in which the weight is kept. Raises CheckpointError where the
        change has another shape.
        """
        key = next((key for key in _spellings(name) if key in self._pairs or key in self._whole), None)
        if key is None:
            return stored
        self._used.add(key)
        change = self._whole[key] if key in self._whole else self._pairs[key].delta()
        if change.shape != stored.shape:
            raise CheckpointError(
                f"adapter {self.folder}: changes {name} by {tuple(change.shape)}, the checkpoint's is"
                f" {tuple(stored.shape)}. Was it trained on another model?"
            )
        change = change.to(stored.device)
        return change if key in self._whole else stored.float() + change

    def check_all_used(self, names: list[str]) -> None:
        """Raise CheckpointError if a change was merged into no weight. `names`: the loaded weights, to suggest one."""
        unused = sorted((self._pairs.keys() | self._whole.keys()) - self._used)
        if unused:
            more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
            raise CheckpointError(
                f"adapter {self.folder}: changes {', '.join(unused[:_SHOWN])}{more}, which the checkpoint does not hold"
                f" as weights of their own.{suggestion(unused[0], names)} Was it trained on another model?"
            )


def read_layout(folder: Path) -> Layout:
    """Which weights the adapter in a folder changes; no tensor is read.

    Raises CheckpointError for a missing or unreadable file and another kind of adapter.
    """
    config, shapes = _read_config(folder), _read_shapes(folder)
    whole = tuple(name for name in shapes if not _PAIR.match(name))
    if others := [name for name in whole if "lora_" in name or name.endswith(".bias")]:
        raise CheckpointError(
            f"adapter {folder}: holds {listing(sorted(others)[:_SHOWN])}; supported are changes of linear layers"
            " (lora_A and lora_B) and whole weights of modules_to_save."
        )
    return Layout(_scales(folder, config, shapes), whole)


def _spellings(name: str) -> tuple[str, ...]:
    """The names that a weight may have in an adapter: as in the checkpoint, or without or with a leading `model.`."""
    return name, name.removeprefix("model."), f"model.{name}"


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise CheckpointError(f"adapter {shortened(str(folder))}: no such folder.")
    file = folder / ADAPTER_FILES[0]
    if not file.is_file():
        raise CheckpointError(
            f"adapter {folder}: no {ADAPTER_FILES[0]}; expected a folder written by peft's save_pretrained."
        )
    config = read_json_object(file)
    if config.get("peft_type") != "LORA":
        raise CheckpointError(
            f"adapter {folder}: peft_type is {shortened(config.get('peft_type'))}; supported is LORA. Merge others into"
            " the checkpoint first (peft's merge_and_unload), and give that as model.path."
        )
    for switch, what in _REFUSED.items():
        if config.get(switch):
            raise CheckpointError(f"adapter {folder}: {switch} is set ({what}), which is not supported.")
    if config.get("bias", "none") != "none":
        raise CheckpointError(f"adapter {folder}: bias is {shortened(config['bias'])}; supported is none.")
    return config


def _read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Weight name in the model -> shape of the stored tensor, from the file's header."""
    file = folder / ADAPTER_FILES[1]
    if not file.is_file():
        there = listing(sorted(path.name for path in folder.iterdir()))
        raise CheckpointError(f"adapter {folder}: no {ADAPTER_FILES[1]}; found {there}.")
    try:
        with safe_open(file, framework="pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
            shapes = {name: tuple(each.get_shape()) for name, each in slices.items()}
            dtypes = {name: str(each.get_dtype()) for name, each in slices.items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"adapter {file}: truncated or not safetensors ({error}).") from error
    if strange := sorted(name for name in shapes if not name.startswith(_PREFIX)):
        raise CheckpointError(f"adapter {file}: holds {strange[0]}; expected are names that begin with {_PREFIX}")
    if not shapes:
        raise CheckpointError(f"adapter {file}: holds no tensor, and so changes nothing.")
    if other := next((name for name in sorted(dtypes) if dtypes[name] not in _DTYPES), None):
        raise CheckpointError(
            f"adapter {file}: {other} is stored as {dtypes[other]}; supported are {listing(_DTYPES)}. Save a quantised"
            " adapter in one of these."
        )
    return {name.removeprefix(_PREFIX): shape for name, shape in shapes.items()}


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    file = folder / ADAPTER_FILES[1]
    tensors = load_file(file)
    if broken := sorted(name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())):
        raise CheckpointError(f"adapter {file}: {broken[0]} holds NaN or infinity.")
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _scales(folder: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
    """Layer name -> the factor of its change."""
    halves: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        if found := _PAIR.match(name):
            halves.setdefault(found["module"], {})[found["half"]] = shape
    scales = {}
    for module, half in halves.items():
        if half.keys() != {"A", "B"}:
            only = next(iter(half))
            raise CheckpointError(f"adapter {folder}: {module} has only lora_{only}; expected lora_A and lora_B.")
        a, b = half["A"], half["B"]
        if len(a) != 2 or len(b) != 2 or a[0] != b[1] or a[0] == 0:
            raise CheckpointError(
                f"adapter {folder}: {module}: lora_A is {a}, lora_B is {b}; expected (rank, in) and (out, rank), with a"
                " rank of 1 or more."
            )
        scales[module] = _scale(folder, config, module, rank=a[0])
    return scales


def _scale(folder: Path, config: Mapping[str, Any], module: str, *, rank: int) -> float:
    """A layer's factor: alpha / rank, or alpha / sqrt(rank) with rank-stabilised LoRA (Kalajdzievski 2023)."""
    patterns = config.get("alpha_pattern") or {}
    try:
        own = next((alpha for key, alpha in patterns.items() if re.fullmatch(rf"(.*\.)?({key})", module)), None)
    except (AttributeError, re.error) as error:
        raise CheckpointError(
            f"adapter {folder}: {ADAPTER_FILES[0]}: alpha_pattern is {shortened(patterns)} ({error}); expected an"
            " object from regular expressions for layer names to numbers."
        ) from error
    alpha = config.get("lora_alpha") if own is None else own
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not abs(alpha) <= sys.float_info.max:
        raise CheckpointError(
            f"adapter {folder}: {ADAPTER_FILES[0]}: lora_alpha is {shortened(alpha)}; expected a number."
        )
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
