"""Inspecting a checkpoint without loading its weights: family, sizes, special tokens, chat template, oddities."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from dlm_length.common import GIB, counted, first_line, listing
from dlm_length.models.architecture import Architecture
from dlm_length.models.backbone import empty_backbone
from dlm_length.models.errors import CheckpointError
from dlm_length.models.family import Family
from dlm_length.models.json_file import read_json_object
from dlm_length.models.loading import checkpoint_folder, choose_termination, read_config, read_sizes
from dlm_length.models.lora import ADAPTER_FILES, read_layout
from dlm_length.models.spec import ModelSpec
from dlm_length.models.special_tokens import CONFIG, FAMILY, FoundToken, FoundTokens, find_special_tokens
from dlm_length.models.tokenizer import Tokenizer
from dlm_length.models.weights import StoredWeight, check_layers, header_faults, read_headers

State = Literal["ok", "unusual", "broken"]
Result = TypeVar("Result")

CONVERSATION = (("user", "What is 2 plus 3?"),)
"""Example turns with which a chat template is rendered."""
_BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}
"""Bytes per element of a dtype, by its name in a safetensors header."""
_DECLARING = ("tokenizer_config.json", "special_tokens_map.json")
_CONTEXT_FIELDS = ("max_position_embeddings", "max_sequence_length")
_PICKLED = (".bin", ".pt", ".pth")


@dataclass(frozen=True)
class Reading:
    """One property of a checkpoint."""

    what: str
    """Name of the property."""
    state: State
    """unusual: it runs, but its user should know; broken: the checkpoint cannot be loaded."""
    found: str
    """The property as a sentence."""
    value: Any = None
    """The property as JSON values, for programs; None where there is only the sentence."""


@dataclass
class _Known:
    """What has been read so far; later readings are derived from it."""

    spec: ModelSpec
    folder: Path
    config: Mapping[str, Any] | None = None
    family: Family | None = None
    sizes: Architecture | None = None
    backbone_config: Any = None
    tokenizer: Tokenizer | None = None
    tokens: FoundTokens | None = None
    headers: list[StoredWeight] | None = None
    broken: list[Reading] = field(default_factory=list)

    def attempt(self, what: str, action: Callable[[], Result]) -> Result | None:
        """The result of `action`; None, and a broken reading, where it raises CheckpointError."""
        try:
            return action()
        except CheckpointError as error:
            self.broken.append(Reading(what, "broken", str(error)))
            return None

    def faults(self) -> Iterator[Reading]:
        """The broken readings since the last call."""
        while self.broken:
            yield self.broken.pop(0)


def inspect_checkpoint(spec: ModelSpec) -> Iterator[Reading]:
    """Read a checkpoint's properties, one at a time. Of the weights only the headers are read.

    What cannot be read is a broken reading with the message of the error that loading would raise.
    """
    try:
        folder = checkpoint_folder(spec.path, revision=spec.revision, weights=False)
    except CheckpointError as error:
        yield Reading("checkpoint", "broken", str(error))
        if spec.architecture is not None:
            yield from _size_readings(spec.architecture, source="the model's config file")
        return
    known = _Known(spec, folder)
    yield Reading("checkpoint", "ok", str(folder), str(folder))
    yield from _family(known)
    yield from _sizes(known)
    yield from _weights(known)
    yield from _special_tokens(known)
    yield from _template(known)
    yield from _decoder(known)
    yield from _adapter(known)


def _family(known: _Known) -> Iterator[Reading]:
    folder = known.folder
    if not os.path.lexists(folder / "config.json") and (folder / ADAPTER_FILES[0]).is_file():
        base = read_json_object(folder / ADAPTER_FILES[0]).get("base_model_name_or_path")
        sentence = f"the folder of an adapter: pass its base model ({base}) as model.path, the folder as model.adapter"
        yield Reading("family", "broken", sentence)
        return
    read = known.attempt("family", lambda: read_config(folder, known.spec.file))
    yield from known.faults()
    if read is None:
        return
    known.config, known.family = read
    config, family = read
    sees = "block-causal" if family.block_causal else "bidirectional"
    shift = ", logits shifted by one" if family.shifted else ""
    declared = {name: config.get(name) for name in ("model_type", "architectures")}
    yield Reading(
        "family",
        "ok",
        f"{type(family).__name__}: {sees}{shift}; model_type {declared['model_type']}, architectures"
        f" {declared['architectures']}",
        {"name": type(family).__name__, "attention": sees, "shifted": family.shifted, **declared},
    )
    if "auto_map" in config or any(folder.glob("*.py")):
        yield Reading("code", "ok", "has its own code, which is not run")


def _sizes(known: _Known) -> Iterator[Reading]:
    if known.config is None or known.family is None:
        return
    config, family = known.config, known.family
    read = known.attempt("sizes", lambda: read_sizes(known.folder, config, family))
    yield from known.faults()
    if read is None:
        return
    known.sizes, known.backbone_config = read
    yield from _size_readings(known.sizes)
    declared = next((config[name] for name in _CONTEXT_FIELDS if isinstance(config.get(name), int)), None)
    longest = known.sizes.max_length
    if declared is None or declared == longest:
        yield Reading("context", "ok", f"{longest:,} tokens, prompt and canvas together", longest)
    else:
        sentence = f"{longest:,} tokens, as the family was trained with; config.json says {declared:,}"
        yield Reading("context", "unusual", sentence, longest)


def _size_readings(sizes: Architecture, source: str = "config.json") -> Iterator[Reading]:
    kv_heads = sizes.kv_width // sizes.head_size
    mlp = f"MLP {sizes.mlp_width:,}"
    if sizes.experts:
        shared = f" and a shared width of {sizes.shared_width:,}" if sizes.shared_width else ""
        dense = f"; {sizes.dense_layers} dense of MLP {sizes.mlp_width:,}" if sizes.dense_layers else ""
        mlp = f"{sizes.experts} experts of {sizes.expert_width:,}, {sizes.experts_used} used{shared}{dense}"
    yield Reading(
        "sizes",
        "ok",
        f"{sizes.layers} layers, hidden {sizes.width:,}, {sizes.heads} heads of {sizes.head_size}, {kv_heads} kv heads,"
        f" {mlp}, vocabulary {sizes.vocabulary:,}, head {'tied' if sizes.tied else 'not tied'} to the embedding"
        f" (by {source})",
        {**sizes.model_dump(mode="json"), "kv_heads": kv_heads},
    )
    per_dtype = {"float32": 4 * sizes.parameters, "bfloat16": 2 * sizes.parameters}
    shown = ", ".join(f"{_in_units(size)} in {name}" for name, size in per_dtype.items())
    yield Reading(
        "parameters",
        "ok",
        f"{sizes.parameters:,}: {shown}",
        {"parameters": sizes.parameters, "bytes": per_dtype},
    )


def _in_units(size: int) -> str:
    """A number of bytes in GiB or MiB, as text."""
    return f"{size / GIB:,.2f} GiB" if size >= GIB else f"{size / 2**20:,.2f} MiB"


def _weights(known: _Known) -> Iterator[Reading]:
    read = known.attempt("weights", lambda: _stored(known))
    yield from known.faults()
    if read is None:
        return
    known.headers = read
    numel = Counter[str]()
    for weight in read:
        numel[weight.dtype] += weight.numel
    sizes = {dtype: count * _BYTES.get(dtype, 1) for dtype, count in numel.items()}
    stored = ", ".join(f"{numel[dtype]:,} in {dtype} ({_in_units(size)})" for dtype, size in sizes.items())
    yield Reading(
        "weights",
        "ok",
        f"{counted(len(read), 'tensor')}: {stored}",
        {"tensors": len(read), "numbers": dict(numel), "bytes": sizes},
    )
    if known.sizes is None or known.family is None:
        return
    family, architecture = known.family, known.sizes

    def faults() -> list[str]:
        check_layers(known.folder, architecture.layers, len(read))
        module = empty_backbone(family.backbone_class(), known.backbone_config, torch.device("cpu"))
        if not architecture.tied:
            with torch.device("meta"):
                module.head = torch.nn.Linear(architecture.width, architecture.vocabulary, bias=False)
        return header_faults(read, module, lambda name: family.place(name, architecture))

    found = known.attempt("weight names", faults)
    yield from known.faults()
    for clause in found or ():
        yield Reading("weight names", "broken", clause)
    places = (part for weight in read for part in family.place(weight.name, architecture))
    if architecture.tied and any(part.target == "head.weight" for part in places):
        sentence = "config.json ties it to the embedding, but the files have one too: loading compares the two"
        yield Reading("vocabulary head", "unusual", sentence)


def _local(known: _Known) -> bool:
    """Whether the weights are in the local folder; those of a hub checkpoint may not have been downloaded."""
    return any(known.folder.glob("*.safetensors"))


def _stored(known: _Known) -> list[StoredWeight]:
    """The weights by their headers, from the local folder or, where they were not downloaded, from the hub."""
    if _local(known) or os.path.isdir(os.path.expanduser(known.spec.path)):  # noqa: PTH111, PTH112 - as checkpoint_folder
        if not _local(known) and (pickled := _pickled(known.folder)):
            raise CheckpointError(
                f"checkpoint {known.folder}: weights are only in {listing(pickled)}; supported are safetensors."
            )
        return list(read_headers(known.folder))
    from huggingface_hub import get_safetensors_metadata

    try:
        files = get_safetensors_metadata(known.spec.path, revision=known.spec.revision).files_metadata
    except Exception as error:  # whatever the hub or the network says
        reason = first_line(error)
        raise CheckpointError(
            f"checkpoint {known.spec.path!r}: the hub did not give the headers of its weights ({reason})."
        ) from error
    return [
        StoredWeight(name, tuple(tensor.shape), str(tensor.dtype))
        for file in files.values()
        for name, tensor in file.tensors.items()
    ]


def _pickled(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)


def _special_tokens(known: _Known) -> Iterator[Reading]:
    variables = known.family.template_variables if known.family is not None else {}
    tokenizer = known.attempt("tokenizer", lambda: Tokenizer(known.folder, variables))
    yield from known.faults()
    if tokenizer is None:
        return
    known.tokenizer = tokenizer
    yield Reading("tokenizer", "ok", f"{tokenizer.kind}, {tokenizer.size:,} tokens", {"size": tokenizer.size})
    if known.config is None or known.family is None or known.sizes is None:
        return
    config, family, sizes = known.config, known.family, known.sizes
    known.tokens = known.attempt(
        "special tokens", lambda: find_special_tokens(known.folder, config, family, tokenizer, sizes)
    )
    yield from known.faults()
    if known.tokens is not None:
        named = {"mask": known.tokens.mask, "eos": known.tokens.eos, "eot": known.tokens.eot}
        for name, token in named.items():
            yield from _token(known, tokenizer, name, token)
    for name in ("bos", "pad"):
        yield from _declared_only(known, tokenizer, name)
    if sizes.vocabulary < tokenizer.size:
        sentence = f"{tokenizer.size:,} tokens, and the model's vocabulary has {sizes.vocabulary:,}"
        yield Reading("vocabulary", "unusual", sentence)


def _token(known: _Known, tokenizer: Tokenizer, name: str, token: FoundToken | None) -> Iterator[Reading]:
    if token is None:
        yield Reading(name, "ok", "no end-of-turn token apart from EOS")
        return
    others = {place: found for place, found in _declarations(known, tokenizer, name).items() if found is not None}
    place = f"{token.source}: {token.field}"
    text = tokenizer.token_text(token.id)
    value = {"id": token.id, "text": text, "source": token.source, "field": token.field, "declared": others}
    undeclared = token.source == FAMILY and name == "mask"
    differing = {place: found for place, found in others.items() if token.id not in _as_list(found)}
    sentence = f"{token.id} {text} ({place})"
    if undeclared:
        added = "an added token of the tokenizer" if tokenizer.is_added(token.id) else "of the vocabulary"
        sentence += f"; no file declares it as the mask: looked up by the family's name for it, {added}"
    if differing:
        sentence += f"; declared otherwise: {', '.join(f'{place}: {found}' for place, found in differing.items())}"
    yield Reading(name, "unusual" if undeclared or differing else "ok", sentence, value)


def _declared_only(known: _Known, tokenizer: Tokenizer, name: str) -> Iterator[Reading]:
    """BOS or padding, which no policy needs: as declared in any file."""
    found = {place: token for place, token in _declarations(known, tokenizer, name).items() if token is not None}
    ids = sorted({token for value in found.values() for token in _as_list(value)})
    if not found:
        yield Reading(name, "ok", "none declared")
        return
    shown = ", ".join(f"{place}: {token}" for place, token in found.items())
    texts = " or ".join(f"{token} {tokenizer.token_text(token) or 'not in the vocabulary'}" for token in ids)
    yield Reading(name, "ok" if len(ids) == 1 else "unusual", f"{texts} ({shown})", {"ids": ids, "declared": found})


def _as_list(declared: Any) -> list[int]:
    return [token for token in (declared if isinstance(declared, list) else [declared]) if isinstance(token, int)]


def _declarations(known: _Known, tokenizer: Tokenizer, name: str) -> dict[str, Any]:
    """`FILE: FIELD` -> the id that it declares for a token of this name; None where it declares none."""
    places: dict[str, Any] = {}
    generation = _optional(known.folder / "generation_config.json")
    for file, content in ((CONFIG, known.config or {}), ("generation_config.json", generation)):
        places[f"{file}: {name}_token_id"] = content.get(f"{name}_token_id")
    for file in _DECLARING:
        declared = _optional(known.folder / file).get(f"{name}_token")
        text = declared.get("content") if isinstance(declared, dict) else declared
        places[f"{file}: {name}_token"] = tokenizer.token_id(text) if isinstance(text, str) else None
    return places


def _optional(file: Path) -> Mapping[str, Any]:
    """A file's JSON object; empty where it is absent or unreadable, which the tokenizer's reading reports."""
    try:
        return read_json_object(file) if os.path.lexists(file) else {}
    except CheckpointError:
        return {}


def _template(known: _Known) -> Iterator[Reading]:
    tokenizer = known.tokenizer
    if tokenizer is None:
        return
    if not tokenizer.has_template:
        yield Reading("chat template", "unusual", "none: prompts are texts to complete, as for base models")
        return
    text = known.attempt("chat template", lambda: tokenizer.chat_text(CONVERSATION))
    yield from known.faults()
    if text is None:
        return
    ids = tokenizer.encode(text, templated=True)
    yield Reading("chat template", "ok", repr(text), text)
    yield Reading("prompt token ids", "ok", " ".join(map(str, ids)), ids)
    if variables := known.family.template_variables if known.family is not None else {}:
        shown = ", ".join(f"{name}={value}" for name, value in variables.items())
        yield Reading("template variables", "ok", f"{shown}, as the family's authors pass", dict(variables))
    with_own = tokenizer.encode(text, templated=False)
    if len(with_own) > len(ids) and len(with_own) > 1 and with_own[0] == with_own[1]:
        sentence = (
            f"{tokenizer.token_text(ids[0])} twice: the template has it and the tokenizer adds it; dlmlen encodes"
            " prompts without the tokenizer's"
        )
        yield Reading("bos in a prompt", "unusual", sentence)


def _decoder(known: _Known) -> Iterator[Reading]:
    family = known.family
    if family is None:
        return
    preset = known.spec.preset or family.preset
    yield Reading("decoder preset", "ok", preset, preset)
    tokens, tokenizer = known.tokens, known.tokenizer
    if tokens is None or tokenizer is None:
        return
    used = known.attempt("termination", lambda: tokens.used(choose_termination(family, known.spec.termination)))
    yield from known.faults()
    if used is None:
        return
    texts = [tokenizer.token_text(token) or str(token) for token in used.ends]
    other = f"; with include_eot {texts[1]} too" if len(texts) > 1 else ""
    yield Reading("termination", "ok", f"{texts[0]}{other}", {"eos": texts[0], "ends": texts})


def _adapter(known: _Known) -> Iterator[Reading]:
    if known.spec.adapter is None:
        return
    folder = Path(known.spec.adapter).expanduser()
    layout = known.attempt("adapter", lambda: read_layout(folder))
    yield from known.faults()
    if layout is not None:
        yield Reading("adapter", "unusual", f"{folder}: merged into the weights at loading", str(folder))
