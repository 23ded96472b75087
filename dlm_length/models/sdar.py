"""SDAR (arXiv 2510.06303) and TraDo: Qwen3 trained further as a block diffusion model."""

from collections.abc import Mapping
from typing import Any

from dlm_length.models.qwen3 import DenseQwen3


class SDAR(DenseQwen3):
    """`model_type: sdar`."""

    block_causal = True
    end_of_turn = "<|im_end|>"
    mask_token = "<|MASK|>"
    preset = "sdar"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "sdar"
