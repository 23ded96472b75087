"""`dlmlen export`: runs in the formats of other programs, and on the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

import typer

from dlm_length.cli.echo import announce, echo
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.option_values import choose
from dlm_length.cli.path_checks import check_folders, check_runs
from dlm_length.common import ConfigError, counted


@on_interrupt("the records are as they were; the same command, with --overwrite, exports again.")
def export(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Runs' folders, or folders with finished runs in them.", show_default=False),
    ],
    to: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="parquet, csv, inspect (inspect_ai's log) or lm-eval.", show_default=False),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH", help="Where to: a folder, or for parquet, csv and one run's inspect log also a file."
        ),
    ] = Path("export"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    push_to_hub: Annotated[
        str | None,
        typer.Option(
            metavar="REPO", help="Upload the records to this data set on the Hugging Face hub.", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Upload this report as well.", show_default=False),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Make the repository public; private by default.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be uploaded, and upload nothing.")
    ] = False,
) -> None:
    """Write finished runs for other programs, or upload them; the records stay as they are."""
    if to is None and push_to_hub is None:
        raise ConfigError(
            "export: no target is given; allowed: --to parquet, csv, inspect or lm-eval, or --push-to-hub REPO."
        )
    if push_to_hub is None and (report is not None or public or dry_run):
        raise ConfigError("export: --report, --public and --dry-run need --push-to-hub REPO.")
    if to is not None and dry_run:
        raise ConfigError("export: --dry-run is for --push-to-hub alone; leave --to out.")
    announce("reading the runs")
    check_runs("run", *runs)
    check_folders("--report", report)
    if to is not None:
        from dlm_length.export import FORMATS, export_runs

        for file in export_runs(runs, choose("--to", to, FORMATS), out, overwrite=overwrite):
            echo(f"Exported: {file}")
    if push_to_hub is not None:
        _push(push_to_hub, runs, report, public=public, dry_run=dry_run)


def _push(repo: str, runs: list[Path], report: Path | None, *, public: bool, dry_run: bool) -> None:
    from dlm_length.export import plan_upload, upload

    plan = plan_upload(repo, runs, report=report, public=public)
    files = plan.files
    for name, size in files if dry_run else ():
        echo(f"{size:>12,}  {name}")
    total = sum(size for _, size in files)
    readers = "public" if public else "private"
    verb = "Would upload" if dry_run else "Uploading"
    echo(f"{verb} {counted(len(files), 'file')}, {counted(total, 'byte')}, to the {readers} data set {repo}.")
    if not dry_run:
        echo(f"Uploaded: {upload(plan)}")
