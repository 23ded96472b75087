"""The Triton kernels in Triton's interpreter, on a CPU. It must be chosen before the kernels are imported."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")

PROGRAM = """
import torch
from torch.testing import assert_close

from dlm_length.models import _kernels
from dlm_length.models.fused import _TORCH

torch.manual_seed(0)
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    eps = 8 * torch.finfo(dtype).eps  # the interpreter truncates to bfloat16

    def drawn(*shape):
        return torch.randn(*shape).to(dtype)

    x, residual, weight, qkv, angle = drawn(9, 96), drawn(9, 96), drawn(96), drawn(9, 96), torch.randn(9, 8)
    one, other = residual.clone(), residual.clone()
    found, expected = (k.add_rms_norm(x, r, weight, 1e-5) for k, r in ((_kernels, one), (_TORCH, other)))
    assert_close(found, expected, atol=4 * eps, rtol=eps)
    assert_close(one, other, atol=0, rtol=eps)
    assert_close(_kernels.add_rms_norm(x, None, weight, 1e-5), _TORCH.add_rms_norm(x, None, weight, 1e-5),
                 atol=4 * eps, rtol=eps)
    one, other = qkv.clone(), qkv.clone()
    _kernels.rotate_(one, angle.cos(), angle.sin(), 5)
    _TORCH.rotate_(other, angle.cos(), angle.sin(), 5)
    assert_close(one, other, atol=eps, rtol=eps)
    assert torch.equal(one[:, 80:], qkv[:, 80:]), "the sixth head is not rotated"
    assert_close(_kernels.silu_mul(qkv), _TORCH.silu_mul(qkv), atol=eps, rtol=eps)

    logits = (torch.randn(5, 9000) * 4).to(dtype)
    logits[:, 17] = -torch.inf
    logits[3, 5], logits[4] = torch.inf, torch.nan
    token, highest, others, second, weighted = _kernels.row_statistics(logits, more=True)
    total = 1 + others
    p = logits[:3].double().softmax(-1)
    assert torch.equal(token[:3], logits[:3].float().argmax(-1))
    assert ((token >= 0) & (token < 9000)).all(), "an index that gather takes, whatever the logits are"
    assert total.isnan().tolist() == [False] * 3 + [True] * 2
    best, next_best = p.topk(2).values.unbind(-1)
    gap = ((1 - (second - highest).exp()) / total).double()[:3]
    assert_close(gap, best - next_best, rtol=1e-5, atol=1e-7)
    entropy = (total.log() - weighted / total).double()[:3]
    assert_close(entropy, torch.special.entr(p).sum(-1), rtol=1e-4, atol=1e-5)
    assert all(len(values) == 0 for values in _kernels.row_statistics(logits[:0], more=False))
"""


def test_the_kernels_compute_what_torch_does() -> None:
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
