"""A checkpoint as a mask predictor: token ids in, hidden states and logits out."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from dlm_length.common import SpecialTokens
from dlm_length.models.architecture import Architecture
from dlm_length.models.backbone import Attend
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

    @property
    def device(self) -> torch.device:
        return self.head_weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.head_weight.dtype

    @torch.inference_mode()
    def hidden(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Last hidden states, normalised: (tokens, width) in the model's number format.

        `token_ids` and `positions`, (tokens,) int64: samples concatenated, each counting its positions from 0.
        `attend` keeps the samples apart.
        """
        output: Any = self.backbone(
            input_ids=token_ids.unsqueeze(0), position_ids=positions.unsqueeze(0), attend=attend, use_cache=False
        )
        states: Tensor = output.last_hidden_state[0]
        return states

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, vocabulary) logits of (rows, width) hidden states, in the model's number format."""
        return functional.linear(hidden, self.head_weight)
