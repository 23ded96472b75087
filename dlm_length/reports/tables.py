"""Tables as data: whoever prints them decides how."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Text cells, with a header for every column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


NOTHING = "-"
"""A cell without a value."""
TOKEN_COUNTS = (
    "e_token: canvas tokens that are neither EOS nor EOT; n_token: final canvas. E_ratio: sum e_token / sum n_token."
)
"""What these columns are."""


def number(value: float | None, digits: int = 1) -> str:
    """A cell with a fixed number of decimals."""
    return NOTHING if value is None or value != value else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A cell with a share as a percentage."""
    return NOTHING if value is None or value != value else f"{100 * value:.{digits}f}%"


def flops(value: float) -> str:
    """FLOPs with the unit that keeps three digits in front."""
    for exponent, unit in ((18, "EFLOPs"), (15, "PFLOPs"), (12, "TFLOPs"), (9, "GFLOPs")):
        if value >= 0.9995 * 10**exponent:  # what rounds to 1,000 of the smaller unit is 1 of this one
            return f"{value / 10**exponent:.3g} {unit}"
    return f"{value / 1e6:.3g} MFLOPs"


def duration(seconds: float, digits: int = 1) -> str:
    """Seconds with so many decimals, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:.{digits}f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
