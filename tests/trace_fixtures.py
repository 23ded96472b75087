"""Frames and traces by hand, for tests of what is made of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlm_length.common import SpecialTokens
from dlm_length.denoising import LengthChange
from dlm_length.trace.record import Frame, Trace

MASK, EOS, EOT = 900, 901, 902


def frame(number: int, before: Sequence[int], after: Sequence[int], *changes: LengthChange, **fields: Any) -> Frame:
    """A forward whose probabilities are drawn by its number."""
    random = np.random.default_rng(number)
    given = {
        "forward": number,
        "probe": False,
        "queried": np.arange(min(2, len(before))),
        "before": np.array(before),
        "after": np.array(after),
        "token": random.integers(0, 3, len(before)),
        "confidence": random.random(len(before)),
        "eos": random.random(len(before)),
        "eot": random.random(len(before)) / 10,
        "changes": changes,
        "tokens": SpecialTokens(mask=MASK, eos=EOS, eot=EOT),
    }
    return Frame(**given | fields)


def trace(frames: Sequence[Frame], text: Callable[[int], str] = str, **fields: Any) -> Trace:
    """A trace of these frames in which no two numbers are the same."""
    given = {
        "experiment": "the experiment",
        "benchmark": "the benchmark",
        "model": "the model",
        "policy": {"name": "smartcrop", "tau": 0.85},
        "sample_id": "task/7",
        "prompt": "the prompt",
        "answer": "the answer",
        "prompt_length": 1011,
        "e_token": 1012,
        "nfe": 1013,
        "probe_nfe": 1014,
        "length_sum": 1015,
        "head_rows": 1016,
        "frames": frames,
        "text": text,
    }
    return Trace(**given | fields)
