import pytest
import torch

from dlm_length.engine.attention import ATTENTIONS, best_attention

CPU = torch.device("cpu")


def inputs(lengths: list[int], heads: int, kv_heads: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(sum(lengths), h, 8, generator=generator) for h in (heads, kv_heads, kv_heads)]


def by_hand(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: list[int], scale: float
) -> torch.Tensor:
    """Softmax attention, a sample and a head at a time, in float64."""
    parts, start = [], 0
    group = query.shape[1] // key.shape[1]
    for length in lengths:
        rows = slice(start, start + length)
        heads = []
        for head in range(query.shape[1]):
            q, k, v = query[rows, head].double(), key[rows, head // group].double(), value[rows, head // group].double()
            heads.append((q @ k.T * scale).softmax(-1) @ v)
        parts.append(torch.stack(heads, dim=1))
        start += length
    return torch.cat(parts).float()


@pytest.mark.parametrize("kind", ["grouped", "padded"])
@pytest.mark.parametrize("lengths", [[5], [1, 1, 1], [3, 3, 7], [2, 9, 9, 9, 30], [70, 3]])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2)])
def test_no_token_sees_another_sample(kind: str, lengths: list[int], heads: int, kv_heads: int):
    query, key, value = inputs(lengths, heads, kv_heads)
    answer = ATTENTIONS[kind](lengths, CPU)(query, key, value, 0.3)
    torch.testing.assert_close(answer, by_hand(query, key, value, lengths, 0.3), atol=2e-6, rtol=1e-5)


def test_varlen_is_for_half_precision_on_recent_cuda_devices_alone(monkeypatch: pytest.MonkeyPatch):
    capability = (9, 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert best_attention(torch.device("cuda"), torch.bfloat16) == "varlen"
    assert best_attention(torch.device("cuda"), torch.float32) == "grouped"
    assert best_attention(CPU, torch.bfloat16) == "grouped"
    capability = (7, 5)
    assert best_attention(torch.device("cuda"), torch.float16) == "grouped"


def test_varlen_is_given_the_samples_bounds(monkeypatch: pytest.MonkeyPatch):
    """The CUDA kernel does not run here; what it is called with does."""
    called: dict[str, object] = {}

    def kernel(query, key, value, ends_q, ends_k, longest_q, longest_k, *, scale, enable_gqa, num_splits):
        called.update(
            ends=ends_q.tolist(),
            same=ends_q is ends_k,
            longest=(longest_q, longest_k),
            scale=scale,
            gqa=enable_gqa,
            splits=num_splits,
        )
        return query

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", kernel)
    query, key, value = inputs([2, 5, 3], 4, 2)
    assert ATTENTIONS["varlen"]([2, 5, 3], CPU)(query, key, value, 0.5) is query
    assert called == {"ends": [0, 2, 7, 10], "same": True, "longest": (5, 5), "scale": 0.5, "gqa": True, "splits": 1}
