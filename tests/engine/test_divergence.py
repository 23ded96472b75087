"""Divergence between the predictions of two forwards of a sample."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from dlm_length import Engine, MaskPredictor
from dlm_length.common import SpecialTokens
from dlm_length.denoising import Canvas, DenoiseCoroutine, FollowUp, Query, Stat, StatSpec
from dlm_length.engine.counter_rng import position_keys, sample_key
from dlm_length.engine.head import statistics

TOKENS = SpecialTokens(mask=0, eos=3, eot=5)


def divergence(p: torch.Tensor, q: torch.Tensor, head: StatSpec, chunk_bytes: int = 10**9) -> np.ndarray:
    """Of rows of logits: the head is the identity."""
    rows = torch.arange(len(p))
    keys = position_keys(sample_key(0, "s"), 1, np.arange(len(p)))
    pending = statistics(
        torch.clone, p, rows, head, TOKENS, keys, vocabulary=p.shape[1], chunk_bytes=chunk_bytes, against=q
    )
    return pending.answer().divergence


def random_pair(rows: int, vocabulary: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.randn(2, rows, vocabulary, generator=torch.Generator().manual_seed(rows)) * 3
    return drawn[0], drawn[1]


@pytest.mark.parametrize("suppress", [(), (3, 5)])
def test_it_is_the_squared_distance_of_scipy(suppress: tuple[int, ...]):
    p, q = random_pair(23)
    found = divergence(p, q, StatSpec(Stat.DIVERGENCE, suppress=suppress))
    wide = [one.double().numpy().copy() for one in (p, q)]
    for one in wide:
        one[:, list(suppress)] = -np.inf
    a, b = (np.exp(one - one.max(-1, keepdims=True)) for one in wide)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, jensenshannon(a, b, axis=1) ** 2, rtol=1e-9)


def test_equal_distributions_differ_by_nothing_and_disjoint_ones_by_the_logarithm_of_two():
    p, _ = random_pair(4)
    head = StatSpec(Stat.DIVERGENCE)
    assert divergence(p, p + 5, head).max() < 1e-12, "an offset of all logits changes no softmax"
    assert divergence(p, p.clone(), head).tolist() == [0.0] * 4
    far = torch.full((2, 40), -torch.inf)
    far[0, 1] = far[1, 2] = 0
    np.testing.assert_allclose(divergence(far, far.flip(0), head), np.log(2), rtol=1e-12)


def test_chunks_and_other_rows_change_no_bit():
    """A chunk of a single row included, whose sum torch would take in another order."""
    p, q = random_pair(37, 50_000)
    head = StatSpec(Stat.DIVERGENCE)
    whole = divergence(p, q, head)
    assert divergence(p, q, head, chunk_bytes=1).tobytes() == whole.tobytes()
    for row in (0, 17, 36):
        assert divergence(p[row : row + 1], q[row : row + 1], head).tobytes() == whole[row : row + 1].tobytes()


def test_no_row_has_no_divergence():
    p, q = random_pair(0)
    assert divergence(p, q, StatSpec(Stat.DIVERGENCE)).shape == (0,)


class Compared:
    """Two forwards, the second over a longer canvas, and the divergence of some positions by the engine and by hand."""

    def __init__(self, model: MaskPredictor, length: int, keep: list[int]) -> None:
        self.model, self.length, self.keep = model, length, np.array(keep, dtype=np.int64)
        self.found = np.empty(0)

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length)
        yield Query(canvas, canvas.all, StatSpec(Stat.TOKEN), keep_hidden=self.keep)
        canvas.insert_masks(2, 3)
        moved = self.keep + 3 * (self.keep >= 2)
        self.found = (yield Query(canvas, moved, StatSpec(Stat.DIVERGENCE), probe=True)).divergence
        again = (yield FollowUp(moved, StatSpec(Stat.DIVERGENCE))).divergence
        assert again.tobytes() == self.found.tobytes(), "what was kept stays until the next forward"
        canvas.commit(canvas.all, np.full(len(canvas), 7))


@torch.inference_mode()
def softmax(model: MaskPredictor, prompt: list[int], length: int) -> np.ndarray:
    from dlm_length.engine.attention import ATTENTIONS

    ids = torch.tensor(prompt + [model.tokens.mask] * length)
    hidden = model.hidden(ids, torch.arange(len(ids)), ATTENTIONS["padded"]([len(ids)], torch.device("cpu")))
    return model.logits(hidden)[len(prompt) :].double().softmax(-1).numpy()


def test_each_sample_is_compared_with_its_own_forward_whatever_shares_it(tiny_model: MaskPredictor):
    prompts = [[2, 5, 6, 3], [2, 30, 40, 50, 60, 3], [2, 5, 6, 3]]
    wanted = [(6, [0, 1, 4, 5]), (9, [2, 8]), (6, [3])]
    alone = []
    for prompt, (length, keep) in zip(prompts, wanted, strict=True):
        one = Compared(tiny_model, length, keep)
        (generation,) = Engine(tiny_model, 1).generate([prompt], one)
        assert generation.ledger.probe.head_rows == 2 * 2 * len(keep), "two rows per position, queried twice"
        p, q = softmax(tiny_model, prompt, length), softmax(tiny_model, prompt, length + 3)
        moved = [j + 3 * (j >= 2) for j in keep]
        np.testing.assert_allclose(one.found, jensenshannon(p[keep], q[moved], axis=1) ** 2, rtol=1e-4, atol=1e-9)
        alone.append(one.found.tobytes())
    together = [Compared(tiny_model, length, keep) for length, keep in wanted]
    list(Engine(tiny_model, 500).generate(prompts, together))
    assert [one.found.tobytes() for one in together] == alone


def test_arms_that_share_a_forward_keep_what_each_queried(tiny_model: MaskPredictor):
    arms = [Compared(tiny_model, 6, keep) for keep in ([0, 1], [5], [1, 3, 4])]
    list(Engine(tiny_model).generate_arms([[2, 5, 6, 3]], [arms], ["a"]))
    for arm in arms:
        alone = Compared(tiny_model, 6, arm.keep.tolist())
        list(Engine(tiny_model).generate([[2, 5, 6, 3]], alone, sample_ids=["a"]))
        assert arm.found.tobytes() == alone.found.tobytes()
