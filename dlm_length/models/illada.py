"""iLLaDA (GSAI-ML/iLLaDA-8B): Llama with bidirectional attention and a head tied to the embedding."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.family import Family
from dlm_length.models.transformer_fields import (
    backbone_fields,
    refuse_other_switches,
    standard_name,
    standard_sizes,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_SWITCHES = {"attention_bias": False, "mlp_bias": False, "layer_norm_eps": None}
"""The only supported values; a number as `layer_norm_eps` would mean LayerNorm in place of RMSNorm."""


class ILLaDA(Family):
    """`model_type: illada`."""

    mask_token = "<[MASK]>"
    preset = "illada"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "illada"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        refuse_other_switches(config, _SWITCHES)
        return standard_sizes(config)

    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        from transformers import LlamaConfig

        return LlamaConfig(**backbone_fields(config, self.architecture(config)))

    def backbone_class(self) -> "type[PreTrainedModel]":
        from transformers import LlamaModel

        return LlamaModel

    def rename(self, weight: str) -> str | None:
        return standard_name(weight)
