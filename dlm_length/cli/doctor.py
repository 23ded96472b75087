"""`dlmlen doctor`: what of this machine works."""

from pathlib import Path

import typer


def doctor() -> None:
    """Look at the machine: devices, the model that ships, the sandbox, LaTeX, room for records."""
    from dlm_length.cli.display import show_table
    from dlm_length.reports.table import text_table
    from dlm_length.runner.doctor import examine

    findings = list(examine(Path("results")))
    rows = tuple((finding.what, finding.state, finding.told) for finding in findings)
    show_table(text_table("machine", "This machine", ("what", "state", "found"), rows))
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
