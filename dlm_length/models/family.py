"""What a model family is: how to recognise a checkpoint and read it onto a backbone of transformers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.spec import Termination
from dlm_length.models.weights import Part

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


class Family(ABC):
    """One file a family, found by `loading`; holds nothing but the facts below."""

    end_of_turn: str | None = None
    """The token other than EOS that ends an answer, where the family has one: of most the end of a chat message."""
    mask_token: str | None = None
    """The mask token's text, for checkpoints that declare none."""
    terminations: tuple[Termination, ...] = ("eos", "eot")
    """What may be the termination token, its authors' choice first: EOS or the end-of-turn token."""
    shifted: bool = False
    """Whether the logits at a position predict the next one, as in the autoregressive model that it was made from."""
    block_causal: bool = False
    """Whether the network was trained to see no later block: a policy must say what its blocks are."""
    template_variables: Mapping[str, Any] = MappingProxyType({})
    """What its authors pass to the chat template with the messages."""
    preset: str = "llada"
    """The decoder fields that its authors sample with, by their name in `dlm_length.denoising.presets`."""

    @abstractmethod
    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint's config.json is of this family."""

    @abstractmethod
    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """Sizes, from config.json. Raises KeyError for a field that is missing, ValueError for one not supported."""

    @abstractmethod
    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        """The configuration of transformers' own backbone."""

    @abstractmethod
    def backbone_class(self) -> "type[PreTrainedModel]":
        """Transformers' backbone without its vocabulary head."""

    @abstractmethod
    def rename(self, weight: str) -> str | None:
        """The backbone's name for a weight of the checkpoint, `head.weight` for the vocabulary head, or None."""

    def place(self, weight: str, architecture: Architecture) -> Sequence[Part]:  # noqa: ARG002 - some families need it
        """Where a weight of the checkpoint belongs: at one name as a whole, unless a family stores it otherwise."""
        name = self.rename(weight)
        return () if name is None else (Part(name),)
