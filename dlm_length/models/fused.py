"""A Llama-like backbone with fused elementwise kernels and joined projections: the same network in fewer passes.

Besides the matrix products, transformers' modules read and write device memory some forty times per block, much of it
in float32. Here the residual addition and the norm are one kernel, the rotary embedding another, the gated activation a
third; query, key and value are one matrix product, gate and up another. Sums are float32 and rounded once, so that in
half precision the last bits differ from those of the reference implementations, which round in between.
"""

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from dlm_length.models.backbone import Attend

Linear = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(rows, in), (out, in) and an optional (out,) to (rows, out), as `functional.linear`."""

_FUSABLE = frozenset({"LlamaModel", "Qwen2Model"})
"""Names of backbones whose blocks are: norm, attention with rotary embedding, norm, gated SiLU MLP, with residuals.
Names, so that neither class is imported for a model of another family."""


class Kernels(NamedTuple):
    """The elementwise operations for one kind of device. Shapes and dtypes: see `models._kernels`."""

    add_rms_norm: Callable[[Tensor, Tensor | None, Tensor, float], Tensor]
    rotate_: Callable[[Tensor, Tensor, Tensor, int], None]
    silu_mul: Callable[[Tensor], Tensor]


def is_fusable(backbone: PreTrainedModel) -> bool:
    """Whether `FusedBackbone` computes the same network."""
    return any(kind.__name__ in _FUSABLE for kind in type(backbone).__mro__)


def kernels_for(device: torch.device) -> Kernels:
    """Triton's kernels where they run on the device, else torch's own operations."""
    if (kernels := triton_kernels(device)) is None:
        return _TORCH
    return Kernels(kernels.add_rms_norm, kernels.rotate_, kernels.silu_mul)


@cache
def triton_kernels(device: torch.device) -> ModuleType | None:
    """The module of Triton's kernels, `models._kernels`; None if they do not run on the device.

    One is run to know: Triton compiles at run time and needs a C compiler, Python's headers and a writable cache. Warns
    if Triton is installed and does not work, as torch's own operations are slower.
    """
    if device.type != "cuda":
        return None
    try:
        from dlm_length.models import _kernels as kernels
    except ImportError:  # torch without Triton, as on Windows
        return None
    try:
        kernels.silu_mul(torch.ones(1, 2, device=device))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Triton's own errors, the compiler's, the file system's
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        warnings.warn(
            f"Triton cannot run its kernels on {device} ({reason}); torch's own operations are used, which are slower."
            " Triton needs a C compiler, Python's headers and a writable TRITON_CACHE_DIR.",
            stacklevel=2,
        )
        return None
    return kernels


@dataclass(frozen=True)
class _Block:
    """Weights of one block, (out, in), and biases, (out,) or None."""

    attention_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    out_bias: Tensor | None
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor


class FusedBackbone:
    """Runs a transformers backbone with fused kernels. The backbone's projections become views of the joined ones."""

    def __init__(self, backbone: PreTrainedModel, *, linear: Linear = functional.linear) -> None:
        """Join the projections of `backbone`, one block at a time, so that the weights are never in memory twice."""
        if not is_fusable(backbone):
            raise TypeError(f"no fused form of {type(backbone).__name__}")
        config: Any = backbone.config
        self._linear = linear
        self._embedding: Tensor = backbone.get_parameter("embed_tokens.weight")
        self._rotary: Any = backbone.get_submodule("rotary_emb")
        self._norm: Tensor = backbone.get_parameter("norm.weight")
        self._eps = float(config.rms_norm_eps)
        self._heads = int(config.num_attention_heads)
        self._kv_heads = int(config.num_key_value_heads)
        self._size = int(getattr(config, "head_dim", None) or config.hidden_size // self._heads)
        self._blocks = [_joined(layer) for layer in backbone.get_submodule("layers").children()]
        self._kernels = kernels_for(self._embedding.device)

    def with_linear(self, linear: Linear) -> "FusedBackbone":
        """A copy that shares the weights and uses another function for matrix products."""
        other = copy(self)
        other._linear = linear
        return other

    def __call__(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Last hidden states, normalised, (tokens, width); arguments as those of `MaskPredictor.hidden`."""
        kernels, linear = self._kernels, self._linear
        residual = functional.embedding(token_ids, self._embedding)
        cos, sin = self._rotary(residual, positions.unsqueeze(0))
        half = self._size // 2
        cos, sin = cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous()
        norms = [*(block.attention_norm for block in self._blocks), self._norm]
        states = kernels.add_rms_norm(residual, None, norms[0], self._eps)
        for block, following in zip(self._blocks, norms[1:], strict=True):
            qkv = linear(states, block.qkv, block.qkv_bias)
            kernels.rotate_(qkv, cos, sin, self._heads + self._kv_heads)
            attended = self._attended(qkv, attend)
            del qkv
            attended = linear(attended, block.out, block.out_bias)
            states = kernels.add_rms_norm(attended, residual, block.mlp_norm, self._eps)
            del attended
            gated = kernels.silu_mul(linear(states, block.gate_up, None))
            states = linear(gated, block.down, None)
            del gated
            states = kernels.add_rms_norm(states, residual, following, self._eps)
        return states

    def _attended(self, qkv: Tensor, attend: Attend) -> Tensor:
        """Attention of the joined projections, (tokens, (heads + 2 kv heads) * size), to (tokens, heads * size)."""
        heads = qkv.view(len(qkv), -1, self._size)
        query, key, value = torch.split(heads, [self._heads, self._kv_heads, self._kv_heads], dim=1)
        return attend(query, key, value, self._size**-0.5).flatten(1)


def _joined(layer: nn.Module) -> _Block:
    projections = [f"self_attn.{name}_proj" for name in "qkv"]
    return _Block(
        attention_norm=layer.get_parameter("input_layernorm.weight"),
        qkv=_join(layer, [f"{name}.weight" for name in projections]),
        qkv_bias=_join(layer, [f"{name}.bias" for name in projections]) if _biased(layer, projections[0]) else None,
        out=layer.get_parameter("self_attn.o_proj.weight"),
        out_bias=layer.get_parameter("self_attn.o_proj.bias") if _biased(layer, "self_attn.o_proj") else None,
        mlp_norm=layer.get_parameter("post_attention_layernorm.weight"),
        gate_up=_join(layer, ["mlp.gate_proj.weight", "mlp.up_proj.weight"]),
        down=layer.get_parameter("mlp.down_proj.weight"),
    )


def _biased(layer: nn.Module, projection: str) -> bool:
    return getattr(layer.get_submodule(projection), "bias", None) is not None


def _join(layer: nn.Module, names: list[str]) -> Tensor:
    """The named parameters in one tensor; each parameter is replaced by a view of it."""
    parts = [layer.get_parameter(name) for name in names]
    joined = torch.cat([part.detach() for part in parts])
    for name, part, view in zip(names, parts, torch.split(joined, [len(part) for part in parts]), strict=True):
        owner, _, leaf = name.rpartition(".")
        layer.get_submodule(owner).register_parameter(leaf, nn.Parameter(view, requires_grad=part.requires_grad))
    return joined


def _add_rms_norm(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    if residual is not None:
        x = residual.add_(x)
    return functional.rms_norm(x, (x.shape[-1],), weight, eps)


def _rotate_(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> None:
    half = cos.shape[1]
    pairs = x[:, : heads * 2 * half].view(len(x), heads, 2, half)
    a, b = (pairs[:, :, part].float() for part in (0, 1))
    cos, sin = cos[:, None], sin[:, None]
    pairs.copy_(torch.stack([a * cos - b * sin, b * cos + a * sin], dim=2))


def _silu_mul(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate) * up


_TORCH = Kernels(_add_rms_norm, _rotate_, _silu_mul)
