"""From hidden states to statistics: the vocabulary head on the requested rows, one chunk at a time.

The logits of a chunk are reduced on the device before the next chunk is computed, so that peak memory does not depend
on the batch; only the statistics are copied to the host.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Stat, StatSpec
from dlm_length.engine.budget import CHUNK_BYTES
from dlm_length.engine.counter_rng import Keys, gumbel, uniform
from dlm_length.engine.transfer import Fetch
from dlm_length.models.fused import triton_kernels

MIN_ROWS = 16
"""Inputs with fewer rows are padded to this: on CPUs, products of fewer rows run in another kernel that rounds
differently, so that a sample alone would differ in its last bits from the same sample in a batch."""

_PLAIN = Stat.EOS | Stat.EOT
"""Statistics that `confidence_without` does not affect; `_CONFIDENCES` are those that it does."""
_CONFIDENCES = Stat.CONFIDENCE | Stat.MARGIN | Stat.ENTROPY
_SPAN = 64
"""Tokens per span in `_argmax`."""
_COMPARED_BYTES = 48
"""Bytes per token of a row that is compared: two softmaxes in float64, and intermediate results."""
_NOISED_BYTES = 6
"""Memory of a chunk with Gumbel noise or a nucleus, in several 64-bit arrays, relative to its float32 logits; measured
on a CPU."""


class PendingAnswer:
    """Statistics that are being computed and copied from the device."""

    def __init__(self, fetch: Fetch, uniform: NDArray[np.float64] | None) -> None:
        self._fetch = fetch
        self._uniform = uniform

    def answer(self) -> Answer:
        """The statistics; waits until they have arrived."""
        fields: dict[str, Any] = {
            name: values.astype(np.float64) if values.dtype == np.float32 else values
            for name, values in self._fetch.arrays().items()
        }
        if self._uniform is not None:
            fields["uniform"] = self._uniform
        return Answer(**fields)


@torch.inference_mode()
def statistics(
    logits: Callable[[Tensor], Tensor],
    hidden: Tensor,
    rows: Tensor,
    head: StatSpec,
    tokens: SpecialTokens,
    keys: Keys,
    *,
    vocabulary: int,
    chunk_bytes: int,
    multiple: int = 1,
    against: Tensor | None = None,
) -> PendingAnswer:
    """Start to compute the statistics in `head.want` of some rows of the hidden states.

    `logits`: the vocabulary head, (rows, width) to (rows, vocabulary). `hidden`: (tokens, width). `rows`: indices into
    it, (rows,) int64 on the same device. `keys`: keys of the rows' random numbers, (rows,). `multiple`: the number of
    rows of a chunk is a multiple of this, if possible. `against`: the hidden states to compute a divergence from,
    (rows, width). Probabilities are reduced in float32, logits with noise and divergences in float64; a confidence is
    as exact near 1 as a softmax in float64 (see `_confidence`).
    """
    parts: dict[str, list[Tensor]] = {}
    if head.want & ~(Stat.UNIFORM | Stat.DIVERGENCE):
        reduce, itemsize = _reduction(hidden)
        wide = head.temperature > 0 or head.top_p is not None
        row_bytes = vocabulary * (4 * _NOISED_BYTES if wide else itemsize)
        for start, end in _chunks(len(rows), max(MIN_ROWS, chunk_bytes // row_bytes), multiple):
            chunk = logits(_padded(hidden[rows[start:end]]))[: end - start]
            for name, values in reduce(chunk, head, tokens, keys[start:end]):
                parts.setdefault(name, []).append(values)
            del chunk  # frees its logits before those of the next chunk are computed
    if Stat.DIVERGENCE in head.want:
        assert against is not None, "a divergence needs hidden states to compare with"
        parts["divergence"] = []
        row_bytes = vocabulary * _COMPARED_BYTES
        for start, end in _chunks(len(rows), max(MIN_ROWS, chunk_bytes // row_bytes), multiple):
            pair = (_softmax(logits(_padded(one)), head) for one in (hidden[rows[start:end]], against[start:end]))
            parts["divergence"].append(_divergence(*pair)[: end - start])
    fetch = Fetch({name: torch.cat(values) for name, values in parts.items()})
    return PendingAnswer(fetch, uniform(keys) if Stat.UNIFORM in head.want else None)


def chunk_bytes_for(device: torch.device) -> int:
    """Bytes of a chunk's logits on a device."""
    return CHUNK_BYTES.get(device.type, CHUNK_BYTES["cuda"])


def _chunks(rows: int, size: int, multiple: int) -> Iterator[tuple[int, int]]:
    """(start, end) of chunks of at most `size` rows.

    Their sizes are multiples of `multiple` if that is at most `size`; else nearly equal, as a short last chunk would be
    padded or slow.
    """
    if 1 < multiple <= size:
        whole = size - size % multiple
        yield from ((start, min(start + whole, rows)) for start in range(0, max(rows, 1), whole))
        return
    count = max(1, -(-rows // size))
    for index in range(count):
        yield rows * index // count, rows * (index + 1) // count


def _padded(rows: Tensor) -> Tensor:
    """`rows`, (rows, width), with zero rows added up to MIN_ROWS."""
    short = MIN_ROWS - len(rows)
    return rows if short <= 0 else torch.cat([rows, rows.new_zeros(short, rows.shape[1])])


Reduce = Callable[[Tensor, StatSpec, SpecialTokens, Keys], Iterator[tuple[str, Tensor]]]


def _reduction(hidden: Tensor) -> tuple[Reduce, int]:
    """The function that reduces logits on the device of `hidden`, and the bytes of one logit there."""
    if (kernels := triton_kernels(hidden.device)) is None:
        return _reduce, 4
    return partial(_reduce_in_one_pass, kernels.row_statistics), hidden.element_size()


def _reduce_in_one_pass(
    row_statistics: Callable[..., tuple[Tensor, ...]],
    logits: Tensor,
    head: StatSpec,
    tokens: SpecialTokens,
    keys: Keys,
) -> Iterator[tuple[str, Tensor]]:
    """As `_reduce`, without a softmax in memory: each row is read once for its maximum and its sum of exponentials.

    `row_statistics`: `models._kernels.row_statistics`.
    """
    want = head.want
    more = bool(want & (Stat.MARGIN | Stat.ENTROPY))
    gap = Stat.LOGIT_GAP in want
    if Stat.BEST_UNMASKED in want:
        kept = logits.clone() if head.changes_logits else logits
        own = kept[:, tokens.mask].clone()
        kept[:, tokens.mask] = -torch.inf
        token_unmasked, _, others, *_ = row_statistics(_adjusted(kept, head)[0], more=False)
        kept[:, tokens.mask] = own
        yield "unmasked_token", token_unmasked
        yield "unmasked_confidence", 1 / (1 + others.double())
    logits, temperature = _adjusted(logits, head)
    more_before = gap or (more and not head.confidence_without)
    prediction, highest, others, second, weighted = row_statistics(logits, more=more_before)
    total = 1 + others
    if gap:
        yield "logit_gap", highest - second
    if temperature > 0 and want & (Stat.TOKEN | Stat.CONFIDENCE):
        prediction = _predict(logits, temperature, keys)
    if Stat.TOKEN in want:
        yield "token", prediction
    for statistic, name, token in ((Stat.EOS, "eos", tokens.eos), (Stat.EOT, "eot", tokens.eot)):
        if statistic in want:
            none = torch.zeros_like(highest, dtype=torch.float64)
            yield name, none if token is None else _probability(logits[:, token], highest, others)
    if head.confidence_without and want & _CONFIDENCES:
        _forbid(logits, head.confidence_without)
        _, highest, others, second, weighted = row_statistics(logits, more=more)
        total = 1 + others
    # Where top_k or top_p kept no token but those without a confidence; such a row is ranked last.
    nothing_left = (highest == -torch.inf) & (others == 0)
    if Stat.CONFIDENCE in want:
        confidence = _probability(logits.gather(1, prediction[:, None])[:, 0], highest, others)
        yield "confidence", torch.where(nothing_left, 0.0, confidence)
    if Stat.MARGIN in want:
        yield "margin", torch.where(nothing_left, 0.0, (1 - (second - highest).exp()) / total)
    if Stat.ENTROPY in want:
        yield "entropy", torch.where(nothing_left, torch.inf, total.log() - weighted / total)


def _forbid(logits: Tensor, ids: Sequence[int]) -> None:
    """Set the logits of these tokens to minus infinity, one by one: a list of indices would be copied to the device."""
    for token in ids:
        logits[:, token] = -torch.inf


def _probability(logit: Tensor, highest: Tensor, others: Tensor) -> Tensor:
    """Softmax of one logit per row in float64, from the row's highest logit and the sum of the others' exponentials."""
    return (logit.double() - highest.double()).exp() / (1 + others.double())


def _reduce(logits: Tensor, head: StatSpec, tokens: SpecialTokens, keys: Keys) -> Iterator[tuple[str, Tensor]]:
    """(field of `Answer`, values) of the requested statistics of one chunk. Changes `logits`."""
    logits, want = logits.float(), head.want
    if Stat.BEST_UNMASKED in want:
        # MASK goes first, as it may be all that top_k or top_p would keep.
        kept = logits.clone()
        _forbid(kept, (tokens.mask,))
        words = _adjusted(kept, head)[0].softmax(-1)
        token = words.argmax(-1)
        yield "unmasked_token", token
        yield "unmasked_confidence", _confidence(words, token)
        del kept, words  # before more of this size is made
    logits, temperature = _adjusted(logits, head)
    prediction = _predict(logits, temperature, keys) if want & (Stat.TOKEN | Stat.CONFIDENCE) else None
    if Stat.LOGIT_GAP in want:
        highest, second = logits.topk(2, dim=-1).values.unbind(-1)
        yield "logit_gap", highest - second
    if prediction is not None and Stat.TOKEN in want:
        yield "token", prediction
    p = logits.softmax(-1) if want & _PLAIN or (want & _CONFIDENCES and not head.confidence_without) else None
    for statistic, name, end in ((Stat.EOS, "eos", tokens.eos), (Stat.EOT, "eot", tokens.eot)):
        if p is not None and statistic in want:
            none = torch.zeros_like(p[:, 0], dtype=torch.float64)
            yield name, none if end is None else _confidence(p, torch.full((len(p),), end, device=p.device))
    if not want & _CONFIDENCES:
        return
    nothing_left = None
    if head.confidence_without:
        _forbid(logits, head.confidence_without)
        p = logits.softmax(-1)
        if head.changes_logits:  # top_k or top_p may have kept no other token; such a row is ranked last
            nothing_left = (logits == -torch.inf).all(-1)
            p[nothing_left] = 0.0
    assert p is not None, "a confidence needs its softmax"
    if Stat.MARGIN in want:
        best, second = p.topk(2, dim=-1).values.unbind(-1)
        yield "margin", best - second
    if Stat.ENTROPY in want:
        entropy = _row_sums(torch.special.entr(p))
        yield "entropy", entropy if nothing_left is None else entropy.masked_fill(nothing_left, torch.inf)
    if Stat.CONFIDENCE in want:
        assert prediction is not None, "a confidence is that of the prediction"
        yield "confidence", _confidence(p, prediction)


def _confidence(p: Tensor, tokens: Tensor) -> Tensor:
    """The probability of one token of each row, such as its prediction, (rows,) float64. `p`: (rows, vocabulary).

    Relative to the sum of the others, as float32 has no number between 1 - 6e-8 and 1: very confident predictions, such
    as EOS after an answer, would be equal, and be committed in another order than with the float64 softmax of the
    reference implementations. It also undoes what float32 loses in the sum of a softmax over a large vocabulary.
    """
    own = p.gather(1, tokens[:, None])
    p.scatter_(1, tokens[:, None], 0.0)  # for the sum; in place, as a copy would take as much memory again
    others = _row_sums(p).double()
    p.scatter_(1, tokens[:, None], own)
    own = own[:, 0].double()
    return own / (own + others).clamp_min(torch.finfo(torch.float64).tiny)  # a row of zeros has confidence 0


def _adjusted(logits: Tensor, head: StatSpec) -> tuple[Tensor, float]:
    """The logits that statistics are of, and the temperature at which to sample from them. Changes `logits`."""
    temperature = head.temperature
    if head.suppress:
        _forbid(logits, head.suppress)
    if head.tempered and temperature > 0:
        logits, temperature = logits.float().div_(temperature), 1.0
    if head.top_p is not None:
        _keep_nucleus(logits, head.top_p)
    if head.top_k is not None:
        _keep_best(logits, head.top_k)
    return logits, temperature


def _softmax(logits: Tensor, head: StatSpec) -> Tensor:
    """The softmax of these rows as `head` describes it, in float64. Changes `logits`."""
    return _adjusted(logits, head)[0].double().softmax(-1)


def _row_sums(values: Tensor) -> Tensor:
    """The sum of each row, (rows,), in an order that the number of columns alone determines.

    On a GPU the order of torch's own sum depends on the number of rows as well; on a CPU a single row alone is divided
    among threads.
    """
    if not values.is_cuda:
        return values.sum(-1) if len(values) != 1 else torch.cat([values, values]).sum(-1)[:1]
    while (columns := values.shape[1]) > 1:
        half = columns // 2
        folded = values[:, :half] + values[:, half : 2 * half]
        if columns % 2:
            folded[:, 0] += values[:, -1]
        values = folded
    return values[:, 0]


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence of each row, (rows,), in nats: the entropy of the mean less the mean entropy."""
    of_mean, of_p, of_q = (_row_sums(torch.special.entr(one)) for one in ((p + q) / 2, p, q))
    divergence: Tensor = (of_mean - (of_p + of_q) / 2).clamp_min(0)  # negative by rounding alone
    return divergence


def _keep_best(logits: Tensor, count: int) -> None:
    """Set all but the `count` highest logits of each row to minus infinity; ties with the last of them are kept."""
    if count < logits.shape[-1]:
        least = logits.topk(count, dim=-1).values[:, -1:]
        logits.masked_fill_(logits < least, -torch.inf)


def _keep_nucleus(logits: Tensor, mass: float) -> None:
    """Set all but each row's nucleus (Holtzman et al. 2020) to minus infinity; ties with its last logit are kept.

    A token is in the nucleus if all more likely ones together have at most `mass`, as in Dream's `top_p_logits`.
    """
    ranked = logits.sort(-1, descending=True).values
    kept = (_nucleus_exactly if logits.is_cuda else _nucleus)(ranked, mass).sum(-1, keepdim=True)
    logits.masked_fill_(logits < ranked.gather(-1, kept.clamp_min(1) - 1), -torch.inf)


def _nucleus(ranked: Tensor, mass: float) -> Tensor:
    """Whether each logit is in its row's nucleus; `ranked`: logits in descending order, (rows, vocabulary)."""
    p = ranked.float().softmax(-1)
    return p.cumsum(-1) - p <= mass


def _nucleus_exactly(ranked: Tensor, mass: float) -> Tensor:
    """`_nucleus` with sums of integers: a GPU's order of summation depends on the number of rows, and integers on none.

    For at most 2^18 tokens: the likeliest of them counts 2^44.
    """
    weights = (ranked.float() - ranked[:, :1]).exp_().mul_(2.0**44).long()
    before = weights.cumsum(-1).sub_(weights)
    total = before[:, -1:] + weights[:, -1:]
    return before <= (total.double() * mass).long()


def _predict(logits: Tensor, temperature: float, keys: Keys) -> Tensor:
    """The most likely token of each row; at T > 0 a sample of softmax(logits / T) by the Gumbel-max trick.

    LLaDA's sampler takes the argmax of exp(l) / (-log u)^T; its logarithm, l + T * gumbel, has the same argmax.
    """
    if temperature == 0:
        return _argmax(logits)
    noise = gumbel(keys, logits.shape[-1], logits.device)
    return noise.mul_(temperature).add_(logits).argmax(-1)


def _argmax(logits: Tensor) -> Tensor:
    """Equals `logits.argmax(-1)`, ties included, and is several times as fast on a CPU.

    There the maximum is vectorised and argmax is not: this finds the best span of each row, then the index within it.
    Vocabularies of published checkpoints are padded to a multiple of the span.
    """
    rows, vocabulary = logits.shape
    if vocabulary % _SPAN:
        return logits.argmax(-1)
    spans = logits.view(rows, vocabulary // _SPAN, _SPAN)  # -1 in place of the quotient fails for no rows
    best = spans.amax(-1).argmax(-1)
    return best * _SPAN + spans[torch.arange(rows, device=logits.device), best].argmax(-1)
