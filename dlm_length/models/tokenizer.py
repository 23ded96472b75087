"""Text to token ids and back, by the checkpoint's own tokenizer and chat template."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from transformers import PreTrainedTokenizerFast

from dlm_length.common import listing
from dlm_length.models.chat_template import TemplateError, render
from dlm_length.models.config_fields import shortened
from dlm_length.models.errors import CheckpointError
from dlm_length.models.json_file import read_json_object

_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
"""A tokenizer's files, each a JSON object; all may be absent but the first, which `_QWEN2_FILES` can replace."""
_QWEN2_FILES = ("vocab.json", "merges.txt")
"""Files of a slow Qwen2 tokenizer, which can be read in place of tokenizer.json."""
_QWEN2 = ("DreamTokenizer", "Qwen2Tokenizer", "Qwen2TokenizerFast")
"""`tokenizer_class` of such tokenizers; vocabulary and merges alone do not say how a text is split into words."""


class Tokenizer:
    """A checkpoint's tokenizer, from tokenizer.json or, for Qwen2's kind, from vocab.json and merges.txt.

    No code of the checkpoint is run.
    """

    def __init__(self, folder: Path, template_variables: Mapping[str, Any] = MappingProxyType({})) -> None:
        """`template_variables`: passed to the chat template with the messages. Raises CheckpointError."""
        self._folder = folder
        self._variables = template_variables
        for name in _FILES:
            # Transformers ignores a file that it cannot read, and then has no special tokens or no template.
            if os.path.lexists(folder / name):
                read_json_object(folder / name)
        kind = _kind(folder)
        try:
            self._inner: PreTrainedTokenizerFast = kind.from_pretrained(folder)
            ids = self._inner.mask_token_id, self._inner.eos_token_id
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise CheckpointError(f"checkpoint {folder}: tokenizer cannot be read ({reason}).") from error
        if not all(token is None or isinstance(token, int) for token in ids):
            raise CheckpointError(
                f"checkpoint {folder}: tokenizer_config.json: mask_token and eos_token are each the text of one token;"
                f" found {shortened(self._inner.mask_token)} and {shortened(self._inner.eos_token)}."
            )

    def __repr__(self) -> str:
        template = "a chat template" if self.has_template else "no chat template"
        return f"<Tokenizer {self._folder}: {self.kind}, {self.size:,} tokens, {template}>"

    @property
    def mask_token_id(self) -> int | None:
        """Id of MASK; None where the tokenizer declares none."""
        return _id(self._inner.mask_token_id)

    @property
    def eos_token_id(self) -> int | None:
        """Id of EOS; None where the tokenizer declares none."""
        return _id(self._inner.eos_token_id)

    @property
    def size(self) -> int:
        """Number of tokens in the vocabulary, including added ones; a model's vocabulary head may have more rows."""
        return len(self._inner)

    @property
    def kind(self) -> str:
        """Name of the transformers class that implements it."""
        return type(self._inner).__name__

    @property
    def has_template(self) -> bool:
        """Whether it has a chat template."""
        return self._inner.chat_template is not None

    def token_text(self, token_id: int) -> str | None:
        """The text of a token; None where the vocabulary has no such id."""
        if not 0 <= token_id < 2**32:  # tokenizers raises for other integers
            return None
        text = self._inner.convert_ids_to_tokens(token_id)
        return text if isinstance(text, str) else None

    def is_added(self, token_id: int) -> bool:
        """Whether a token was added to the vocabulary that the tokenizer was trained with."""
        return token_id in self._inner.added_tokens_decoder

    @property
    def bos_token(self) -> str | None:
        """The text of the token that begins a sequence; None where there is none."""
        token = self._inner.bos_token
        return token if isinstance(token, str) else None

    @property
    def chat_template(self) -> str | None:
        """Jinja source of the checkpoint's chat template; None where there is none."""
        template = self._inner.chat_template
        return template if isinstance(template, str) else None

    def token_id(self, token: str | None) -> int | None:
        """The id of a token's text; None where the vocabulary does not have it."""
        return None if token is None else _id(self._inner.get_vocab().get(token))

    def chat_text(self, messages: Sequence[tuple[str, str]], prefill: str = "") -> str:
        """(role, text) turns in the checkpoint's chat template, up to the assistant's answer, followed by `prefill`.

        Raises CheckpointError where the template fails, drops a system message or renders it as the assistant's.
        """
        if not self.has_template:
            raise CheckpointError(
                f"checkpoint {self._folder}: has no chat template, which this prompt style needs."
                " Choose an instruct checkpoint, or a prompt style without chat (benchmark.prompt_style=NAME;"
                " `dlmlen list benchmarks` shows those of each benchmark)."
            )
        rendered = self._templated(messages)
        if system := [text for role, text in messages if role == "system"]:
            as_answers = [("assistant" if role == "system" else role, text) for role, text in messages]
            if not all(text.strip() in rendered for text in system) or rendered == self._templated(as_answers):
                raise CheckpointError(
                    f"checkpoint {self._folder}: its chat template does not support system messages. Put the system"
                    " message of benchmark.prompt_file at the start of the user's turn; run a task of lm-eval that has"
                    " a description or a system_instruction without apply_chat_template."
                )
        return rendered + prefill

    def _templated(self, messages: Sequence[tuple[str, str]]) -> str:
        turns = [{"role": role, "content": text} for role, text in messages]
        try:
            return render(self._inner, turns, self._variables)
        except TemplateError as error:
            raise CheckpointError(f"checkpoint {self._folder}: its chat template cannot be used ({error}).") from error

    def encode(self, text: str, *, templated: bool) -> list[int]:
        """Token ids of a prompt. A `templated` text already has its BOS; for others the tokenizer adds its tokens."""
        ids = self._inner.encode(text, add_special_tokens=not templated)
        return list(ids)

    def encode_user_turn(self, text: str) -> list[int]:
        """Token ids of `text` as one user turn of the chat template; of `text` itself where there is no template."""
        if self.has_template:
            return self.encode(self.chat_text([("user", text)]), templated=True)
        return self.encode(text, templated=False)

    def decode(self, token_ids: Sequence[int], *, special: bool = False) -> str:
        """The text of an answer without special tokens, wherever they occur, as in the reference evaluations.

        `special`: keep them.
        """
        text = self._inner.decode(list(token_ids), skip_special_tokens=not special)
        assert isinstance(text, str)
        return text


def _kind(folder: Path) -> type[PreTrainedTokenizerFast]:
    """The class that reads the folder's tokenizer."""
    if os.path.lexists(folder / "tokenizer.json"):
        return PreTrainedTokenizerFast
    absent = [name for name in _QWEN2_FILES if not os.path.lexists(folder / name)]
    settings = folder / "tokenizer_config.json"
    named = read_json_object(settings).get("tokenizer_class") if os.path.lexists(settings) else None
    if absent or named not in _QWEN2:
        found = f"tokenizer_class is {shortened(named)}" if not absent else f"nor is there {' or '.join(absent)}"
        raise CheckpointError(
            f"checkpoint {folder}: no tokenizer.json; slow tokenizers are supported where vocab.json and merges.txt are"
            f" there and tokenizer_config.json's tokenizer_class is {listing(_QWEN2)}; {found}."
        )
    from transformers import Qwen2Tokenizer  # here, so that other families do not wait for the import

    return Qwen2Tokenizer


def _id(token_id: object) -> int | None:
    assert token_id is None or isinstance(token_id, int), f"a token id is an integer, found {token_id!r}"
    return token_id
