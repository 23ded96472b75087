"""The sizes of a backbone, and the FLOPs that follow from them. Free of torch."""

from typing import Annotated

from pydantic import Field

from dlm_length.common import Parameters
from dlm_length.models.config_fields import LARGEST

Size = Annotated[int, Field(gt=0, le=LARGEST)]


class Architecture(Parameters):
    """Sizes of a transformer mask predictor with a gated MLP."""

    layers: Size
    width: Size
    """Hidden size `d`."""
    heads: Size
    head_size: Size
    kv_width: Size
    """Key/value heads times head size, `d_kv`."""
    mlp_width: Size
    vocabulary: Size
    """Rows of the vocabulary head."""
    max_length: Size
    """Longest prompt and canvas together, in tokens."""
    tied: bool = False
    """Whether the head is the embedding."""

    def forward_flops(self, length: int) -> int:
        """FLOPs of one forward of the backbone over `length` tokens, without the head.

        A multiply-add is 2; matrix products only: norms, softmax and rotary are left out, as in the field.
        """
        return self.forwards_flops(length, length * length)

    def forwards_flops(self, length_sum: int, length_squared_sum: int) -> int:
        """As `forward_flops`, of several forwards by the sums of their lengths and of these squared."""
        linear = 2 * self.width * (2 * self.width + 2 * self.kv_width) + 6 * self.width * self.mlp_width
        attention = 4 * self.heads * self.head_size
        return self.layers * (linear * length_sum + attention * length_squared_sum)

    def head_flops(self, rows: int) -> int:
        """FLOPs of the vocabulary head over `rows` positions."""
        return 2 * rows * self.width * self.vocabulary

    @property
    def parameters(self) -> int:
        """Number of weights."""
        block = 2 * self.width * (self.width + self.kv_width) + 3 * self.width * self.mlp_width + 2 * self.width
        vocabulary = self.vocabulary * self.width * (1 if self.tied else 2)
        return self.layers * block + vocabulary + self.width
