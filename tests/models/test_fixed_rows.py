"""The batch-invariant mode: a row's rounding depends on that row alone."""

import pytest
import torch
from torch.nn import functional

from dlm_length.engine.attention import ATTENTIONS
from dlm_length.models import CheckpointError, fixed_rows, load_model
from dlm_length.models.fixed_rows import ROWS, FixedRowsLinear, fixed_rows_linear

SIZE = ROWS["cpu"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("biased", [False, True])
def test_a_row_is_the_same_to_the_bit_in_every_product(dtype: torch.dtype, biased: bool):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3 * SIZE + 5, 48, generator=generator).to(dtype)
    weight = torch.randn(72, 48, generator=generator).to(dtype)
    bias = torch.randn(72, generator=generator).to(dtype) if biased else None
    whole = fixed_rows_linear(x, weight, bias)
    torch.testing.assert_close(whole, functional.linear(x, weight, bias))
    for start, count in ((0, 1), (7, SIZE), (3, SIZE + 1), (SIZE - 1, 2 * SIZE + 6), (3 * SIZE + 4, 1)):
        part = fixed_rows_linear(x[start : start + count], weight, bias)
        assert torch.equal(part, whole[start : start + count])


def test_no_rows_and_more_dimensions():
    weight = torch.randn(5, 3)
    assert fixed_rows_linear(torch.empty(0, 3), weight).shape == (0, 5)
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(fixed_rows_linear(x, weight), functional.linear(x, weight))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("mates", [[], [3], [40, 9, 40], [200, 1, 57]])
def test_hidden_states_are_equal_to_the_bit_whatever_the_batch(dtype: str, mates: list[int]):
    model = load_model("embedded:llada-tiny", device="cpu", dtype=dtype, batch_invariant=True)
    assert model.batch_invariant
    assert any(isinstance(module, FixedRowsLinear) for module in model.backbone.modules())
    generator = torch.Generator().manual_seed(0)
    samples = [torch.randint(4, 768, (length,), generator=generator) for length in (37, *mates)]

    def logits(chosen: list[torch.Tensor]) -> torch.Tensor:
        sizes = [len(ids) for ids in chosen]
        positions = torch.cat([torch.arange(size) for size in sizes])
        attend = ATTENTIONS["grouped"](sizes, torch.device("cpu"))
        return model.logits(model.hidden(torch.cat(chosen), positions, attend))[:37]

    assert torch.equal(logits(samples), logits(samples[:1]))


def test_every_product_has_the_same_number_of_rows(monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    product = fixed_rows._product
    monkeypatch.setattr(fixed_rows, "_product", lambda rows, *rest: (seen.append(len(rows)), product(rows, *rest))[1])
    model = load_model("embedded:llada-tiny", device="cpu", dtype="bfloat16", batch_invariant=True)
    lengths = [37, 90]
    positions = torch.cat([torch.arange(length) for length in lengths])
    states = model.hidden(torch.full((127,), 5), positions, ATTENTIONS["single"](lengths, torch.device("cpu")))
    model.logits(states[:9])
    assert set(seen) == {SIZE}
    assert len(seen) == 7 * 4 * 2 + 1, "seven linear layers in each of four blocks, two products each, and the head"


def test_compiled_code_is_refused():
    with pytest.raises(CheckpointError, match="compiled and batch_invariant exclude each other"):
        load_model("embedded:llada-tiny", device="cpu", compiled=True, batch_invariant=True)
