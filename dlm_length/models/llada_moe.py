"""LLaDA-MoE (arXiv 2509.24389): Qwen3's blocks with experts, bidirectional. LLaDA-MoE-7B-A1B."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.config_fields import ConfigFields, shortened
from dlm_length.models.family import Family
from dlm_length.models.transformer_fields import (
    backbone_fields,
    is_architecture,
    refuse_other_switches,
    stacked_expert,
    standard_name,
    standard_sizes,
)
from dlm_length.models.weights import Part

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_SWITCHES = {
    "attention_bias": False,
    "clip_qkv": None,
    "moe_router_enable_expert_bias": False,
    "moe_router_score_function": "softmax",
    "norm_topk_prob": False,
    "partial_rotary_factor": 1,
    "qk_layernorm": True,
    "routed_scaling_factor": 1,
    "router_num_group": None,
    "router_topk_group": None,
    "shared_expert_intermediate_size": None,
}


class LLaDAMoE(Family):
    """`model_type: llada` as for dense LLaDA; `architectures` or `num_experts` distinguishes them."""

    end_of_turn = "<|role_end|>"
    mask_token = "<|mask|>"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return is_architecture(config, "LLaDAMoEModelLM") or (
            config.get("model_type") == "llada" and config.get("num_experts") is not None
        )

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        refuse_other_switches(config, _SWITCHES)
        fields, width = ConfigFields(config), ConfigFields(config).size("expert_intermediate_size")
        dense = len(_dense_layers(config))
        return standard_sizes(
            config,
            qk_norm=True,
            mlp_width=fields.size("dense_intermediate_size", None if dense else width),
            experts=fields.size("num_experts"),
            experts_used=fields.size("num_experts_per_tok"),
            expert_width=width,
            dense_layers=dense,
        )

    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        from transformers import Qwen3MoeConfig

        sizes = self.architecture(config)
        routing: dict[str, Any] = {
            "head_dim": sizes.head_size,
            "moe_intermediate_size": sizes.expert_width,
            "num_experts": sizes.experts,
            "num_experts_per_tok": sizes.experts_used,
            "norm_topk_prob": False,
            "decoder_sparse_step": 1,
            "mlp_only_layers": _dense_layers(config),
        }
        return Qwen3MoeConfig(**backbone_fields(config, sizes), **routing)

    def backbone_class(self) -> "type[PreTrainedModel]":
        from transformers import Qwen3MoeModel

        return Qwen3MoeModel

    def rename(self, weight: str) -> str | None:
        return standard_name(weight)

    def place(self, weight: str, architecture: Architecture) -> Sequence[Part]:
        return stacked_expert(standard_name(weight), architecture) or super().place(weight, architecture)


def _dense_layers(config: Mapping[str, Any]) -> list[int]:
    """Indices of the blocks with a single MLP, where `moe_layer_freq` is 0."""
    frequency = config.get("moe_layer_freq")
    layers = ConfigFields(config).size("num_hidden_layers")
    if frequency is None or frequency == 1:
        return []
    if not isinstance(frequency, list) or len(frequency) != layers or not set(frequency) <= {0, 1}:
        raise ValueError(f"moe_layer_freq is {shortened(frequency)}, expected 0 or 1 for each of {layers} layers")
    return [layer for layer, routed in enumerate(frequency) if not routed]
