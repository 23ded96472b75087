"""The choice of a kernel for variable-length attention. The kernels themselves need a GPU."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from dlm_length.engine import ragged

CPU = torch.device("cpu")


def attention(query: Tensor, key: Tensor, value: Tensor, ends: Tensor, scale: float, ends_k: Tensor) -> Tensor:
    """Plain, for equal numbers of heads, as the CUDA kernels compute it."""
    if query.shape[1] != key.shape[1]:
        raise RuntimeError("Expected query and key to have as many heads")
    parts = []
    for bounds in zip(ends[:-1].tolist(), ends[1:].tolist(), ends_k[:-1].tolist(), ends_k[1:].tolist(), strict=True):
        rows, rows_k = slice(*bounds[:2]), slice(*bounds[2:])
        q, k, v = (x[own].transpose(0, 1).float() for x, own in ((query, rows), (key, rows_k), (value, rows_k)))
        parts.append(((q @ k.transpose(1, 2) * scale).softmax(-1) @ v).transpose(0, 1))
    return torch.cat(parts).to(query.dtype)


def of_torch_2_11(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None, window_size=()):
    return attention(query, key, value, cu_seq_q, scale, cu_seq_k)


def of_torch_2_13(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None, enable_gqa=False, num_splits=0
):
    assert num_splits == 1, "with more, a sample's sums would depend on its batch"
    assert enable_gqa == (query.shape[1] != key.shape[1])
    times = query.shape[1] // key.shape[1]
    return attention(query, *(x.repeat_interleave(times, 1) for x in (key, value)), cu_seq_q, scale, cu_seq_k)


def of_equal_lengths_alone(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None):
    """As a kernel that takes the queries' bounds for the keys'."""
    return attention(query, key, value, cu_seq_q, scale, cu_seq_q)


def wrong(query, *_, **__):
    return torch.zeros_like(query)


def refusing(*_, **__):
    raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.")


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    def offer(**functions: Callable[..., Tensor]) -> None:
        kernels = [(name, ragged._varlen_attn(function)) for name, function in functions.items()]
        monkeypatch.setattr(ragged, "_candidates", lambda: iter(kernels))
        ragged.ragged_kernel.cache_clear()

    yield offer
    ragged.ragged_kernel.cache_clear()


@pytest.mark.parametrize("function", [of_torch_2_11, of_torch_2_13])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (4, 1)])
def test_the_function_is_called_with_the_arguments_that_it_has(offered, function, heads: int, kv_heads: int):
    offered(found=function)
    chosen = ragged.ragged_kernel(CPU, torch.bfloat16, heads, kv_heads, 8)
    assert chosen is not None
    assert chosen.name == "found"
    query, key, value = (torch.randn(7, h, 8) for h in (heads, kv_heads, kv_heads))
    ends = torch.tensor([0, 2, 7], dtype=torch.int32)
    answer = chosen.kernel(query, key, value, ends, ends, 5, 5, 0.3)
    times = heads // kv_heads
    expected = attention(query, key.repeat_interleave(times, 1), value.repeat_interleave(times, 1), ends, 0.3, ends)
    torch.testing.assert_close(answer, expected)


def test_the_next_kernel_is_taken_if_one_fails_or_is_wrong(offered):
    offered(refusing=refusing, wrong=wrong, partly=of_equal_lengths_alone, right=of_torch_2_11)
    chosen = ragged.ragged_kernel(CPU, torch.float16, 2, 2, 8)
    assert chosen is not None
    assert chosen.name == "right"


def test_there_is_no_kernel_if_none_works(offered):
    offered(refusing=refusing, wrong=wrong)
    assert ragged.ragged_kernel(CPU, torch.float16, 2, 2, 8) is None


def test_torchs_own_function_is_among_the_candidates():
    assert "torch.varlen_attn" in dict(ragged._candidates()) or torch.__version__ < "2.10"
