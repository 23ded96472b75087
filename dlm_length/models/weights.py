"""Streaming a checkpoint's safetensors onto a backbone, every fault by name."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dlm_length.common import listing
from dlm_length.models.config_fields import shortened
from dlm_length.models.errors import CheckpointError
from dlm_length.models.json_file import read_json_object

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_HEAD, _EMBEDDING = "head.weight", "embed_tokens.weight"
_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Others are quantised: without their scales they are other numbers."""
_FREQUENCIES = re.compile(r"(^|\.)rotary_emb\.inv_freq$")
_BUFFERS = re.compile(r"(^|\.)(position_ids|masked_bias|attention_mask|causal_mask|attn_mask)$")
"""Position numbers and masks that some programs store with the weights. What a token sees is the engine's part."""
_ROUNDED = 0.01
"""How far stored rotary frequencies may be from the computed ones: bfloat16 keeps 8 bits."""
_NAMED = 5
"""How many faulty weights a message names before it counts the rest."""


def stream_weights(
    folder: Path, module: nn.Module, rename: Callable[[str], str | None], *, dtype: torch.dtype, device: torch.device
) -> None:
    """Load every weight of `folder` into `module`, which is on the meta device, one tensor at a time.

    `rename` gives the module's name for a weight of the checkpoint, None for one that the module has no place for.
    Raises CheckpointError for files that are missing or truncated, weights that are missing, unexpected or misshapen.
    """
    expected = dict(module.named_parameters(remove_duplicate=True))
    unexpected: list[str] = []
    misshapen: list[str] = []
    unusable: list[str] = []
    loaded: dict[str, str] = {}
    head: tuple[str, Tensor] | None = None
    for shard in _shards(folder):
        for name, tensor in _tensors(shard, device):
            target = rename(name)
            if target == _HEAD and _HEAD not in expected:
                head = name, tensor
            elif target is None or target not in expected:
                if not _is_derived(name, tensor, module):
                    unexpected.append(name)
            elif tensor.shape != expected[target].shape:
                misshapen.append(f"{name} is {tuple(tensor.shape)}, expected {tuple(expected[target].shape)}")
            else:
                owner, _, leaf = target.rpartition(".")
                weight = tensor.to(dtype)
                if fault := _unusable(tensor, weight):
                    unusable.append(f"{name} {fault}")
                module.get_submodule(owner).register_parameter(leaf, nn.Parameter(weight, requires_grad=False))
                loaded[target] = name
    missing = [name for name in expected if name not in loaded]
    kinds = {
        "missing": missing,
        "unexpected": unexpected,
        "of the wrong shape": misshapen,
        "that cannot be used": unusable,
    }
    faults = [f"{len(names)} weights {what}: {_some(names)}" for what, names in kinds.items() if names]
    if head is not None and _EMBEDDING in loaded:
        embedding = module.get_parameter(_EMBEDDING)
        if head[1].shape != embedding.shape or not torch.equal(head[1].to(dtype), embedding):
            faults.append(f"{head[0]} is another matrix than {loaded[_EMBEDDING]}, though config.json ties the two")
    if faults:
        raise CheckpointError(f"checkpoint {folder}: {'; '.join(faults)}. Is it complete, and of this model family?")


def check_layers(folder: Path, layers: int) -> None:
    """Raise CheckpointError where the weight files hold fewer tensors than config.json says there are layers.

    Told before a backbone of so many layers is built, which of a wrong number could take hours.
    """
    tensors = sum(len(_names(shard)) for shard in _shards(folder))
    if tensors < layers:
        raise CheckpointError(
            f"checkpoint {folder}: config.json says {layers:,} layers, the weight files hold {tensors:,} tensors, less"
            " than one a layer. Is it complete, and is config.json its own?"
        )


def _unusable(stored: Tensor, weight: Tensor) -> str | None:
    """What is wrong with the numbers of a weight as it is stored, or as it is in the model's dtype; None: nothing."""
    if stored.dtype not in _DTYPES:
        return f"is {_dtype_name(stored.dtype)}, supported are {listing(map(_dtype_name, _DTYPES))}"
    if _is_finite(weight):
        return None
    if _is_finite(stored):
        return f"has numbers that {_dtype_name(weight.dtype)} cannot hold; choose hardware.dtype=float32"
    return "holds NaN or infinity"


def _is_finite(tensor: Tensor) -> bool:
    """Whether every entry is; without a copy of the tensor."""
    return tensor.numel() == 0 or bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())


def _is_derived(name: str, tensor: Tensor, module: nn.Module) -> bool:
    """Whether a stored tensor is a buffer that follows from the config, as older checkpoints have them.

    Rotary frequencies count only where they are those of the module: others would be other positions.
    """
    if _FREQUENCIES.search(name):
        own = next((buffer for kind, buffer in module.named_buffers() if kind.endswith("inv_freq")), None)
        found = tensor.to(torch.float32)
        return own is not None and found.shape == own.shape and torch.allclose(found, own, rtol=_ROUNDED, atol=0.0)
    return bool(_BUFFERS.search(name))


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
    # isfile() says no, where is_file() raises, to what cannot be a file's name.
    absent = [shard.name for shard in shards if not os.path.isfile(shard)]  # noqa: PTH113
    if absent:
        raise CheckpointError(f"checkpoint {folder}: {len(absent)} of {len(shards)} shards missing: {_some(absent)}.")
    return shards


def _weight_files(index: Path, weight_map: object) -> list[str]:
    """The files that an index names, each once; only such as are in the index's own folder or below it."""
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(
            f"checkpoint {index}: not a safetensors index; expected 'weight_map' with a file's name for every weight."
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
        for name in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
            yield name, file.get_tensor(name)


@contextmanager
def _opened(shard: Path, device: torch.device) -> Iterator[Any]:
    try:
        with safe_open(shard, framework="pt", device=str(device)) as file:
            yield file
    except (SafetensorError, OSError) as error:
        size = shard.stat().st_size
        raise CheckpointError(f"checkpoint {shard}: truncated or not safetensors ({size} bytes; {error}).") from error
