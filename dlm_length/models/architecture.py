"""The sizes of a backbone, and the FLOPs that follow from them. Does not import torch."""

from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from dlm_length.common import Parameters
from dlm_length.models.config_fields import LARGEST

Size = Annotated[int, Field(gt=0, le=LARGEST)]


class Architecture(Parameters):
    """Sizes of a transformer mask predictor with gated MLPs or mixtures of gated experts."""

    layers: Size
    width: Size
    """Hidden size `d`."""
    heads: Size
    head_size: Size
    kv_width: Size
    """Key/value heads times head size, `d_kv`."""
    mlp_width: Size
    """MLP width of the blocks without experts."""
    vocabulary: Size
    """Rows of the vocabulary head."""
    max_length: Size
    """Context limit: most tokens of prompt and canvas together."""
    tied: bool = False
    """Whether the vocabulary head is the embedding."""

    qkv_bias: bool = False
    """Whether query, key and value have biases."""
    qk_norm: bool = False
    """Whether queries and keys are normalised per head, with weights of `head_size`."""
    experts: Size | None = None
    """Routed experts per block; None: every block has a single MLP."""
    experts_used: Size | None = None
    """Routed experts per token."""
    expert_width: Size | None = None
    """MLP width of one routed expert."""
    shared_width: NonNegativeInt = 0
    """Total MLP width of the shared experts, which every token goes through."""
    dense_layers: NonNegativeInt = 0
    """In a network with experts, the number of blocks that have an MLP of `mlp_width` instead."""

    @model_validator(mode="after")
    def _experts_fit(self) -> Self:
        routed = (self.experts, self.experts_used, self.expert_width)
        if any(routed) and not all(routed):
            raise ValueError("experts, experts_used and expert_width must be given together or not at all")
        if not self.experts and (self.shared_width or self.dense_layers):
            raise ValueError("shared_width and dense_layers apply only to a network with experts")
        if self.experts and self.experts_used and self.experts_used > self.experts:
            raise ValueError(f"experts_used must be at most experts, found {self.experts_used} and {self.experts}")
        if self.dense_layers > self.layers:
            raise ValueError(f"dense_layers must be at most layers, found {self.dense_layers} and {self.layers}")
        return self

    @property
    def query_width(self) -> int:
        """Heads times head size; equal to `width` in many models, but not in all."""
        return self.heads * self.head_size

    @property
    def active_mlp_width(self) -> int:
        """Largest MLP width that one token goes through in a block, the widths of its experts added up."""
        if not self.experts or not self.experts_used or not self.expert_width:
            return self.mlp_width
        routed = self.experts_used * self.expert_width + self.shared_width
        return max(routed, self.mlp_width if self.dense_layers else 0)

    def forward_flops(self, length: int) -> int:
        """FLOPs of one forward of the backbone over `length` tokens, without the vocabulary head.

        A multiply-add counts as 2. Matrix products only: norms, softmax and rotary embedding are left out, as is usual.
        Of the experts, those that a token uses are counted, and the router.
        """
        return self.forwards_flops(length, length * length)

    def forwards_flops(self, length_sum: int, length_squared_sum: int) -> int:
        """`forward_flops` summed over forwards, from the sum of their lengths and the sum of their squared lengths."""
        projections = 4 * self.width * (self.query_width + self.kv_width)
        attention = 4 * self.query_width
        mlps = sum(
            layers * (6 * self.width * used + 2 * self.width * experts) for layers, used, _, experts in self._mlps()
        )
        return (self.layers * projections + mlps) * length_sum + self.layers * attention * length_squared_sum

    def head_flops(self, rows: int) -> int:
        """FLOPs of the vocabulary head over `rows` positions."""
        return 2 * rows * self.width * self.vocabulary

    @property
    def parameters(self) -> int:
        """Number of weights, including those of all experts."""
        block = 2 * self.width * (self.query_width + self.kv_width) + 2 * self.width
        block += self.query_width + 2 * self.kv_width if self.qkv_bias else 0
        block += 2 * self.head_size if self.qk_norm else 0
        mlps = sum(layers * self.width * (3 * held + experts) for layers, _, held, experts in self._mlps())
        vocabulary = self.vocabulary * self.width * (1 if self.tied else 2)
        return self.layers * block + mlps + vocabulary + self.width

    def _mlps(self) -> tuple[tuple[int, int, int, int], ...]:
        """Per kind of block: number of blocks, MLP width used by a token, MLP width stored, routed experts."""
        if not self.experts or not self.experts_used or not self.expert_width:
            return ((self.layers, self.mlp_width, self.mlp_width, 0),)
        used = self.experts_used * self.expert_width + self.shared_width
        held = self.experts * self.expert_width + self.shared_width
        return (
            (self.dense_layers, self.mlp_width, self.mlp_width, 0),
            (self.layers - self.dense_layers, used, held, self.experts),
        )
