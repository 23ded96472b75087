"""Printing single lines on a console."""

from rich.console import Console

from dlm_length.common.printable import printable


def show_notice(console: Console, sentence: str) -> None:
    """Print a sentence for the user, given without its period."""
    console.print(printable(f"Note: {sentence}."), style="yellow", highlight=False, markup=False, soft_wrap=True)


def show_plain(console: Console, line: str) -> None:
    """Print a line as it is, for an output that is not a terminal."""
    console.print(printable(line), highlight=False, markup=False, soft_wrap=True)
