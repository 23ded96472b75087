"""Reading a config.json with transformers' field names: sizes and switches that Llama, Qwen2 and Qwen3 share."""

import json
import re
from collections.abc import Mapping
from typing import Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.config_fields import ConfigFields, shortened
from dlm_length.models.weights import Part

_PREFIX = "model."
_HEAD = "lm_head.weight"
_COMMON: Mapping[str, Any] = {
    "hidden_act": "silu",
    "use_sliding_window": False,
    "quantization_config": None,
}
"""Switches of every such config that change the network, with the only value that is supported."""


def refuse_other_switches(config: Mapping[str, Any], supported: Mapping[str, Any]) -> None:
    """Raise ValueError for a switch that differs from its value in `supported`, or from the one all families share.

    A switch that is absent is not checked; null counts as False.
    """
    for switch, value in {**_COMMON, **supported}.items():
        if switch in config and (config[switch] or False) != (value or False):
            raise ValueError(f"{switch} is {shortened(config[switch])}, supported is {json.dumps(value)}")
    if scaling := config.get("rope_scaling"):
        kind = scaling.get("rope_type", scaling.get("type")) if isinstance(scaling, dict) else None
        if kind != "default":
            raise ValueError(f"rope_scaling is {shortened(scaling)}, supported is null")
    kinds = config.get("layer_types")
    if kinds and (not isinstance(kinds, list) or set(kinds) != {"full_attention"}):
        raise ValueError(f"layer_types is {shortened(kinds)}, supported is full_attention in every layer")


def standard_sizes(config: Mapping[str, Any], *, head_dim: bool = False, **more: Any) -> Architecture:
    """The sizes under transformers' field names.

    `head_dim`: whether config.json must give the head size; else it is hidden_size / num_attention_heads. `more`:
    further fields of `Architecture`. Raises KeyError for a field that is missing, ValueError for one not supported.
    """
    fields = ConfigFields(config)
    width, heads, kv_heads = (
        fields.size(field) for field in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    if not head_dim and width % heads:
        raise ValueError(f"hidden_size {width} is not a multiple of num_attention_heads {heads}")
    head_size = fields.size("head_dim") if head_dim else width // heads
    if not head_dim and fields.size("head_dim", head_size) != head_size:
        raise ValueError(
            f"head_dim is {config['head_dim']}, supported is hidden_size / num_attention_heads, {head_size}"
        )
    if heads % kv_heads:
        raise ValueError(f"num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}")
    if head_size % 2:
        raise ValueError(f"the head size is odd, {head_size}; RoPE needs even")
    sizes = {
        "layers": fields.size("num_hidden_layers"),
        "width": width,
        "heads": heads,
        "head_size": head_size,
        "kv_width": kv_heads * head_size,
        "vocabulary": fields.size("vocab_size"),
        "max_length": fields.size("max_position_embeddings"),
        "tied": fields.switch("tie_word_embeddings"),
    }
    if "mlp_width" not in more:
        sizes["mlp_width"] = fields.size("intermediate_size")
    return Architecture(**{**sizes, **more})


def backbone_fields(config: Mapping[str, Any], sizes: Architecture) -> dict[str, Any]:
    """Keyword arguments that the configuration classes of transformers share. Raises KeyError and ValueError."""
    fields = ConfigFields(config)
    rope = config.get("rope_parameters")
    if rope is not None and not isinstance(rope, dict):
        raise ValueError(f"rope_parameters is {shortened(rope)}, expected an object")
    if rope and rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_parameters is {shortened(rope)}, supported is rope_type default")
    theta = (ConfigFields(rope) if rope and config.get("rope_theta") is None else fields).positive("rope_theta")
    return {
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.mlp_width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_width // sizes.head_size,
        "max_position_embeddings": sizes.max_length,
        "rms_norm_eps": fields.positive("rms_norm_eps"),
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "tie_word_embeddings": sizes.tied,
        "use_cache": False,
    }


def standard_name(weight: str) -> str | None:
    """The backbone's name for a weight that has transformers' own name; None for another."""
    if weight == _HEAD:
        return "head.weight"
    return weight.removeprefix(_PREFIX) if weight.startswith(_PREFIX) else None


def is_architecture(config: Mapping[str, Any], *names: str) -> bool:
    """Whether config.json's `architectures` names one of these classes."""
    listed = config.get("architectures")
    return isinstance(listed, list) and any(name in names for name in listed)


def stacked_expert(name: str | None, sizes: Architecture) -> tuple[Part, ...]:
    """The part of transformers' stacked experts that one expert's weight fills; () for a weight of another kind.

    `name`: the weight's name in the backbone. Checkpoints store gate, up and down of every expert separately;
    transformers has all gates and ups in one tensor, (experts, 2 * expert width, width) with the gate's rows first, and
    all downs in another, (experts, width, expert width).
    """
    found = re.fullmatch(r"(layers\.\d+\.mlp\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name or "")
    if not found:
        return ()
    experts, expert, projection = found[1], int(found[2]), found[3]
    if projection == "down":
        return (Part(f"{experts}.down_proj", expert),)
    assert sizes.expert_width is not None, "only a network with experts has their weights"
    rows = (0, sizes.expert_width) if projection == "gate" else (sizes.expert_width, 2 * sizes.expert_width)
    return (Part(f"{experts}.gate_up_proj", expert, rows),)
