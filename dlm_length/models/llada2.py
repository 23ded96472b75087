"""LLaDA2.0 mini and flash (arXiv 2512.15745): block diffusion on GLM-4.5's architecture, sigmoid-routed experts."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from dlm_length.models.architecture import Architecture
from dlm_length.models.config_fields import ConfigFields, shortened
from dlm_length.models.errors import CheckpointError
from dlm_length.models.family import Family
from dlm_length.models.transformer_fields import (
    backbone_fields,
    refuse_other_switches,
    stacked_expert,
    standard_name,
    standard_sizes,
)
from dlm_length.models.weights import Part

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_SWITCHES = {
    "norm_head": False,
    "norm_topk_prob": True,
    "router_dtype": "fp32",
    "score_function": "sigmoid",
    "use_bias": False,
    "use_qk_norm": True,
    "use_qkv_bias": False,
    "use_rmsnorm": True,
}
_TRANSFORMERS = (5, 6)
"""First transformers version whose Glm4Moe masks the experts of unselected groups. Earlier ones could choose them where
the scores of the selected groups' experts are negative."""
_ATTENTION = {
    "dense": "o_proj",
    "query_layernorm": "q_norm",
    "key_layernorm": "k_norm",
}


class LLaDA2(Family):
    """`model_type: llada2_moe`."""

    block_causal = True
    end_of_turn = "<|role_end|>"
    mask_token = "<|mask|>"
    preset = "llada2"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "llada2_moe"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        refuse_other_switches(config, _SWITCHES)
        fields = ConfigFields(config)
        experts, groups, chosen = (fields.size(field) for field in ("num_experts", "n_group", "topk_group"))
        if experts % groups or experts // groups < 2:
            raise ValueError(f"n_group is {groups}, expected groups of two or more experts out of {experts}")
        if chosen > groups:
            raise ValueError(f"topk_group is {chosen}, allowed: 1 to n_group, {groups}")
        width = fields.size("moe_intermediate_size")
        sizes = standard_sizes(
            config,
            head_dim=True,
            qk_norm=True,
            experts=experts,
            experts_used=fields.size("num_experts_per_tok"),
            expert_width=width,
            shared_width=fields.size("num_shared_experts") * width,
            dense_layers=fields.count("first_k_dense_replace"),
        )
        rotated = fields.positive("partial_rotary_factor") * sizes.head_size
        if rotated > sizes.head_size or rotated % 2:
            part = shortened(config["partial_rotary_factor"])
            raise ValueError(f"partial_rotary_factor is {part}, expected an even part of a head of {sizes.head_size}")
        return sizes

    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        from transformers import Glm4MoeConfig

        sizes, fields = self.architecture(config), ConfigFields(config)
        common = backbone_fields(config, sizes)
        common["rope_parameters"]["partial_rotary_factor"] = fields.positive("partial_rotary_factor")
        routing: dict[str, Any] = {
            "moe_intermediate_size": sizes.expert_width,
            "n_routed_experts": sizes.experts,
            "num_experts_per_tok": sizes.experts_used,
            "n_shared_experts": fields.size("num_shared_experts"),
            "first_k_dense_replace": sizes.dense_layers,
            "n_group": fields.size("n_group"),
            "topk_group": fields.size("topk_group"),
            "routed_scaling_factor": fields.positive("routed_scaling_factor"),
            "norm_topk_prob": True,
            "use_qk_norm": True,
            "attention_bias": False,
            "head_dim": sizes.head_size,
        }
        return Glm4MoeConfig(**common, **routing)

    def backbone_class(self) -> "type[PreTrainedModel]":
        from transformers import Glm4MoeModel, __version__

        if tuple(map(int, __version__.split(".")[:2])) < _TRANSFORMERS:
            wanted = ".".join(map(str, _TRANSFORMERS))
            raise CheckpointError(
                f"LLaDA2.0 needs transformers {wanted} or newer, found {__version__}, whose Glm4Moe may choose experts"
                f" of other groups: pip install 'transformers>={wanted}'."
            )
        return Glm4MoeModel

    def rename(self, weight: str) -> str | None:
        name = standard_name(weight)
        if name == "word_embeddings.weight":
            return "embed_tokens.weight"
        part = re.fullmatch(r"(layers\.\d+)\.attention\.(\w+)\.weight", name or "")
        if part and part[2] in _ATTENTION:
            return f"{part[1]}.self_attn.{_ATTENTION[part[2]]}.weight"
        return name

    def place(self, weight: str, architecture: Architecture) -> Sequence[Part]:
        name = standard_name(weight) or ""
        if expert := stacked_expert(name, architecture):
            return expert
        layer, _, rest = name.rpartition(".attention.")
        if rest == "query_key_value.weight":
            query, key = architecture.query_width, architecture.kv_width
            rows = {"q": (0, query), "k": (query, query + key), "v": (query + key, query + 2 * key)}
            return [Part(f"{layer}.self_attn.{kind}_proj.weight", taken=taken) for kind, taken in rows.items()]
        layer, _, rest = name.rpartition(".mlp.gate.")
        if rest == "weight":
            return (Part(name, dtype=torch.float32),)
        if rest == "expert_bias":
            target = f"{layer}.mlp.gate.e_score_correction_bias"
            return (Part(target, dtype=torch.float32, stored_as=torch.float32),)
        return super().place(weight, architecture)
