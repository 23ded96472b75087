"""Looks of policies: distinguishable in every colour vision, and the same in every figure."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from dlm_length.analysis.declarations import declared
from dlm_length.policies import policies
from dlm_length.reports.figures.drawing import in_lines, legible_on, looks, shown

SEEN_BY = {
    "most": np.eye(3),
    # Machado, Oliveira and Fernandes 2009, severity 1.0: of linear RGB.
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
APART = 20.0
"""In CIELAB (delta E, 1976), where about 2.3 is just noticeable."""


def linear(colour: str) -> NDArray[np.float64]:
    srgb = np.array(to_rgb(colour))
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lab(linear_rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB under D65."""
    to_xyz = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07217], [0.01933, 0.11919, 0.9503]])
    scaled = to_xyz @ linear_rgb / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(scaled > 216 / 24389, np.cbrt(scaled), (24389 / 27 * scaled + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(first: str, second: str, seen: NDArray[np.float64]) -> float:
    one, other = (lab(np.clip(seen @ linear(colour), 0, 1)) for colour in (first, second))
    return float(np.linalg.norm(one - other))


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_colours_of_policies_are_far_apart_in_every_eye(eyes: str) -> None:
    placed = {name: look for name, look in looks(policies()).items() if declared(name).palette_place is not None}
    assert len(placed) > 8
    for (one, own), (other, theirs) in combinations(placed.items(), 2):
        if declared(one).variant_of == other or declared(other).variant_of == one:
            assert own.colour == theirs.colour
            assert own.filled != theirs.filled
        else:
            assert distance(own.colour, theirs.colour, SEEN_BY[eyes]) > APART, (one, other)


def test_the_measure_of_colours_is_that_of_cielab() -> None:
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)  # Lindbloom's calculator
    assert distance("#000000", "#ffffff", SEEN_BY["most"]) == pytest.approx(100, abs=0.01)
    assert distance("#ff0000", "#00aa00", SEEN_BY["deuteranopes"]) < distance("#ff0000", "#00aa00", SEEN_BY["most"]) / 2


def test_every_colour_stands_out_from_white_paper() -> None:
    for name, look in looks(policies()).items():
        luminance = float(np.array([0.2126, 0.7152, 0.0722]) @ linear(look.colour))
        assert 1.05 / (luminance + 0.05) > 2, name


def test_policies_of_the_package_have_a_marker_each() -> None:
    drawn = looks(policies())
    assert len({look.marker for look in drawn.values()}) == len(drawn)
    assert [look.filled for look in looks(["fixed", "daedal", "random_length"]).values()] == [True, True, False]


def test_a_policy_looks_the_same_whoever_else_is_drawn() -> None:
    every = looks(policies())
    placed = [name for name in every if declared(name).palette_place is not None]
    assert all(looks([name])[name] == every[name] for name in placed)


def test_shades_of_a_series_end_in_the_policys_colour() -> None:
    look = looks(["daedal"])["daedal"]
    *light, last = look.shades(4)
    assert last == look.colour.lower()
    luminance = [sum(to_rgb(shade)) for shade in (*light, last)]
    assert luminance == sorted(luminance, reverse=True)
    assert look.shades(1) == [look.colour.lower()]


def test_numbers_in_cells_stand_out_and_are_never_the_pages_colour() -> None:
    assert legible_on((0.0, 0.1, 0.3, 1.0)) == "#ffffff"
    assert legible_on((1.0, 0.9, 0.2, 1.0)) == "#111111"


def test_texts_are_one_line_of_known_characters() -> None:
    assert shown("a  b\nc") == "a b c"
    assert shown("abcdef", 4) == "abc…"
    assert shown("語 é τ\x01") == "\N{REPLACEMENT CHARACTER} é τ\N{REPLACEMENT CHARACTER}"
    assert in_lines("SmartCrop 256, τ = 0.9, no threshold", 24) == "SmartCrop 256, τ = 0.9,\nno threshold"
    assert in_lines("word " * 20, 10) == "word word\nword word…"
