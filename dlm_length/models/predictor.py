"""A checkpoint as a mask predictor: token ids in, hidden states and logits out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from dlm_length.common import SpecialTokens
from dlm_length.models.architecture import Architecture
from dlm_length.models.backbone import Attend
from dlm_length.models.fixed_rows import fixed_rows_linear
from dlm_length.models.fused import FusedBackbone, Linear
from dlm_length.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class MaskPredictor:
    """A bidirectional transformer that predicts every position of a sequence at once."""

    name: str
    """Where it was loaded from."""
    backbone: PreTrainedModel
    head_weight: Tensor
    """Vocabulary head, (vocabulary, width)."""
    architecture: Architecture
    tokens: SpecialTokens
    tokenizer: Tokenizer
    fused: FusedBackbone | None = None
    """The same weights run by fused kernels, where that is wanted."""
    linear: Linear = functional.linear
    """Matrix product of the vocabulary head; the backbone's are its own."""
    shifted: bool = False
    """Whether a position is predicted by the hidden state before it."""
    block_causal: bool = False
    """Whether it was trained to see no later block."""

    def __repr__(self) -> str:
        form = self.architecture
        sizes = f"{form.layers} layers, width {form.width}, vocabulary {form.vocabulary:,}"
        return f"<MaskPredictor {self.name}: {sizes}, {self.dtype} on {self.device}>"

    @property
    def batch_invariant(self) -> bool:
        """Whether matrix products round alike in every batch by construction."""
        return self.linear is fixed_rows_linear

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.head_weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights, hidden states and logits."""
        return self.head_weight.dtype

    def predicting(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which positions of a sequence, counted from 0, have the hidden states that predict `positions`, (n,) each.

        Where logits are shifted that is the position before, of the sequence's first one its own (as Dream's sampler).
        """
        return np.maximum(positions - 1, 0) if self.shifted else positions

    @torch.inference_mode()
    def hidden(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Last hidden states, normalised: (tokens, width) in the model's dtype.

        `token_ids` and `positions`, (tokens,) int64: samples concatenated, each counting its positions from 0.
        `attend` keeps the samples apart.
        """
        if self.fused is not None:
            return self.fused(token_ids, positions, attend)
        output: Any = self.backbone(
            input_ids=token_ids.unsqueeze(0), position_ids=positions.unsqueeze(0), attend=attend, use_cache=False
        )
        states: Tensor = output.last_hidden_state[0]
        return states

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, vocabulary) logits of (rows, width) hidden states, in the model's dtype."""
        return self.linear(hidden, self.head_weight, None)
