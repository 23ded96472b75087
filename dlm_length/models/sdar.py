"""SDAR (arXiv 2510.06303) and TraDo: Qwen3 trained on as a block diffusion model."""

from collections.abc import Mapping
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel, Qwen3Config, Qwen3Model

from dlm_length.models.architecture import Architecture
from dlm_length.models.family import Family
from dlm_length.models.transformer_fields import (
    backbone_fields,
    refuse_other_switches,
    standard_name,
    standard_sizes,
)


class SDAR(Family):
    """`model_type: sdar`."""

    block_causal = True
    end_of_turn = "<|im_end|>"
    mask_token = "<|MASK|>"
    preset = "sdar"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "sdar"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        refuse_other_switches(config, {"attention_bias": False})
        return standard_sizes(config, head_dim=True, qk_norm=True)

    def backbone_config(self, config: Mapping[str, Any]) -> PretrainedConfig:
        sizes = self.architecture(config)
        return Qwen3Config(**backbone_fields(config, sizes), head_dim=sizes.head_size)

    def backbone_class(self) -> type[PreTrainedModel]:
        return Qwen3Model

    def rename(self, weight: str) -> str | None:
        return standard_name(weight)
