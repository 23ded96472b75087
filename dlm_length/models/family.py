"""The interface of a model family: how to recognise a checkpoint and map it onto a transformers backbone."""

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
    """A family of checkpoints, one file each, discovered by `loading`. Stateless: only the facts below."""

    end_of_turn: str | None = None
    """Text of the token other than EOS that ends an answer, in most families the end of a chat message; None: none."""
    mask_token: str | None = None
    """Text of the mask token, for checkpoints that declare none."""
    terminations: tuple[Termination, ...] = ("eos", "eot")
    """Allowed termination tokens, EOS or the end-of-turn token; first the one that the family's authors use."""
    shifted: bool = False
    """Whether the logits at a position predict the next one, as in the autoregressive model it was initialised from."""
    block_causal: bool = False
    """Whether the network was trained without sight of later blocks; a policy must then define its blocks."""
    template_variables: Mapping[str, Any] = MappingProxyType({})
    """Variables that the family's authors pass to the chat template with the messages."""
    preset: str = "llada"
    """Name in `dlm_length.denoising.presets` of the decoder settings that the family's authors sample with."""

    @abstractmethod
    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint's config.json is of this family."""

    @abstractmethod
    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """Sizes, from config.json. Raises KeyError for a field that is missing, ValueError for one not supported."""

    @abstractmethod
    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        """Configuration of the transformers backbone. Raises as `architecture`."""

    @abstractmethod
    def backbone_class(self) -> "type[PreTrainedModel]":
        """Class of the transformers backbone, without a vocabulary head."""

    @abstractmethod
    def rename(self, weight: str) -> str | None:
        """A checkpoint weight's name in the backbone, `head.weight` for the vocabulary head; None: it has no place."""

    def place(self, weight: str, architecture: Architecture) -> Sequence[Part]:  # noqa: ARG002 - some families need it
        """The parts of the backbone that a checkpoint weight fills: the one that `rename` names, unless overridden."""
        name = self.rename(weight)
        return () if name is None else (Part(name),)
