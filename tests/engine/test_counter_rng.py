import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.engine.counter_rng import _mix, gumbel, position_keys, sample_key, uniform

CPU = torch.device("cpu")


def splitmix64(z: int) -> int:
    """The finaliser in Python's own integers."""
    wrap = (1 << 64) - 1
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & wrap
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & wrap
    return z ^ (z >> 31)


@given(st.integers(0, 2**64 - 1))
def test_mixing_is_splitmix64(z: int):
    assert int(_mix(np.uint64(z))) == splitmix64(z)


@given(st.integers(0, 2**64 - 1))
def test_torch_draws_what_the_definition_says(key: int):
    token = 5
    z = splitmix64((key + token * 0x9E3779B97F4A7C15 + 0) % 2**64)
    u = ((z >> 11) + 0.5) * 2.0**-53
    drawn = gumbel(np.array([key], dtype=np.uint64), token, CPU)[0, token - 1].item()
    assert drawn == pytest.approx(-np.log(-np.log(u)), rel=1e-12, abs=1e-12)


def test_addresses_do_not_collide_or_depend_on_their_neighbours():
    keys = np.concatenate(
        [
            position_keys(sample_key(seed, name), forward, np.arange(64))
            for seed in (0, 1)
            for name in ("a", "b")
            for forward in range(8)
        ]
    )
    assert len(np.unique(keys)) == len(keys)
    alone = position_keys(sample_key(0, "a"), 3, np.array([17]))
    assert alone[0] == position_keys(sample_key(0, "a"), 3, np.arange(64))[17]


def test_gumbel_noise_has_the_gumbel_distribution():
    keys = position_keys(sample_key(0, "x"), 0, np.arange(200))
    noise = gumbel(keys, 1000, CPU).numpy().ravel()
    n = noise.size
    assert np.isfinite(noise).all()
    assert abs(noise.mean() - np.euler_gamma) < 4 * np.sqrt(np.pi**2 / 6 / n)
    quantiles = np.quantile(noise, [0.05, 0.5, 0.95])
    np.testing.assert_allclose(quantiles, -np.log(-np.log([0.05, 0.5, 0.95])), atol=0.03)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 4 / np.sqrt(n)


def test_uniform_numbers_are_uniform_and_not_those_of_the_tokens():
    keys = position_keys(sample_key(3, "y"), 1, np.arange(20_000))
    u = uniform(keys)
    assert ((u >= 0) & (u < 1)).all()
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert chi_square < 43.8, "the 0.999 quantile of chi-square with 19 degrees of freedom"
    first_token = np.exp(-np.exp(-gumbel(keys, 1, CPU).numpy()[:, 0]))
    assert abs(np.corrcoef(u, first_token)[0, 1]) < 4 / np.sqrt(len(u))
