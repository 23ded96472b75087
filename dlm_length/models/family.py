"""What a model family is: how to recognise a checkpoint and read it onto a backbone of transformers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel

from dlm_length.models.architecture import Architecture


class Family(ABC):
    """One file a family, found by `loading`; holds nothing but the facts below."""

    end_of_turn: str | None = None
    """The token that ends a chat message, where the family has one apart from EOS."""

    @abstractmethod
    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint's config.json is of this family."""

    @abstractmethod
    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """Sizes, from config.json. Raises KeyError for a field that is missing, ValueError for one not supported."""

    @abstractmethod
    def backbone_config(self, config: Mapping[str, Any]) -> PretrainedConfig:
        """The configuration of transformers' own backbone."""

    @abstractmethod
    def backbone_class(self) -> type[PreTrainedModel]:
        """Transformers' backbone without its vocabulary head."""

    @abstractmethod
    def rename(self, weight: str) -> str | None:
        """The backbone's name for a weight of the checkpoint, `head.weight` for the vocabulary head, or None."""
