"""Transformers' own backbones, run with bidirectional attention over ragged batches (concatenated samples)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PretrainedConfig, PreTrainedModel

Attend = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""Attention over concatenated samples: query (tokens, heads, size), key and value (tokens, kv heads, size), scale;
returns (tokens, heads, size)."""

ATTENTION = "dlm_length"
"""Name of this attention in transformers' registry."""


def _attention(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: None,
    *,
    scaling: float,
    attend: Attend,
    **_: Any,
) -> tuple[Tensor, None]:
    """Transformers' attention interface, (1, heads, tokens, size), in terms of the engine's `attend`."""
    # Rotated queries and keys are float32 (see _FullPrecisionRotary); attention runs in the model's dtype.
    q, k, v = (x[0].transpose(0, 1) for x in (query.to(value.dtype), key.to(value.dtype), value))
    return attend(q, k, v, scaling).unsqueeze(0), None


# Without a mask function of this name transformers builds no mask: `attend` keeps the samples apart. With one it would
# first look for samples in the position ids, for which the host waits for the device.
AttentionInterface.register(ATTENTION, _attention)


class _FullPrecisionRotary(nn.Module):
    """Cosines and sines in float32 whatever the model's dtype, as with LLaDA's `rope_full_precision`."""

    def __init__(self, rotary: nn.Module) -> None:
        super().__init__()
        self.rotary = rotary

    def forward(self, hidden: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self.rotary(hidden.new_empty(0, dtype=torch.float32), position_ids=position_ids)
        return cos, sin


def empty_backbone(kind: type[PreTrainedModel], config: PretrainedConfig, device: torch.device) -> PreTrainedModel:
    """A backbone whose weights are still on the meta device, its rotary tables already on `device`."""
    config._attn_implementation = ATTENTION
    with torch.device("meta"):
        backbone: PreTrainedModel = kind(config)
    rotary: Any = type(backbone.rotary_emb)  # its buffers are computed from the config, not loaded
    backbone.rotary_emb = _FullPrecisionRotary(rotary(config=config).to(device))
    backbone.train(False)
    backbone.requires_grad_(False)
    return backbone


def fuse(backbone: PreTrainedModel) -> None:
    """Replace float32 norms by torch's fused norm: the same sum in one pass over memory instead of five.

    In half precision the two round at different places; there transformers' norm stays, which rounds as the reference
    implementations do.
    """
    for name, module in list(backbone.named_modules()):
        if type(module).__name__.endswith("RMSNorm") and module.weight.dtype == torch.float32:
            fused = nn.RMSNorm(module.weight.shape[0], eps=module.variance_epsilon)
            fused.weight = module.weight
            backbone.set_submodule(name, fused)


def compile_layers(backbone: PreTrainedModel) -> None:
    """Compile the layers, except for attention, whose shapes differ in every batch.

    Compiled code rounds differently, by some 1e-5 in float32: answers may differ from uncompiled ones at near-ties.
    """
    uncompiled: Any = torch.compiler.disable(_attention)  # type: ignore[no-untyped-call]
    AttentionInterface.register(ATTENTION, uncompiled)
    for layer in backbone.get_submodule("layers").children():
        layer.compile(dynamic=True)
