"""The common part of the families built on a dense Qwen3: sizes, transformers backbone, weight names."""

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


class DenseQwen3(Family):
    """Qwen3 without experts. A family adds how its config is recognised."""

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        refuse_other_switches(config, {"attention_bias": False})
        return standard_sizes(config, head_dim=True, qk_norm=True)

    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        from transformers import Qwen3Config

        sizes = self.architecture(config)
        return Qwen3Config(**backbone_fields(config, sizes), head_dim=sizes.head_size)

    def backbone_class(self) -> "type[PreTrainedModel]":
        from transformers import Qwen3Model

        return Qwen3Model

    def rename(self, weight: str) -> str | None:
        return standard_name(weight)
