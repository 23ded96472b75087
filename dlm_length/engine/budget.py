"""How many tokens one forward should hold, and how much memory it takes. Does not import torch."""

import math

from dlm_length.models import Architecture

CHUNK_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}
"""Bytes of one chunk's logits; on a CPU the working set is a small multiple of it. Every chunk reads the head's weights
again, so that a GPU is faster with few large chunks."""
CANDIDATES = tuple(512 << step for step in range(8))
"""The budgets that `auto` chooses from: 512 to 65,536 tokens."""
_CPU_TOKENS = 2_048
"""On a CPU larger forwards are no faster, as their activations no longer fit into its caches."""
_FILLING_FLOPS = 2e14
"""FLOPs of a forward (0.25 s on an H100) above which a larger one is hardly faster per token on a GPU."""
_MEMORY_SHARE = 0.8
"""The part of the memory left by the weights that one forward may take."""
CACHE_SHARE = 0.5
"""The part of the memory left by the weights that key-value caches may take, where policies have one."""
_WORKSPACE_BYTES = 32 * 2**20
"""Bytes that cuBLAS allocates for itself with its first product."""
_FLOAT32_BYTES = 4
"""Bytes of a float32: transformers computes norms and rotary embeddings on float32 copies."""


def automatic_budget(
    architecture: Architecture,
    *,
    device: str,
    bytes_each: int,
    fused: bool,
    free: int | None,
    cache_bytes: int = 0,
) -> int:
    """Tokens of one forward if `max_batch_tokens` is auto: enough to keep the device busy, within its memory.

    `device`: cpu or cuda. `bytes_each`: bytes of one weight or activation. `free`: bytes left by the weights; None if
    unknown, for no limit. `cache_bytes`: the part of `free` reserved for key-value caches. A run and its dry run get
    the same budget. It affects speed alone, no answer.
    """
    if device == "cpu":
        wanted = _CPU_TOKENS
    else:
        filling = (tokens for tokens in CANDIDATES if architecture.forwards_flops(tokens, 0) >= _FILLING_FLOPS)
        wanted = next(filling, CANDIDATES[-1])
    room = math.inf if free is None else _MEMORY_SHARE * (free - cache_bytes)
    affordable = [
        tokens
        for tokens in CANDIDATES
        if tokens <= wanted and activation_bytes(architecture, tokens, bytes_each, device=device, fused=fused) <= room
    ]
    return max(affordable, default=CANDIDATES[0])


def activation_bytes(architecture: Architecture, tokens: int, bytes_each: int, *, device: str, fused: bool) -> int:
    """Peak memory in bytes of one forward without the weights, if every token goes through the vocabulary head.

    In a block these tensors exist at the same time: residual, norm, gate and up projections and their product; or, in
    the unfused model, query and key in float32 and their rotated copies. In the head: the hidden states and one
    chunk's rows, logits and, on a CPU, softmax.
    """
    width, kv_width, mlp = architecture.width, architecture.kv_width, architecture.active_mlp_width
    query = architecture.query_width
    tables = 4 * _FLOAT32_BYTES * architecture.head_size
    if fused:
        attention = (2 * width + 3 * query + 2 * kv_width) * bytes_each
        block = max(attention, (2 * width + 3 * mlp) * bytes_each) + tables
    else:
        attention = (2 * width + 2 * query) * bytes_each + 4 * query * _FLOAT32_BYTES
        attention += 2 * kv_width * (bytes_each + _FLOAT32_BYTES)
        block = max(attention, (2 * width + 3 * mlp) * bytes_each) + tables
    chunk_limit = CHUNK_BYTES.get(device, CHUNK_BYTES["cuda"])
    chunk = min(chunk_limit, tokens * architecture.vocabulary * (4 if device == "cpu" else bytes_each))
    head = tokens * width * bytes_each + (3 * chunk if device == "cpu" else chunk)
    return max(tokens * block, head) + (0 if device == "cpu" else _WORKSPACE_BYTES)
