import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.families import FOLDER
from torch import Tensor

from dlm_length.models import CheckpointError, MaskPredictor, load_model

Logits = Callable[[MaskPredictor, Sequence[int]], Tensor]


def products(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention within one sample, spelled out in matrix products: an oracle, and countable by FlopCounterMode."""
    shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
    q, k, v = (x.transpose(0, 1) for x in (query, key, value))
    return ((q @ k.transpose(1, 2) * scale).softmax(-1) @ v).transpose(0, 1)


@pytest.fixture
def attend() -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """Attention within one sample by plain matrix products."""
    return products


@pytest.fixture
def logits() -> Logits:
    """Every position's logits of one sequence."""

    def logits(model: MaskPredictor, ids: Sequence[int]) -> Tensor:
        tokens = torch.as_tensor(ids)
        return model.logits(model.hidden(tokens, torch.arange(len(tokens)), products))

    return logits


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Loads a checkpoint, which must fail, and returns the message of the error."""

    def refusal(path: Path | str, **how: str) -> str:
        with pytest.raises(CheckpointError) as refused:
            load_model(str(path), **({"device": "cpu"} | how))
        message = str(refused.value)
        assert "\n" not in message, "an error is one sentence"
        return message

    return refusal


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a family's checkpoint with other fields in its config.json; `...` leaves one out."""

    def edited(family: str, **fields: Any) -> Path:
        folder = shutil.copytree(FOLDER / family / "checkpoint", tmp_path / family)
        config = json.loads((folder / "config.json").read_text()) | fields
        kept = {name: value for name, value in config.items() if value is not ...}
        (folder / "config.json").write_text(json.dumps(kept))
        return folder

    return edited
