"""A2D (ZHZisZZ/dllm): bidirectional Qwen3 and Qwen2, trained further as masked diffusion models (MDLM, BD3LM)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.family import Family
from dlm_length.models.qwen3 import DenseQwen3
from dlm_length.models.transformer_fields import (
    backbone_fields,
    refuse_other_switches,
    standard_name,
    standard_sizes,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


class A2D(Family):
    """What the Qwen3 and the Qwen2 family have in common."""

    end_of_turn = "<|endoftext|>"
    """The padding token, which ends an answer too. EOS is `<|im_end|>`, the end of a chat message."""
    mask_token = "<|mask|>"
    preset = "mdlm"
    terminations = ("eos",)
    """Only EOS: the other token is the padding, which BD3LM never sees."""

    def rename(self, weight: str) -> str | None:
        return standard_name(weight)


class A2DQwen3(A2D, DenseQwen3):
    """`model_type: a2d-qwen3`."""

    template_variables = MappingProxyType({"enable_thinking": False})

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "a2d-qwen3"


class A2DQwen2(A2D):
    """`model_type: a2d-qwen2`."""

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "a2d-qwen2"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        refuse_other_switches(config, {})
        return standard_sizes(config, qkv_bias=True)

    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        from transformers import Qwen2Config

        return Qwen2Config(**backbone_fields(config, self.architecture(config)))

    def backbone_class(self) -> "type[PreTrainedModel]":
        from transformers import Qwen2Model

        return Qwen2Model
