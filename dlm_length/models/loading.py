"""Loading a checkpoint, by hub id or folder, as a mask predictor."""

import hashlib
import importlib
import os
import pkgutil
from collections.abc import Mapping
from functools import cache, partial
from importlib.resources import files
from inspect import isabstract
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

import dlm_length.models as models_package
from dlm_length.common import GIB, ConfigError, first_line, listing, suggestion
from dlm_length.common.hub import hub_or_cache
from dlm_length.common.plugins import classes_in_file, with_plugins
from dlm_length.models.architecture import Architecture
from dlm_length.models.backbone import compile_layers, empty_backbone, fuse
from dlm_length.models.config_fields import shortened
from dlm_length.models.errors import AbsentCheckpointError, CheckpointError
from dlm_length.models.experts import use_ragged_experts
from dlm_length.models.family import Family
from dlm_length.models.fixed_rows import fix_rows, fixed_rows_linear
from dlm_length.models.fused import FusedBackbone, is_fusable
from dlm_length.models.json_file import read_json_object
from dlm_length.models.lora import ADAPTER_FILES, Adapter, read_layout
from dlm_length.models.memory import check_memory
from dlm_length.models.predictor import MaskPredictor
from dlm_length.models.spec import Termination
from dlm_length.models.special_tokens import find_special_tokens
from dlm_length.models.tokenizer import Tokenizer
from dlm_length.models.weights import check_layers, stream_weights

_EMBEDDED = "embedded:"
_MEBIBYTE = 2**20
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SMALL_FILES = [
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.jinja",
    "chat_template*",
    "generation_config.json",
]
_DIGESTED = ("config.json", "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json")


def load_model(
    path: str,
    *,
    device: str = "auto",
    dtype: str = "float32",
    revision: str | None = None,
    adapter: str | None = None,
    compiled: bool = False,
    fused: bool = True,
    batch_invariant: bool = False,
    family_file: str | None = None,
    termination: Termination | None = None,
) -> MaskPredictor:
    """Load a checkpoint onto a device.

    `path`: a folder, a hub id `owner/name`, or `embedded:NAME` for one that ships with the package. `device`: cpu,
    cuda, cuda:N or auto. `dtype`: float32, bfloat16, float16, or auto for half precision on a GPU and float32
    elsewhere. `adapter`: the folder of a LoRA adapter in peft's format, merged in float32 before the weights are
    rounded to `dtype`. `compiled`: compile the layers with torch.compile. `fused`: on a GPU, use joined projections and
    fused elementwise kernels; in half precision they round less often than the reference implementations.
    `batch_invariant`: matrix products that round alike in every batch. `family_file`: a Python file with the
    checkpoint's family, tried before the package's. `termination`: which token policies use as EOS, see `ModelSpec`. No
    code of the checkpoint is ever run.
    Raises CheckpointError, naming the file or weight, for whatever is missing, truncated, misshapen or not supported.
    """
    where = choose_device(device)
    dtype = choose_dtype(dtype, where)
    if compiled and batch_invariant:
        raise CheckpointError("compiled and batch_invariant exclude each other: compiled code rounds in its own way.")
    if where.index is not None:
        torch.cuda.set_device(where)  # one process drives one device; Triton launches on the current one
    # float32 is meant: NVIDIA's containers preset TF32, whose rounding would reach the rotary angles in every dtype.
    torch.set_float32_matmul_precision("highest")
    folder = checkpoint_folder(path, revision=revision, weights=True)
    config, family = read_config(folder, family_file)
    architecture, backbone_config = read_sizes(folder, config, family)
    tokenizer = Tokenizer(folder, family.template_variables)
    found = find_special_tokens(folder, config, family, tokenizer, architecture)
    tokens = found.used(choose_termination(family, termination))

    check_layers(folder, architecture.layers)
    check_memory(folder, architecture, _DTYPES[dtype], where)
    backbone = empty_backbone(family.backbone_class(), backbone_config, where)
    if not architecture.tied:
        with torch.device("meta"):
            backbone.head = nn.Linear(architecture.width, architecture.vocabulary, bias=False)
    try:
        place = partial(family.place, architecture=architecture)
        merge = Adapter(Path(adapter).expanduser()) if adapter else None
        stream_weights(folder, backbone, place, dtype=_DTYPES[dtype], device=where, adapter=merge)
    except torch.OutOfMemoryError as error:
        size = architecture.parameters * _DTYPES[dtype].itemsize / GIB
        raise CheckpointError(
            f"checkpoint {folder}: {size:.1f} GiB of weights in {dtype} do not fit into the free memory of {where}."
        ) from error
    head = backbone.get_parameter("embed_tokens.weight" if architecture.tied else "head.weight")
    linear = fixed_rows_linear if batch_invariant else functional.linear
    joined = None
    if fused and not compiled and where.type == "cuda" and is_fusable(backbone):
        joined = FusedBackbone(backbone, linear=linear)
    else:
        _prepare_unfused(backbone, batch_invariant=batch_invariant, compiled=compiled)
    return MaskPredictor(
        path,
        backbone,
        head,
        architecture,
        tokens,
        tokenizer,
        fused=joined,
        linear=linear,
        shifted=family.shifted,
        block_causal=family.block_causal,
    )


def load_tokenizer(path: str, revision: str | None = None, family_file: str | None = None) -> Tokenizer:
    """The tokenizer of a checkpoint, without its weights. Raises CheckpointError as `load_model`."""
    folder = checkpoint_folder(path, revision=revision, weights=False)
    _, family = read_config(folder, family_file)
    return Tokenizer(folder, family.template_variables)


def check_adapter(adapter: str) -> None:
    """Raise CheckpointError where the folder `adapter` holds no LoRA adapter that can be merged.

    Reads its config and the header of its weights file, and no tensor.
    """
    read_layout(Path(adapter).expanduser())


def load_architecture(path: str, revision: str | None = None, family_file: str | None = None) -> Architecture:
    """The sizes of a checkpoint, without its weights. Raises CheckpointError as `load_model`."""
    folder = checkpoint_folder(path, revision=revision, weights=False)
    architecture, _ = read_sizes(folder, *read_config(folder, family_file))
    return architecture


def logits_are_shifted(path: str, revision: str | None = None, family_file: str | None = None) -> bool:
    """Whether a checkpoint's logits at a position predict the next one. Does not load its weights."""
    _, family = read_config(checkpoint_folder(path, revision=revision, weights=False), family_file)
    return family.shifted


def checkpoint_digest(path: str, revision: str | None = None, adapter: str | None = None) -> str:
    """Sixteen hex digits of a SHA-256 that identifies the content of a checkpoint and of its adapter.

    Over names, sizes and the first and last MiB of config, tokenizer, weight and adapter files: enough to distinguish
    two trainings without reading 16 GB.
    """
    folder = checkpoint_folder(path, revision=revision, weights=True)
    digest = hashlib.sha256()
    small = [folder / name for name in _DIGESTED if (folder / name).exists()]
    content_of = sorted([*small, *folder.glob("*.safetensors")])
    if adapter is not None:
        content_of += [file for name in ADAPTER_FILES if (file := Path(adapter).expanduser() / name).is_file()]
    for file in content_of:
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            digest.update(content.read(_MEBIBYTE))
            content.seek(max(0, size - _MEBIBYTE))
            digest.update(content.read())
    return digest.hexdigest()[:16]


def choose_device(device: str) -> torch.device:
    """The device for cpu, cuda, cuda:N or auto on this machine. Raises CheckpointError where it is absent."""
    cuda = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise CheckpointError(f"device {device!r}: not one of cpu, cuda, cuda:N or auto.")
    if chosen.type == "cuda" and (not cuda or (chosen.index or 0) >= torch.cuda.device_count()):
        found = f"{torch.cuda.device_count()} CUDA devices" if cuda else "no CUDA device"
        raise CheckpointError(f"device {device!r}: this machine has {found}; choose hardware=cpu.")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> str:
    """The name of the dtype for float32, bfloat16, float16 or auto on a device. Raises CheckpointError for another.

    auto: bfloat16 on a GPU that has it (Ampere or newer), float16 on an older one, float32 on a CPU.
    """
    if dtype == "auto":
        if device.type != "cuda":
            return "float32"
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"
    if dtype not in _DTYPES:
        raise CheckpointError(f"dtype {dtype!r} is not supported; there are {listing([*_DTYPES, 'auto'])}.")
    return dtype


def choose_termination(family: Family, chosen: Termination | None) -> Termination:
    """The termination token: `chosen`, or the family's default. Raises CheckpointError where the family forbids it."""
    if chosen is None:
        return family.terminations[0]
    if chosen not in family.terminations:
        raise CheckpointError(
            f"model.termination is {chosen}; allowed with a checkpoint of {type(family).__name__}:"
            f" {listing(family.terminations)}."
        )
    return chosen


def checkpoint_folder(path: str, *, revision: str | None, weights: bool) -> Path:
    """The local folder of a checkpoint; a hub checkpoint is downloaded, with its weights only if `weights`.

    Raises AbsentCheckpointError where there is no such folder, and the hub has no such checkpoint or is unreachable.
    """
    if path.startswith(_EMBEDDED):
        return _embedded(path.removeprefix(_EMBEDDED))
    # These return False, where pathlib raises, for what cannot be a folder's name.
    if os.path.isdir(folder := os.path.expanduser(path)):  # noqa: PTH111, PTH112
        return Path(folder)
    if path.count("/") != 1 or path.startswith((".", "/", "~")):
        raise AbsentCheckpointError(f"checkpoint {shortened(path)}: no such folder, and not a hub id (owner/name).")
    from huggingface_hub import snapshot_download

    patterns = [*_SMALL_FILES, *(["*.safetensors", "*.safetensors.index.json"] if weights else [])]
    unreachable = None
    try:
        with hub_or_cache() as unreachable:
            return Path(snapshot_download(path, revision=revision, allow_patterns=patterns))
    except Exception as error:
        reason = unreachable or f"{type(error).__name__}: {first_line(error)}"
        raise AbsentCheckpointError(
            f"checkpoint {path!r}: not a folder here, and the hub did not give it ({reason})."
            " Download it where there is a network and pass model.path=FOLDER."
        ) from error


def _prepare_unfused(backbone: PreTrainedModel, *, batch_invariant: bool, compiled: bool) -> None:
    """Replace modules of a transformers backbone by those of the configured mode."""
    fuse(backbone)
    use_ragged_experts(backbone, batch_invariant=batch_invariant)
    if batch_invariant:
        fix_rows(backbone)
    if compiled:
        compile_layers(backbone)


@cache
def _families() -> tuple[Family, ...]:
    """The package's families, then those of installed distributions (entry point group `dlm_length.models`)."""
    own: dict[str, type[Family]] = {}
    for info in pkgutil.iter_modules(models_package.__path__):
        if info.name.startswith("_"):  # not a family, and Triton's kernels cannot be imported everywhere
            continue
        own |= _families_of(importlib.import_module(f"{models_package.__name__}.{info.name}"))
    everywhere = with_plugins("models", own, Family, _families_of)  # type: ignore[type-abstract]  # python/mypy#4717
    return tuple(everywhere[name]() for name in (*own, *sorted(everywhere.keys() - own.keys())))


def _families_of(module: ModuleType) -> dict[str, type[Family]]:
    """Class name -> class, for the concrete families that a module defines itself."""
    return {
        entry.__name__: entry
        for entry in vars(module).values()
        if isinstance(entry, type)
        and issubclass(entry, Family)
        and entry.__module__ == module.__name__
        and not isabstract(entry)
    }


def _families_in_file(file: str) -> tuple[Family, ...]:
    """The families of `model.file`. Raises CheckpointError for a file that is missing, raises, or defines none."""
    try:
        by_name = classes_in_file(Path(file), Family, _families_of)  # type: ignore[type-abstract]
    except ConfigError as error:
        raise CheckpointError(f"model.file: {error}.") from error
    return tuple(family() for family in by_name.values())


def _embedded(name: str) -> Path:
    shipped = Path(str(files(models_package) / "embedded"))
    names = sorted(p.name for p in shipped.iterdir() if p.is_dir())
    if name not in names:
        raise CheckpointError(
            f"checkpoint embedded:{name}: the package ships {listing(names)}.{suggestion(name, names)}"
        )
    return shipped / name


def read_config(folder: Path, family_file: str | None = None) -> tuple[dict[str, Any], Family]:
    """A checkpoint's config.json and the first family that recognises it, those of `family_file` before others.

    Raises CheckpointError for a file that is missing or unreadable, and where no family recognises it.
    """
    file = folder / "config.json"
    if not os.path.lexists(file):
        raise CheckpointError(f"checkpoint {folder}: no config.json; is it the folder of a checkpoint?")
    config = read_json_object(file)
    families = (*_families_in_file(family_file), *_families()) if family_file else _families()
    for family in families:
        if family.recognises(config):
            return config, family
    kinds = listing(sorted(type(family).__name__ for family in families))
    raise CheckpointError(
        f"checkpoint {file}: model_type {shortened(config.get('model_type'))} is not supported; supported are {kinds}."
    )


def read_sizes(folder: Path, config: Mapping[str, Any], family: Family) -> tuple[Architecture, PretrainedConfig]:
    """The sizes in config.json, and the configuration of the transformers backbone.

    Raises CheckpointError for a field that is missing, of the wrong kind or not supported.
    """
    try:
        return family.architecture(config), family.backbone_config(config)
    except KeyError as error:
        raise CheckpointError(f"checkpoint {folder}: config.json has no field {error}.") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        found = f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}, found {wrong['input']!r}"
        raise CheckpointError(f"checkpoint {folder}: config.json: {found}.") from error
    except Exception as error:  # whatever transformers finds wrong with it
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"checkpoint {folder}: config.json: {reason}.") from error
