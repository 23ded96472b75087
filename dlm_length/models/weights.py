"""Streaming a checkpoint's safetensors onto a backbone, every fault by name."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dlm_length.models.errors import CheckpointError

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
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
    loaded: dict[str, str] = {}
    for shard in _shards(folder):
        for name, tensor in _tensors(shard, device):
            target = rename(name)
            if target is None or target not in expected:
                unexpected.append(name)
            elif tensor.shape != expected[target].shape:
                misshapen.append(f"{name} is {tuple(tensor.shape)}, expected {tuple(expected[target].shape)}")
            else:
                owner, _, leaf = target.rpartition(".")
                weight = nn.Parameter(tensor.to(dtype), requires_grad=False)
                module.get_submodule(owner).register_parameter(leaf, weight)
                loaded[target] = name
    missing = [name for name in expected if name not in loaded]
    faults = [
        f"{len(names)} weights {what}: {_some(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of the wrong shape", misshapen))
        if names
    ]
    if faults:
        raise CheckpointError(f"checkpoint {folder}: {'; '.join(faults)}. Is it complete, and of this model family?")


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
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted({str(PurePath(name)) for name in files})
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"checkpoint {index}: not a safetensors index ({error}).") from error
    shards = [folder / name for name in names]
    absent = [shard.name for shard in shards if not shard.exists()]
    if absent:
        raise CheckpointError(f"checkpoint {folder}: {len(absent)} of {len(shards)} shards missing: {_some(absent)}.")
    return shards


def _tensors(shard: Path, device: torch.device) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(shard, framework="pt", device=str(device)) as file:
            for name in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
                yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        size = shard.stat().st_size
        raise CheckpointError(f"checkpoint {shard}: truncated or not safetensors ({size} bytes; {error}).") from error
