"""Fields of a checkpoint's config.json, each checked as it is read. Does not import torch."""

import math
from collections.abc import Mapping
from typing import Any

LARGEST = 2**31 - 1
"""Largest size accepted: above any real tensor dimension, and no product of sizes overflows a float."""


class ConfigFields:
    """Reads the sizes and switches of a config.json. A field that is null counts as absent.

    Every method raises KeyError for a field that is absent and has no default, ValueError for a value of the wrong kind
    or out of range. The messages name the field, the value and what is allowed.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def size(self, field: str, default: int | None = None) -> int:
        """An integer from 1 to LARGEST."""
        value = self._value(field, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST:
            raise ValueError(_refusal(field, value, f"an integer from 1 to {LARGEST}"))
        return value

    def count(self, field: str, default: int | None = None) -> int:
        """An integer from 0 to LARGEST."""
        value = self._value(field, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
            raise ValueError(_refusal(field, value, f"an integer from 0 to {LARGEST}"))
        return value

    def positive(self, field: str, default: float | None = None) -> float:
        """A finite number above 0."""
        value = self._value(field, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(_refusal(field, value, "a finite number above 0"))
        return float(value)

    def switch(self, field: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._value(field, default)
        if not isinstance(value, bool):
            raise ValueError(_refusal(field, value, "true or false, without quotes"))
        return value

    def _value(self, field: str, default: Any) -> Any:
        value = self._config.get(field)
        if value is not None:
            return value
        if default is None:
            raise KeyError(field)
        return default


def _refusal(field: str, value: object, allowed: str) -> str:
    quotes = ", a number in quotes" if isinstance(value, str) and _is_number(value) else ""
    return f"{field} is {shortened(value)}{quotes}; allowed: {allowed}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shortened(value: object) -> str:
    """`repr(value)`, shortened to 80 characters for an error message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."
