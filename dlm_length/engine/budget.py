"""Choosing how many tokens a forward should hold."""

import time

import torch

from dlm_length.engine.attention import ATTENTIONS, AttentionKind
from dlm_length.engine.head import CHUNK_BYTES
from dlm_length.models import Architecture, MaskPredictor

CANDIDATES = tuple(512 << step for step in range(8))
"""Budgets tried, as far as they differ in whole samples: 512 to 65,536 tokens."""
_WORTHWHILE = 1.03
"""A larger budget must be this much faster, or the smaller one stays."""
_HOPELESS = 0.8
"""Once a budget is so much slower than the fastest, larger ones are not tried in that round."""
_ROUNDS = 3
"""Every candidate is timed so often, at different moments: on a shared machine one slow moment decides nothing."""
_MEMORY_SHARE = 0.8
"""Of the free memory that a batch may take."""


def activation_bytes(architecture: Architecture, tokens: int, bytes_each: int) -> int:
    """Peak memory of one forward beside the weights: an estimate, from above, of what lives at once in a block.

    Residual, norm, query, key, value, attention output and their rotated float32 copies, or the MLP's three parts; and
    the head's chunk with its softmax.
    """
    attention = architecture.width * (4 * bytes_each + 16) + 2 * architecture.kv_width * (bytes_each + 4)
    mlp = 2 * architecture.width * bytes_each + 3 * architecture.mlp_width * bytes_each
    return tokens * max(attention, mlp) + 3 * max(CHUNK_BYTES.values())


def calibrated_budget(
    model: MaskPredictor, kind: AttentionKind, *, sample_length: int, free_bytes: int, seconds: float = 3.0
) -> int:
    """The smallest budget at which forwards of this model run about as fast, per token, as they can.

    Times one forward for each candidate that fits into `free_bytes`, over samples of `sample_length` tokens, and stops
    when a larger one no longer pays or `seconds` are over. The choice changes speed, never an answer.
    """
    length = min(sample_length, model.architecture.max_length)
    fits = [tokens for tokens in CANDIDATES if _memory(model, tokens) <= _MEMORY_SHARE * free_bytes]
    counts = sorted({max(1, tokens // length) for tokens in fits or CANDIDATES[:1]})
    rates: dict[int, float] = {}
    begun = time.perf_counter()
    for _ in range(_ROUNDS):
        for samples in counts:
            rate = _tokens_per_second(model, kind, samples, length)
            rates[samples] = max(rate, rates.get(samples, 0.0))
            late = time.perf_counter() - begun > seconds
            if late or rates[samples] < _HOPELESS * max(rates.values()):
                break
        if late:
            break
    enough = [samples for samples, rate in rates.items() if rate * _WORTHWHILE >= max(rates.values())]
    return max(CANDIDATES[0], min(enough, default=0) * length)


def _memory(model: MaskPredictor, tokens: int) -> int:
    return activation_bytes(model.architecture, tokens, int(model.dtype.itemsize))


def _tokens_per_second(model: MaskPredictor, kind: AttentionKind, samples: int, length: int) -> float:
    token_ids = torch.full((samples * length,), model.tokens.mask, device=model.device)
    positions = torch.arange(length, device=model.device).repeat(samples)
    attend = ATTENTIONS[kind]([length] * samples, model.device)
    start = time.perf_counter()
    float(model.hidden(token_ids, positions, attend)[-1, 0])  # reading a number waits for the device
    return samples * length / (time.perf_counter() - start)
