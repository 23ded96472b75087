"""The saving that counts: against the fixed canvas that is left at its end token."""

from dlm_length.reports.table import Column

COLUMN = Column("FLOPs saved vs early stop (%)", higher_is_better=True)
"""With p beside it, as CSV has it."""


def early_stop_note(label: str, tests: int, where: str = "") -> str:
    """What the column is against; `where`: the section, where there are several."""
    return (
        f"FLOPs saved vs early stop{f' in {where}' if where else ''}: against {label}, the same canvas left at its end"
        " token: what a length policy saves beyond a stop rule. Stars as those of FLOPs saved, in a family of its own"
        f" ({tests:,} test{'s' * (tests != 1)})."
    )
