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
    """The path or hub id it was loaded from."""
    backbone: PreTrainedModel
    head_weight: Tensor
    """Vocabulary head, (vocabulary, width)."""
    architecture: Architecture
    tokens: SpecialTokens
    tokenizer: Tokenizer
    fused: FusedBackbone | None = None
    """The backbone run by fused kernels; None: by its own modules."""
    linear: Linear = functional.linear
    """Matrix product of the vocabulary head; the backbone has its own."""
    shifted: bool = False
    """Whether a position is predicted by the hidden state of the position before it."""
    block_causal: bool = False
    """Whether it was trained without sight of later blocks."""

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
        """Device of the weights."""
        return self.head_weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of weights, hidden states and logits."""
        return self.head_weight.dtype

    def predicting(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions whose hidden states predict `positions`; both (n,), counted from 0 within a sequence.

        With shifted logits it is the position before; the first position predicts itself, as in Dream's sampler.
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
