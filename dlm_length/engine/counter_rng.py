"""Counter-based random numbers: each is a function of (run seed, sample id, forward, position, token).

They depend neither on a sample's batch nor on the chunks of the vocabulary head, and are the same on every device. The
mixing function is splitmix64's finaliser (Steele, Lea, Flood 2014), applied to each part in turn.
"""

from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_length.engine.transfer import on_device

Keys = NDArray[np.uint64]

_WEYL = 0x9E3779B97F4A7C15
_MULTIPLY = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_UNIFORM = np.uint64(0x5851F42D4C957F2D)
"""Makes a position's uniform number differ from those of its tokens."""


def sample_key(seed: int, sample_id: str) -> int:
    """The 64-bit key of one sample's stream of random numbers."""
    digest = blake2b(sample_id.encode(), digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little")


def position_keys(key: int, forward: int, positions: NDArray[np.int64]) -> Keys:
    """Keys of canvas positions in one forward of a sample, (positions,). `key`: from `sample_key`."""
    with np.errstate(over="ignore"):
        step = _mix(np.uint64(key) + np.uint64(_WEYL) * np.uint64(forward + 1))
        return _mix(step + np.uint64(_WEYL) * (positions.astype(np.uint64) + np.uint64(1)))


def uniform(keys: Keys) -> NDArray[np.float64]:
    """One number in [0, 1) for each position, (positions,)."""
    return (_mix(keys ^ _UNIFORM) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def gumbel(keys: Keys, vocabulary: int, device: torch.device) -> Tensor:
    """Standard Gumbel noise for each position and token, (positions, vocabulary) float64."""
    rows = on_device(torch.from_numpy(keys.view(np.int64)), device)
    tokens = torch.arange(1, vocabulary + 1, device=device) * _signed(_WEYL)
    z = rows[:, None] + tokens
    for shift, factor in zip((30, 27), _MULTIPLY, strict=True):
        z.bitwise_xor_(_shifted(z, shift)).mul_(_signed(factor))
    z.bitwise_xor_(_shifted(z, 31))
    u = _shifted(z, 11).double().add_(0.5).mul_(2.0**-53)  # never 0 or 1, so that both logarithms are finite
    return u.log_().neg_().log_().neg_()


def _mix(z: NDArray[np.uint64] | np.uint64) -> Keys:
    z = np.asarray(z, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for shift, factor in zip((30, 27), _MULTIPLY, strict=True):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        return z ^ (z >> np.uint64(31))


def _signed(bits: int) -> int:
    """The int64 with the bits of an unsigned number: torch multiplies int64 modulo 2^64."""
    return bits - (1 << 64) if bits >= 1 << 63 else bits


def _shifted(z: Tensor, by: int) -> Tensor:
    """Logical right shift of int64; torch's own keeps the sign."""
    return (z >> by).bitwise_and_((1 << (64 - by)) - 1)
