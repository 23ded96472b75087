from types import SimpleNamespace

import pytest
import torch

from dlm_length.engine import attention
from dlm_length.engine.attention import ATTENTIONS, attention_name, best_attention, cached_attention
from dlm_length.engine.ragged import Ragged, without_cudnn

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


@pytest.mark.parametrize("kind", ["grouped", "single", "padded"])
@pytest.mark.parametrize("lengths", [[5], [1, 1, 1], [3, 3, 7], [2, 9, 9, 9, 30], [70, 3]])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2)])
def test_no_token_sees_another_sample(kind: str, lengths: list[int], heads: int, kv_heads: int):
    query, key, value = inputs(lengths, heads, kv_heads)
    answer = ATTENTIONS[kind](lengths, CPU)(query, key, value, 0.3)
    torch.testing.assert_close(answer, by_hand(query, key, value, lengths, 0.3), atol=2e-6, rtol=1e-5)


def test_varlen_is_for_half_precision_on_recent_cuda_devices_alone(monkeypatch: pytest.MonkeyPatch):
    def model(device: str, dtype: torch.dtype, *, invariant: bool = False) -> SimpleNamespace:
        sizes = SimpleNamespace(heads=4, kv_width=16, head_size=8)
        return SimpleNamespace(device=torch.device(device), dtype=dtype, architecture=sizes, batch_invariant=invariant)

    capability, kernel = (9, 0), Ragged("a kernel", None)
    layouts: list[tuple] = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    monkeypatch.setattr(attention, "ragged_kernel", lambda *layout: (layouts.append(layout), kernel)[1])
    assert best_attention(model("cuda", torch.bfloat16)) == "varlen"
    assert layouts == [(torch.device("cuda"), torch.bfloat16, 4, 2, 8)]
    assert attention_name(model("cuda", torch.bfloat16), "varlen") == "varlen (a kernel)"
    assert best_attention(model("cuda", torch.float32)) == "grouped"
    assert best_attention(model("cpu", torch.bfloat16)) == "grouped"
    assert best_attention(model("cuda", torch.float32, invariant=True)) == "single"
    assert best_attention(model("cuda", torch.bfloat16, invariant=True)) == "varlen"
    capability = (7, 5)
    assert best_attention(model("cuda", torch.float16)) == "grouped"
    capability, kernel = (9, 0), None
    assert best_attention(model("cuda", torch.bfloat16)) == "grouped", "no kernel takes this layout"


def test_varlen_is_given_the_samples_bounds(monkeypatch: pytest.MonkeyPatch):
    """The CUDA kernel does not run here; what it is called with does."""
    called: list[object] = []

    def kernel(query, key, value, ends_q, ends_k, longest_q, longest_k, scale):
        called.extend([ends_q.tolist(), ends_q.dtype, ends_q is ends_k, longest_q, longest_k, scale])
        return query

    monkeypatch.setattr(attention, "ragged_kernel", lambda *_layout: Ragged("a kernel", kernel))
    query, key, value = inputs([2, 5, 3], 4, 2)
    assert ATTENTIONS["varlen"]([2, 5, 3], CPU)(query, key, value, 0.5) is query
    assert called == [[0, 2, 7, 10], torch.int32, True, 5, 5, 0.5]


def test_a_single_query_per_sample_selects_no_other_kernel(monkeypatch: pytest.MonkeyPatch):
    """Flash attention would divide the keys among more blocks the fewer samples there are, and round accordingly."""
    longest: list[int] = []

    def kernel(query, key, value, ends_q, ends_k, longest_q, longest_k, scale):
        longest.extend([longest_q, longest_k])
        return query

    monkeypatch.setattr(attention, "ragged_kernel", lambda *_layout: Ragged("a kernel", kernel))
    query, key, value = inputs([4, 3], 4, 2)
    attend = cached_attention("varlen", [1, 1], [4, 3], [None, None], CPU)
    attend(query[:2], torch.split(key, [4, 3]), torch.split(value, [4, 3]), 0.5)
    assert longest == [2, 4]


def test_cudnn_is_off_on_a_gpu_and_the_flags_are_restored():
    flags = torch.backends.cuda
    before = flags.cudnn_sdp_enabled(), flags.flash_sdp_enabled(), flags.mem_efficient_sdp_enabled()
    with without_cudnn(torch.device("cuda")):
        assert not flags.cudnn_sdp_enabled()
        assert flags.flash_sdp_enabled()
        assert flags.mem_efficient_sdp_enabled()
        assert flags.math_sdp_enabled()
    assert before == (flags.cudnn_sdp_enabled(), flags.flash_sdp_enabled(), flags.mem_efficient_sdp_enabled())
    with without_cudnn(CPU):
        assert flags.cudnn_sdp_enabled() == before[0]
