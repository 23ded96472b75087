"""Checkpoints as mask predictors. Importing this package is cheap: torch is imported with the first model."""

from typing import TYPE_CHECKING, Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.errors import AbsentCheckpointError, CheckpointError
from dlm_length.models.spec import ModelSpec

if TYPE_CHECKING:
    from dlm_length.models.loading import (
        check_adapter,
        checkpoint_digest,
        choose_device,
        choose_dtype,
        load_architecture,
        load_model,
        load_tokenizer,
        logits_are_shifted,
    )
    from dlm_length.models.predictor import MaskPredictor
    from dlm_length.models.tokenizer import Tokenizer

__all__ = [
    "AbsentCheckpointError",
    "Architecture",
    "CheckpointError",
    "MaskPredictor",
    "ModelSpec",
    "Tokenizer",
    "check_adapter",
    "checkpoint_digest",
    "choose_device",
    "choose_dtype",
    "load_architecture",
    "load_model",
    "load_tokenizer",
    "logits_are_shifted",
]

_LAZY = {"MaskPredictor": "predictor", "Tokenizer": "tokenizer"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY.get(name, 'loading')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
