"""Streaming a checkpoint's safetensors into a backbone; every error names its file or weight."""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dlm_length.common import counted, listing
from dlm_length.models.config_fields import shortened
from dlm_length.models.errors import CheckpointError
from dlm_length.models.json_file import read_json_object
from dlm_length.models.lora import Adapter

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_HEAD, _EMBEDDING = "head.weight", "embed_tokens.weight"
_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Dtypes that a weight may be stored in. Others are quantised, and meaningless without their scales."""
_STORED_AS = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""Dtypes by their names in a safetensors header."""
_FREQUENCIES = re.compile(r"(^|\.)rotary_emb\.inv_freq$")
_BUFFERS = re.compile(r"(^|\.)(position_ids|masked_bias|attention_mask|causal_mask|attn_mask)$")
"""Position ids and attention masks that some programs store with the weights, and that are ignored."""
_DERIVED = re.compile(f"{_FREQUENCIES.pattern}|{_BUFFERS.pattern}")
_ROUNDED = 0.01
"""Relative difference allowed between stored and computed rotary frequencies: bfloat16 keeps 8 bits."""
_NAMED = 5
"""Faulty weights that a message names; it counts the rest."""


@dataclass(frozen=True)
class Part:
    """The part of a module's weight that a stored weight, or some rows of it, fills."""

    target: str
    """Name of the module's weight; `head.weight` is the vocabulary head."""
    expert: int | None = None
    """Index of the expert in a target that stacks all experts in one tensor; None: the target is not stacked."""
    rows: tuple[int, int] | None = None
    """Rows of the target, or of its expert, that are filled: first, and one past the last; None: all."""
    taken: tuple[int, int] | None = None
    """Rows of the stored weight that are used, likewise."""
    dtype: torch.dtype | None = None
    """Dtype in which it is kept; None: the model's."""
    stored_as: torch.dtype | None = None
    """Dtype in which it must be stored, where rounding would change which experts are chosen; None: any."""

    def filled(self, target: Tensor) -> Tensor:
        """View of the filled part of the target."""
        return _rows(target if self.expert is None else target[self.expert], self.rows)

    def source(self, stored: Tensor) -> Tensor:
        """View of the used rows of the stored weight."""
        return _rows(stored, self.taken)


@dataclass(frozen=True)
class StoredWeight:
    """Name, shape and dtype of a weight, from the header of a safetensors file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As the header spells it, such as BF16."""

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass
class _Faults:
    """Faulty weights of a checkpoint by kind of fault, each a name with or without an explanation."""

    unexpected: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    def sentences(self, missing: list[str]) -> list[str]:
        kinds = {
            "missing": missing,
            "unexpected": self.unexpected,
            "of the wrong shape": self.misshapen,
            "that cannot be used": self.unusable,
        }
        return [f"{counted(len(names), 'weight')} {what}: {_some(names)}" for what, names in kinds.items() if names]


class _Filling:
    """The weights of a module while they are loaded, by their names in the module."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        parameters = dict(module.named_parameters(remove_duplicate=True))
        buffers = {name: buffer for name, buffer in module.named_buffers() if name in module.state_dict()}
        self.expected: dict[str, Tensor] = {**parameters, **buffers}
        self._buffers = buffers.keys()
        self.sources: dict[str, str] = {}
        """Module's weight -> the first stored weight that filled it or a part of it."""
        self._module, self._device = module, device
        self._missing = {name: weight.numel() for name, weight in self.expected.items()}

    def refusal(self, part: Part, stored: Tensor) -> str | None:
        """Why `stored` cannot fill `part`; None: it can."""
        expected = self.expected[part.target]
        if part.expert is not None and part.expert >= len(expected):
            return f"is of expert {part.expert}, expected are {len(expected)} experts"
        if part.stored_as not in (None, stored.dtype):
            return f"is {_dtype_name(stored.dtype)}, expected {_dtype_name(part.stored_as)}"
        shape = part.filled(expected).shape
        return None if part.source(stored).shape == shape else f"is {tuple(stored.shape)}, expected {tuple(shape)}"

    def is_head_of_tied(self, parts: Sequence[Part]) -> bool:
        """Whether a stored weight is a vocabulary head of a model whose head is tied to the embedding."""
        return bool(parts) and parts[0].target == _HEAD and _HEAD not in self.expected

    def has_place(self, parts: Sequence[Part]) -> bool:
        """Whether the module has all targets of a stored weight, at least one."""
        return bool(parts) and all(part.target in self.expected for part in parts)

    def refusals(self, parts: Sequence[Part], stored: Tensor) -> list[str]:
        """Why `stored` cannot fill its parts; empty: it can."""
        return [fault for part in parts if (fault := self.refusal(part, stored))]

    def put(self, part: Part, name: str, weight: Tensor) -> None:
        """Fill `part` with the stored weight `name`; `weight`: its values in the dtype in which they are kept."""
        expected = self.expected[part.target]
        if weight.shape == expected.shape:
            self._register(part.target, weight)
        else:
            if part.target not in self.sources:
                whole = torch.empty(expected.shape, dtype=weight.dtype, device=self._device)
                self._register(part.target, whole)
            with torch.no_grad():
                part.filled(self._module.get_parameter(part.target)).copy_(part.source(weight))
        self.count(part, name)

    def count(self, part: Part, name: str) -> None:
        """Count `part` as filled by the stored weight `name`."""
        self.sources.setdefault(part.target, name)
        self._missing[part.target] -= part.filled(self.expected[part.target]).numel()

    def _register(self, target: str, weight: Tensor) -> None:
        owner, _, leaf = target.rpartition(".")
        module = self._module.get_submodule(owner)
        if target in self._buffers:
            module.register_buffer(leaf, weight)
        else:
            module.register_parameter(leaf, nn.Parameter(weight, requires_grad=False))

    @property
    def missing(self) -> list[str]:
        """Names of the module's weights that are not filled, or only in part."""
        return [name for name, numel in self._missing.items() if numel > 0]


def stream_weights(
    folder: Path,
    module: nn.Module,
    place: Callable[[str], Sequence[Part]],
    *,
    dtype: torch.dtype,
    device: torch.device,
    adapter: Adapter | None = None,
) -> None:
    """Load every weight of `folder` into `module`, which is on the meta device, one tensor at a time.

    `place`: stored weight's name -> the parts of the module that it fills, none for an unexpected weight. `adapter`:
    merged into the weights.
    Raises CheckpointError for files that are missing or truncated, for weights that are missing, unexpected, misshapen
    or not finite, and for an adapter that does not fit.
    """
    filling, found = _Filling(module, device), _Faults()
    head: tuple[str, Tensor] | None = None
    for shard in _shards(folder):
        for name, tensor in _tensors(shard, device):
            parts = place(name)
            if filling.is_head_of_tied(parts):
                head = name, tensor
            elif not filling.has_place(parts):
                if not _is_derived(name, tensor, module):
                    found.unexpected.append(name)
            elif refusals := filling.refusals(parts, tensor):
                found.misshapen.append(f"{name} {refusals[0]}")
            else:
                weight = _merged(adapter, name, tensor, parts[0].dtype or dtype)
                if fault := _unusable(tensor, weight):
                    found.unusable.append(f"{name} {fault}")
                for part in parts:
                    filling.put(part, name, weight)
    faults = found.sentences(filling.missing)
    if head is not None and _EMBEDDING in filling.sources:
        embedding = module.get_parameter(_EMBEDDING)
        if head[1].shape != embedding.shape or not torch.equal(head[1].to(dtype), embedding):
            faults.append(f"{head[0]} differs from {filling.sources[_EMBEDDING]}, though config.json ties the two")
    if faults:
        raise CheckpointError(f"checkpoint {folder}: {'; '.join(faults)}. Is it complete, and of this model family?")
    if adapter is not None:
        adapter.check_all_used(list(filling.sources.values()))


def read_headers(folder: Path) -> Iterator[StoredWeight]:
    """Every weight of a checkpoint, by the headers of its safetensors files alone.

    Raises CheckpointError for files that are missing or truncated.
    """
    for shard in _shards(folder):
        with _opened(shard, torch.device("cpu")) as file:
            for name in file.keys():  # noqa: SIM118 - a safetensors file is not a mapping
                declared = file.get_slice(name)
                yield StoredWeight(name, tuple(declared.get_shape()), declared.get_dtype())


def header_faults(
    headers: Iterable[StoredWeight], module: nn.Module, place: Callable[[str], Sequence[Part]]
) -> list[str]:
    """The faults for which `stream_weights` would fail, as far as headers show them: a clause per kind of fault."""
    filling, found = _Filling(module, torch.device("meta")), _Faults()
    for weight in headers:
        parts = place(weight.name)
        stored_as = _STORED_AS.get(weight.dtype)
        if filling.is_head_of_tied(parts) or _DERIVED.search(weight.name):
            continue
        if not filling.has_place(parts):
            found.unexpected.append(weight.name)
        elif stored_as is None:
            found.unusable.append(f"{weight.name} is {weight.dtype}, supported are {listing(_STORED_AS)}")
        elif refusals := filling.refusals(parts, torch.empty(weight.shape, dtype=stored_as, device="meta")):
            found.misshapen.append(f"{weight.name} {refusals[0]}")
        else:
            for part in parts:
                filling.count(part, weight.name)
    refused = {fault.partition(" ")[0] for fault in (*found.misshapen, *found.unusable)}
    spoiled = {part.target for name in refused for part in place(name)}
    return found.sentences([name for name in filling.missing if name not in spoiled])


def check_layers(folder: Path, layers: int, tensors: int | None = None) -> None:
    """Raise CheckpointError where the weight files hold fewer tensors than config.json has layers.

    `tensors`: their number, counted where None. Checked before the backbone is built, which can take hours for a number
    of layers that is wrong.
    """
    if tensors is None:
        tensors = sum(len(_names(shard)) for shard in _shards(folder))
    if tensors < layers:
        raise CheckpointError(
            f"checkpoint {folder}: config.json says {layers:,} layers, the weight files hold {tensors:,} tensors, fewer"
            " than one per layer. Is it complete, and is config.json its own?"
        )


def _merged(adapter: Adapter | None, name: str, stored: Tensor, dtype: torch.dtype) -> Tensor:
    """The stored weight `name` in `dtype`, with the adapter's change.

    Raises CheckpointError where the change makes it overflow.
    """
    merged = stored if adapter is None else adapter.merged(name, stored)
    weight = merged.to(dtype)
    if adapter is not None and merged is not stored and not _is_finite(weight) and _is_finite(stored.to(dtype)):
        remedy = "Choose hardware.dtype=float32." if _is_finite(merged) else "Is it damaged?"
        raise CheckpointError(
            f"adapter {adapter.folder}: changes {name} to numbers that {_dtype_name(dtype)} cannot hold. {remedy}"
        )
    return weight


def _unusable(stored: Tensor, weight: Tensor) -> str | None:
    """What is wrong with the values of a weight, as stored or in the dtype in which it is kept; None: nothing."""
    if stored.dtype not in _DTYPES:
        return f"is {_dtype_name(stored.dtype)}, supported are {listing(map(_dtype_name, _DTYPES))}"
    if _is_finite(weight):
        return None
    if _is_finite(stored):
        return f"has numbers that {_dtype_name(weight.dtype)} cannot hold; choose hardware.dtype=float32"
    return "holds NaN or infinity"


def _is_finite(tensor: Tensor) -> bool:
    """Whether every element is finite; makes no copy of the tensor."""
    return tensor.numel() == 0 or bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())


def _is_derived(name: str, tensor: Tensor, module: nn.Module) -> bool:
    """Whether a stored tensor is a buffer that follows from the config, as older checkpoints have them.

    Rotary frequencies must equal the module's: others would mean other positions.
    """
    if _FREQUENCIES.search(name):
        own = next((buffer for kind, buffer in module.named_buffers() if kind.endswith("inv_freq")), None)
        found = tensor.to(torch.float32)
        return own is not None and found.shape == own.shape and torch.allclose(found, own, rtol=_ROUNDED, atol=0.0)
    return bool(_BUFFERS.search(name))


def _rows(tensor: Tensor, which: tuple[int, int] | None) -> Tensor:
    return tensor if which is None or tensor.ndim == 0 else tensor[which[0] : which[1]]


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _shards(folder: Path) -> list[Path]:
    index = folder / _INDEX
    if not index.exists():
        single = folder / _SINGLE
        if not single.exists():
            there = ", ".join(sorted(p.name for p in folder.iterdir())) or "an empty folder"
            raise CheckpointError(f"checkpoint {folder}: neither {_SINGLE} nor {_INDEX} is there; found {there}.")
        return [single]
    content = read_json_object(index)
    names = _weight_files(index, content.get("weight_map"))
    shards = [folder / name for name in names]
    # isfile() returns False, where is_file() raises, for what cannot be a file's name.
    absent = [shard.name for shard in shards if not os.path.isfile(shard)]  # noqa: PTH113
    if absent:
        raise CheckpointError(
            f"checkpoint {folder}: {len(absent)} of {counted(len(shards), 'shard')} missing: {_some(absent)}."
        )
    return shards


def _weight_files(index: Path, weight_map: object) -> list[str]:
    """The weight files that an index names, each once. Raises CheckpointError for one outside the index's folder."""
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(
            f"checkpoint {index}: not a safetensors index; expected 'weight_map' with a file name for every weight."
        )
    names = sorted(set(weight_map.values()))
    for name in names:
        path = PurePath(name)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".safetensors":
            raise CheckpointError(
                f"checkpoint {index}: names the file {shortened(name)}; allowed are safetensors files in the"
                " checkpoint's own folder."
            )
    return names


def _names(shard: Path) -> list[str]:
    with _opened(shard, torch.device("cpu")) as file:
        return list(file.keys())


def _tensors(shard: Path, device: torch.device) -> Iterator[tuple[str, Tensor]]:
    with _opened(shard, device) as file:
        for name in file.keys():  # noqa: SIM118 - a safetensors file is not a mapping
            yield name, file.get_tensor(name)


@contextmanager
def _opened(shard: Path, device: torch.device) -> Iterator[Any]:
    try:
        with safe_open(shard, framework="pt", device=str(device)) as file:
            yield file
    except (SafetensorError, OSError) as error:
        size = shard.stat().st_size
        raise CheckpointError(f"checkpoint {shard}: truncated or not safetensors ({size} bytes; {error}).") from error
