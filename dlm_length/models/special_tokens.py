"""Which tokens of a checkpoint are MASK, EOS and end of turn, and which file declares each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from dlm_length.common import SpecialTokens
from dlm_length.models.architecture import Architecture
from dlm_length.models.config_fields import shortened
from dlm_length.models.errors import CheckpointError
from dlm_length.models.family import Family
from dlm_length.models.spec import Termination
from dlm_length.models.tokenizer import Tokenizer

CONFIG = "config.json"
TOKENIZER = "tokenizer_config.json"
FAMILY = "family default"
"""No file declares the token: its text is the family's default, and its id is looked up in the vocabulary."""


@dataclass(frozen=True)
class FoundToken:
    """A special token and the place that it was read from."""

    id: int
    field: str
    """The file's field; for a family default the token's text."""
    source: str
    """CONFIG, TOKENIZER or FAMILY."""


@dataclass(frozen=True)
class FoundTokens:
    """The special tokens of a checkpoint that a sampler needs."""

    mask: FoundToken
    eos: FoundToken
    eot: FoundToken | None
    """None where there is no end-of-turn token apart from EOS."""

    def used(self, termination: Termination) -> SpecialTokens:
        """The tokens as policies use them, with the termination token in the place of EOS.

        Raises CheckpointError where `termination` is eot and there is no end-of-turn token.
        """
        eot = None if self.eot is None else self.eot.id
        if termination == "eos":
            return SpecialTokens(self.mask.id, self.eos.id, eot)
        if eot is None:
            raise CheckpointError(
                "model.termination is eot, and the checkpoint has no end-of-turn token apart from EOS"
                f" ({self.eos.id}); allowed: eos."
            )
        return SpecialTokens(self.mask.id, eot, self.eos.id)


def find_special_tokens(
    folder: Path, config: Mapping[str, Any], family: Family, tokenizer: Tokenizer, architecture: Architecture
) -> FoundTokens:
    """Special tokens as config.json declares them, else the tokenizer's settings, else the family's defaults.

    Raises CheckpointError for a token that is missing or not in the vocabulary, and for two that must differ.
    """
    mask = _first(
        _found(config.get("mask_token_id"), "mask_token_id", CONFIG),
        _found(tokenizer.mask_token_id, "mask_token", TOKENIZER),
        _found(tokenizer.token_id(family.mask_token), family.mask_token, FAMILY),
    )
    eos, second = _ends(config.get("eos_token_id"), tokenizer.eos_token_id)
    if mask is None:
        raise CheckpointError(
            f"checkpoint {folder}: no mask token (mask_token_id in config.json, mask_token in tokenizer_config.json);"
            " a diffusion language model needs one. Is this an autoregressive model?"
        )
    if eos is None:
        raise CheckpointError(f"checkpoint {folder}: no EOS token (eos_token_id in config.json).")
    eot = _first(_found(tokenizer.token_id(family.end_of_turn), family.end_of_turn, FAMILY), second)
    for name, token in (("mask", mask), ("EOS", eos), ("end-of-turn", eot)):
        if token is not None and not (_is_id(token.id) and token.id < architecture.vocabulary):
            last = architecture.vocabulary - 1
            raise CheckpointError(
                f"checkpoint {folder}: the {name} token is {shortened(token.id)}, expected an id of the vocabulary,"
                f" 0 to {last}."
            )
    for name, token in (("EOS", eos), ("end-of-turn", eot)):
        if token is not None and token.id == mask.id:
            raise CheckpointError(
                f"checkpoint {folder}: the mask token and the {name} token are both {mask.id}; an answer's end could"
                " not be distinguished from what is not denoised yet. See mask_token_id and eos_token_id in"
                " config.json."
            )
    if second is not None and second.id not in (eos.id, None if eot is None else eot.id):
        raise CheckpointError(
            f"checkpoint {folder}: config.json: eos_token_id is {shortened(config['eos_token_id'])}; supported are one"
            f" EOS token and the end-of-turn token{'' if eot is None else f' {eot.id}'}."
        )
    return FoundTokens(mask, eos, None if eot is None or eot.id == eos.id else eot)


def _ends(configured: Any, from_tokenizer: int | None) -> tuple[FoundToken | None, FoundToken | None]:
    """(EOS, a second token that ends an answer), from config.json, whose list may name both in either order.

    `from_tokenizer`: the tokenizer's EOS, used where config.json has none and to choose between two. A value that is
    not an id or a list of one or two ids is returned unchanged, for the check of ids to report.
    """
    field = "eos_token_id"
    if not isinstance(configured, list):
        return _first(_found(configured, field, CONFIG), _found(from_tokenizer, "eos_token", TOKENIZER)), None
    ids = list(dict.fromkeys(configured)) if all(map(_is_id, configured)) else []
    if not 0 < len(ids) <= 2:
        return FoundToken(configured, field, CONFIG), None  # type: ignore[arg-type]  # refused by the check of ids
    eos = from_tokenizer if from_tokenizer in ids else ids[0]
    assert eos is not None, "one of the ids"
    second = next((token for token in ids if token != eos), None)
    return FoundToken(eos, field, CONFIG), _found(second, field, CONFIG)


def _found(token: Any, field: str | None, source: str) -> FoundToken | None:
    return None if token is None or field is None else FoundToken(token, field, source)


def _is_id(token: object) -> TypeGuard[int]:
    return isinstance(token, int) and not isinstance(token, bool) and token >= 0


def _first(*candidates: FoundToken | None) -> FoundToken | None:
    return next((candidate for candidate in candidates if candidate is not None), None)
