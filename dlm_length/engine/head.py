"""From hidden states to statistics: the vocabulary head on the rows that were asked for, a chunk at a time.

A chunk's logits are reduced on the device before the next chunk is computed, so that the peak of memory is one chunk's,
whatever the batch; only the small arrays come back.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Head, Want
from dlm_length.engine.noise import Keys, gumbel, uniform

CHUNK_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}
"""Bytes of one chunk's float32 logits; the working set is a small multiple. Every chunk reads the head's weights once
more, so that an accelerator wants few and large ones."""
MIN_ROWS = 16
"""Matrix products of fewer rows take another kernel on CPUs, which rounds differently: a sample alone would then differ
in the last bits from the same sample in a batch. Shorter inputs are filled up to this."""

_PLAIN = Want.EOS | Want.EOT
"""Statistics of the softmax as it is; `_CONFIDENCES` are taken after `confidence_without`."""
_CONFIDENCES = Want.CONFIDENCE | Want.MARGIN | Want.ENTROPY
_SPAN = 64
_NOISED_BYTES = 6
"""A noised chunk holds logits, noise and its integers in 64 bits: so many times a float32 chunk, measured."""


@torch.inference_mode()
def statistics(
    logits: Callable[[Tensor], Tensor],
    hidden: Tensor,
    head: Head,
    tokens: SpecialTokens,
    keys: Keys,
    *,
    vocabulary: int,
    chunk_bytes: int,
) -> Answer:
    """The statistics that `head` wants of each row.

    `logits`: the vocabulary head, (rows, width) to (rows, vocabulary). `hidden`: (rows, width). `keys`: (rows,), the
    addresses of the rows' random numbers. Probabilities are reduced in float32, noised logits in float64.
    """
    parts: dict[str, list[Tensor]] = {}
    if head.want & ~Want.UNIFORM:
        row_bytes = vocabulary * 4 * (_NOISED_BYTES if head.temperature > 0 else 1)
        for start, end in _chunks(len(hidden), max(MIN_ROWS, chunk_bytes // row_bytes)):
            chunk = logits(_filled(hidden[start:end]))[: end - start].float()
            for name, values in _reduce(chunk, head, tokens, keys[start:end]):
                parts.setdefault(name, []).append(values)
    arrays = _fetched({name: torch.cat(values) for name, values in parts.items()})
    fields: dict[str, Any] = {
        name: values.astype(np.float64) if values.dtype == np.float32 else values for name, values in arrays.items()
    }
    if Want.UNIFORM in head.want:
        fields["uniform"] = uniform(keys)
    return Answer(**fields)


def chunk_bytes_for(device: torch.device) -> int:
    """The size of chunk that suits a device."""
    return CHUNK_BYTES.get(device.type, CHUNK_BYTES["cuda"])


def _fetched(parts: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    """The arrays on the host, in one transfer for each number format."""
    arrays: dict[str, NDArray[Any]] = {}
    for dtype in {values.dtype for values in parts.values()}:
        names = [name for name, values in parts.items() if values.dtype == dtype]
        arrays |= zip(names, torch.stack([parts[name] for name in names]).cpu().numpy(), strict=True)
    return arrays


def _chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Chunks of equal size, or nearly: a short last one would be padded or slow."""
    count = max(1, -(-rows // size))
    for index in range(count):
        yield rows * index // count, rows * (index + 1) // count


def _filled(rows: Tensor) -> Tensor:
    short = MIN_ROWS - len(rows)
    return rows if short <= 0 else torch.cat([rows, rows.new_zeros(short, rows.shape[1])])


def _reduce(logits: Tensor, head: Head, tokens: SpecialTokens, keys: Keys) -> Iterator[tuple[str, Tensor]]:
    """(name, values) of the wanted statistics of one chunk. Changes `logits`."""
    want = head.want
    if head.suppress:
        logits[:, list(head.suppress)] = -torch.inf
    prediction = _predict(logits, head.temperature, keys) if want & (Want.TOKEN | Want.CONFIDENCE) else None
    if prediction is not None and Want.TOKEN in want:
        yield "token", prediction
    p = logits.softmax(-1) if want & _PLAIN or (want & _CONFIDENCES and not head.confidence_without) else None
    if p is not None and Want.EOS in want:
        yield "eos", p[:, tokens.eos].clone()
    if p is not None and Want.EOT in want:
        yield "eot", torch.zeros_like(p[:, 0]) if tokens.eot is None else p[:, tokens.eot].clone()
    if Want.BEST_UNMASKED in want:
        others = logits.index_fill(1, torch.tensor(tokens.mask, device=logits.device), -torch.inf)
        confidence, token = others.softmax(-1).max(-1)
        yield "unmasked_token", token
        yield "unmasked_confidence", confidence
    if not want & _CONFIDENCES:
        return
    if head.confidence_without:
        logits[:, list(head.confidence_without)] = -torch.inf
        p = logits.softmax(-1)
    assert p is not None, "a confidence needs its softmax"
    if Want.CONFIDENCE in want:
        assert prediction is not None, "a confidence is that of the prediction"
        yield "confidence", p.gather(1, prediction[:, None])[:, 0]
    if Want.MARGIN in want:
        best, second = p.topk(2, dim=-1).values.unbind(-1)
        yield "margin", best - second
    if Want.ENTROPY in want:
        yield "entropy", torch.special.entr(p).sum(-1)


def _predict(logits: Tensor, temperature: float, keys: Keys) -> Tensor:
    """The most likely token of each row, or at a temperature a sample of softmax(logits / T) by the Gumbel-max trick.

    LLaDA's sampler takes the argmax of exp(l) / (-log u)^T; its logarithm, l + T * gumbel, has the same argmax.
    """
    if temperature == 0:
        return _argmax(logits)
    noise = gumbel(keys, logits.shape[-1], logits.device)
    return noise.mul_(temperature).add_(logits).argmax(-1)


def _argmax(logits: Tensor) -> Tensor:
    """As `logits.argmax(-1)`, the first of equals included, several times as fast on a CPU.

    There argmax is not vectorised and the maximum is: find the best span of each row, then the place within it. The
    vocabularies of real checkpoints are padded to a multiple of the span.
    """
    rows, vocabulary = logits.shape
    if vocabulary % _SPAN:
        return logits.argmax(-1)
    spans = logits.view(rows, vocabulary // _SPAN, _SPAN)  # -1 would not do for no rows
    best = spans.amax(-1).argmax(-1)
    return best * _SPAN + spans[torch.arange(rows, device=logits.device), best].argmax(-1)
