"""Which box of an answer counts."""

import pytest

from dlm_length.benchmarks._latex import last_boxed


@pytest.mark.parametrize("symbol", [r"\pi{}", r"\infty{}", r"\emptyset{}", r"\alpha{}"])
def test_a_symbol_without_an_argument_is_content(symbol: str) -> None:
    assert last_boxed(rf"First \boxed{{7}}, then \boxed{{{symbol}}}.") == symbol


@pytest.mark.parametrize("nothing", [r"\text{}", r"\frac{}{}", r"\sqrt{ }", r"\mathbf{}", r"\boldsymbol{}"])
def test_a_command_whose_argument_is_missing_is_none(nothing: str) -> None:
    assert last_boxed(rf"First \boxed{{7}}, then \boxed{{{nothing}}}.") == "7"
