"""How many tokens a forward should hold, and the memory that it takes. Free of torch."""

import math

from dlm_length.models import Architecture

CHUNK_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}
"""Bytes of one chunk's logits; the working set is a small multiple on a CPU. Every chunk reads the head's weights once
more, so that few and large ones suit an accelerator."""
CANDIDATES = tuple(512 << step for step in range(8))
"""Budgets that `auto` chooses from: 512 to 65,536 tokens."""
_CPU_TOKENS = 2_048
"""On a CPU larger forwards are no faster, as their activations leave its caches."""
_FILLING_FLOPS = 2e14
"""A forward of this many FLOPs, a quarter of a second on an H100, leaves a GPU little to gain from a larger one."""
_MEMORY_SHARE = 0.8
"""Share of the memory that the weights leave which a forward may take."""
CACHE_SHARE = 0.5
"""Share of the memory that the weights leave which keys and values of samples may take, where policies have a cache."""
_WORKSPACE_BYTES = 32 * 2**20
"""What cuBLAS reserves for itself from its first product on."""
_ROUND_TRIP = 4
"""Bytes of a float32, in which transformers' norm and rotary embedding are computed, next to the dtype's own."""


def automatic_budget(
    architecture: Architecture,
    *,
    device: str,
    bytes_each: int,
    fused: bool,
    free: int | None,
    cache_bytes: int = 0,
) -> int:
    """The tokens of a forward where `max_batch_tokens` is auto: enough to fill the device, within its memory.

    `device`: cpu or cuda. `bytes_each`: of a weight or activation. `free`: bytes that the weights leave; None: unknown,
    and no limit. `cache_bytes`: of these, what samples may keep between forwards. The same for a run and its dry run,
    and a matter of speed alone: it changes no answer.
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
    """Peak memory of one forward without the weights, when every token goes through the vocabulary head.

    In a block the MLP's parts live at once: residual, norm, gate and up together, and their product; or, where nothing
    is fused, query and key in float32 next to their rotated copies. In the head the hidden states and one chunk: its
    rows, its logits, and their softmax where that is written out.
    """
    width, kv_width, mlp = architecture.width, architecture.kv_width, architecture.active_mlp_width
    query = architecture.query_width
    tables = 4 * _ROUND_TRIP * architecture.head_size
    if fused:
        attention = (2 * width + 3 * query + 2 * kv_width) * bytes_each
        block = max(attention, (2 * width + 3 * mlp) * bytes_each) + tables
    else:
        attention = (2 * width + 2 * query) * bytes_each + 4 * query * _ROUND_TRIP
        attention += 2 * kv_width * (bytes_each + _ROUND_TRIP)
        block = max(attention, (2 * width + 3 * mlp) * bytes_each) + tables
    chunk_limit = CHUNK_BYTES.get(device, CHUNK_BYTES["cuda"])
    chunk = min(chunk_limit, tokens * architecture.vocabulary * (4 if device == "cpu" else bytes_each))
    head = tokens * width * bytes_each + (3 * chunk if device == "cpu" else chunk)
    return max(tokens * block, head) + (0 if device == "cpu" else _WORKSPACE_BYTES)
