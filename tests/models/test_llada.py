"""LLaDA's network on transformers' Llama: the reference implementation's logits, whatever the checkpoint's layout."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dlm_length.engine.attention import ATTENTIONS
from dlm_length.models import MaskPredictor, load_model

GOLDEN = Path(__file__).parents[1] / "golden" / "logits.safetensors"
IDS = [2, 352, 297, 262, 515, 34, 0, 0, 0, 0, 0]


@pytest.fixture(scope="module")
def golden() -> list[tuple[Tensor, Tensor]]:
    """(token ids, the reference implementation's logits), see tests/golden/README.md."""
    stored = load_file(GOLDEN)
    return [(stored[f"ids_{k}"].long(), stored[f"logits_{k}"]) for k in range(5)]


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Within a few roundings of the largest logit: the order of summation depends on the processor."""
    ulp = torch.finfo(torch.float32).eps * expected.abs().max()
    torch.testing.assert_close(found, expected, atol=16 * float(ulp), rtol=0)


def test_each_sequence_alone_gives_the_reference_logits(
    tiny_model: MaskPredictor, golden: list[tuple[Tensor, Tensor]]
) -> None:
    for ids, expected in golden:
        attend = ATTENTIONS["grouped"]([len(ids)], tiny_model.device)
        found = tiny_model.logits(tiny_model.hidden(ids, torch.arange(len(ids)), attend))
        assert found.dtype == torch.float32
        assert_close(found, expected)


def test_concatenated_sequences_do_not_see_each_other(
    tiny_model: MaskPredictor, golden: list[tuple[Tensor, Tensor]]
) -> None:
    lengths = [len(ids) for ids, _ in golden]
    together, positions = torch.cat([ids for ids, _ in golden]), torch.cat([torch.arange(n) for n in lengths])
    attend = ATTENTIONS["grouped"](lengths, tiny_model.device)
    found = tiny_model.logits(tiny_model.hidden(together, positions, attend))
    for logits, (_, expected) in zip(found.split(lengths), golden, strict=True):
        assert_close(logits, expected)


def test_attention_is_bidirectional(
    tiny_model: MaskPredictor, logits: Callable[[MaskPredictor, list[int]], Tensor]
) -> None:
    changed = [*IDS[:-1], 515]
    assert not torch.allclose(logits(tiny_model, IDS)[0], logits(tiny_model, changed)[0], atol=1e-3)


def loaded(folder: Path) -> MaskPredictor:
    return load_model(str(folder), device="cpu")


def weights(model: MaskPredictor) -> dict[str, Tensor]:
    return {**model.backbone.state_dict(), "head": model.head_weight}


@pytest.mark.parametrize("shards", [2, 5])
def test_a_sharded_checkpoint_loads_to_the_same_weights(write_checkpoint: Callable[..., Path], shards: int) -> None:
    single, sharded = weights(loaded(write_checkpoint())), weights(loaded(write_checkpoint(shards=shards)))
    assert single.keys() == sharded.keys()
    assert all(torch.equal(single[name], sharded[name]) for name in single)


def test_every_weight_of_the_checkpoint_takes_part(
    write_checkpoint: Callable[..., Path], logits: Callable[[MaskPredictor, list[int]], Tensor]
) -> None:
    """Each weight is changed in turn: a change without effect is an unused weight, two equal effects a confused one."""
    seen = [logits(loaded(write_checkpoint()), IDS)]
    for place, name in enumerate(load_file(write_checkpoint() / "model.safetensors")):

        def disturb(stored: dict[str, Tensor], name: str = name, seed: int = place) -> None:
            stored[name] += torch.randn(stored[name].shape, generator=torch.Generator().manual_seed(seed))

        seen.append(logits(loaded(write_checkpoint(edit=disturb)), IDS))
    assert all(torch.isfinite(found).all() for found in seen)
    assert not any(torch.allclose(one, other, atol=1e-3) for one, other in combinations(seen, 2))


def test_grouped_queries_are_heads_that_share_keys_and_values(
    write_checkpoint: Callable[..., Path], logits: Callable[[MaskPredictor, list[int]], Tensor]
) -> None:
    """The same network written out with every key/value head repeated for each query head that reads it."""
    few = write_checkpoint(config={"n_kv_heads": 2})
    grouped = loaded(few)
    stored = load_file(few / "model.safetensors")

    def spell_out(weights: dict[str, Tensor]) -> None:
        for name, weight in stored.items():
            repeated = weight
            if "k_proj" in name or "v_proj" in name:
                repeated = weight.view(2, 8, -1).repeat_interleave(2, dim=0).reshape(32, -1)
            weights[name] = repeated.contiguous()

    plain = loaded(write_checkpoint(edit=spell_out))
    assert (grouped.architecture.kv_width, plain.architecture.kv_width) == (16, 32)
    torch.testing.assert_close(logits(grouped, IDS), logits(plain, IDS), atol=1e-4, rtol=1e-5)
    attend = ATTENTIONS["grouped"]([len(IDS)], grouped.device)
    by_sdpa = grouped.logits(grouped.hidden(torch.tensor(IDS), torch.arange(len(IDS)), attend))
    torch.testing.assert_close(by_sdpa, logits(plain, IDS), atol=1e-4, rtol=1e-5)


def test_tied_weights_use_the_embedding_as_the_head(
    write_checkpoint: Callable[..., Path], logits: Callable[[MaskPredictor, list[int]], Tensor]
) -> None:
    folder = write_checkpoint(config={"weight_tying": True})
    tied, stored = loaded(folder), load_file(folder / "model.safetensors")
    assert "model.transformer.ff_out.weight" not in stored
    assert torch.equal(tied.head_weight, stored["model.transformer.wte.weight"])

    def untie(weights: dict[str, Tensor]) -> None:
        weights.update(stored)
        weights["model.transformer.ff_out.weight"] = stored["model.transformer.wte.weight"].clone()

    torch.testing.assert_close(logits(tied, IDS), logits(loaded(write_checkpoint(edit=untie)), IDS))
    assert tied.architecture.parameters == loaded(write_checkpoint()).architecture.parameters - 768 * 32


def test_weights_are_converted_to_the_requested_dtype(write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint()
    half = load_model(str(folder), device="cpu", dtype="bfloat16")
    assert half.dtype == torch.bfloat16
    assert {weight.dtype for weight in weights(half).values()} == {torch.bfloat16}
    states = half.hidden(torch.tensor(IDS), torch.arange(len(IDS)), ATTENTIONS["padded"]([len(IDS)], half.device))
    assert states.dtype == torch.bfloat16
