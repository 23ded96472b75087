"""Dream (arXiv 2508.15487): bidirectional Qwen2 with logits shifted by one. Also Dream-Coder and DiffuCoder."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.config_fields import ConfigFields
from dlm_length.models.family import Family
from dlm_length.models.transformer_fields import (
    backbone_fields,
    refuse_other_switches,
    standard_name,
    standard_sizes,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_CONTEXT = 2048
"""Context length, in tokens, that Dream was trained with, by its README; config.json has Qwen2.5's 131,072."""


class Dream(Family):
    """`model_type: Dream`."""

    end_of_turn = "<|im_end|>"
    mask_token = "<|mask|>"
    shifted = True
    preset = "dream"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "Dream"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        refuse_other_switches(config, {"full_attn_mask": True})
        longest = min(_CONTEXT, ConfigFields(config).size("max_position_embeddings"))
        return standard_sizes(config, qkv_bias=True, max_length=longest)

    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        from transformers import Qwen2Config

        return Qwen2Config(**backbone_fields(config, self.architecture(config)))

    def backbone_class(self) -> "type[PreTrainedModel]":
        from transformers import Qwen2Model

        return Qwen2Model

    def rename(self, weight: str) -> str | None:
        return standard_name(weight)
