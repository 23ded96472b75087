"""A LLaDA with random weights, created on a device: the shape of a large model without its checkpoint."""

from importlib.resources import files
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaConfig, LlamaModel

from dlm_length import MaskPredictor
from dlm_length.common import SpecialTokens
from dlm_length.models import Architecture, Tokenizer
from dlm_length.models.backbone import empty_backbone, fuse
from dlm_length.models.fused import FusedBackbone

LLADA_8B = Architecture(
    layers=32,
    width=4096,
    heads=32,
    head_size=128,
    kv_width=4096,
    mlp_width=12_288,
    vocabulary=126_464,
    max_length=4096,
)
SMALL = Architecture(
    layers=2, width=128, heads=4, head_size=32, kv_width=128, mlp_width=384, vocabulary=2_560, max_length=4096
)
"""The same proportions, for a CPU."""


@torch.inference_mode(False)
def random_llada(shape: Architecture, device: torch.device, dtype: torch.dtype, *, seed: int = 0) -> MaskPredictor:
    """A model with weights scaled to keep activations near one; MASK is 0 and EOS 1, as in the shipped tokenizer."""
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_width // shape.head_size,
        max_position_embeddings=shape.max_length,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        use_cache=False,
    )
    backbone = empty_backbone(LlamaModel, config, device)
    generator = torch.Generator(device).manual_seed(seed)

    def matrix(rows: int, columns: int) -> torch.Tensor:
        weight = torch.empty(rows, columns, device=device, dtype=dtype)
        return weight.normal_(0, columns**-0.5, generator=generator)

    for name, parameter in list(backbone.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        made = (
            matrix(*parameter.shape)
            if parameter.dim() == 2
            else torch.ones(parameter.shape, device=device, dtype=dtype)
        )
        backbone.get_submodule(owner).register_parameter(leaf, nn.Parameter(made, requires_grad=False))
    fused = FusedBackbone(backbone) if device.type == "cuda" else None
    fuse(backbone)
    tokenizer = Tokenizer(Path(str(files("dlm_length") / "models" / "embedded" / "llada-tiny")))
    tokens = SpecialTokens(mask=0, eos=1)
    return MaskPredictor("random", backbone, matrix(shape.vocabulary, shape.width), shape, tokens, tokenizer, fused)
