"""The value of an option that is refused is named, whichever command has the option."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("run", "tiny_gsm8k_fixed", "--limit", "0"), "0"),
        (("run", "tiny_gsm8k_fixed", "--limit=-3"), "-3"),
        (("run", "tiny_gsm8k_fixed", "--limit", "abc"), "abc"),
        (("run", "tiny_gsm8k_fixed", "--limit", "1.5"), "1.5"),
        (("sweep", "tiny_gsm8k_fixed", "--limit", "1e3"), "1e3"),
        (("run", "tiny_gsm8k_fixed", "--time-alone", "--timed-samples", "0"), "0"),
    ],
)
def test_a_refused_value_is_named_with_its_option(
    dlmlen: Callable[..., tuple[int | str | None, str, str]], arguments: tuple[str, ...], value: str
) -> None:
    code, out, errors = dlmlen(*arguments)
    assert (code, out) == (2, "")
    words = " ".join(errors.replace("\u2502", " ").split())
    assert "Invalid value for '--" in words
    assert f"found '{value}'" in words
