"""`dlmlen calibrate`: the value of a knob that saves most at a certified loss."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import echo
from dlm_length.cli.options import TABLE_FORMATS, TableFormat, choose
from dlm_length.common import ConfigError, UserError

if TYPE_CHECKING:
    from dlm_length.analysis.calibrated import Calibrated


def calibrate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUNS",
            help="Folders with finished runs at or below them: one policy with several values of one knob, and the"
            " fixed canvas, on the same samples.",
        ),
    ],
    risk: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="The expected loss of the score against the fixed canvas; 0.02 by default."),
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(metavar="SHARE", help="That it is no larger; 0.95 by default.")
    ] = None,
    knob: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The policy's field, where several vary: tau, delta, ...")
    ] = None,
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="The policy, where there are several.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="RUN|LABEL", help="The fixed canvas, where there are several.")
    ] = None,
    calibration_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Of the problems; the others are held out. 1: none are.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the split, which is by a hash of the problem's id.")] = 0,
    held_out: Annotated[
        Path | None,
        typer.Option(metavar="RUNS", help="The same sweep on other samples: these are held out, and none of RUNS."),
    ] = None,
    score_range: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Of scores that are not from 0 to 1.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the chosen config, for `dlmlen run --config`."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="terminal, markdown, csv, latex or json.")
    ] = "terminal",
) -> None:
    """Choose the value of a knob that saves most, with a certificate of how little is lost against the fixed canvas.

    Leaves with 1 where nothing is certified.
    """
    from dlm_length.analysis.calibrated import Split, calibrate_sweep, find_sweep
    from dlm_length.analysis.sections import collect
    from dlm_length.reports.calibration import certified_config, verdict
    from dlm_length.stats import CONFIDENCE, RISK, check_risk

    wanted = choose("--format", form, TABLE_FORMATS)
    low, high = (0.0, 1.0) if score_range is None else _range(score_range)
    risk, confidence = RISK if risk is None else risk, CONFIDENCE if confidence is None else confidence
    check_risk(risk, confidence)
    sweep = find_sweep(collect(runs, baseline=baseline), policy=policy, knob=knob)
    others = None
    if held_out is not None:
        found = collect([held_out])
        others = find_sweep(found, policy=sweep.series.policy, knob=sweep.series.field)
    split = Split(calibration_share, seed)
    calibrated = calibrate_sweep(
        sweep, risk=risk, confidence=confidence, split=split, held_out=others, low=low, high=high
    )
    written = None
    if output is not None and (config := certified_config(calibrated)) is not None:
        _write(output, config)
        written = output
    _show(calibrated, wanted)
    if wanted != "json":
        echo(verdict(calibrated), err=wanted != "terminal")
    if written is not None:
        echo(f"Config: {written} (dlmlen run --config {written})", err=wanted != "terminal")
    if calibrated.chosen is None:
        raise typer.Exit(1)


def _show(calibrated: "Calibrated", form: TableFormat) -> None:
    from dlm_length.cli.display import show_tables
    from dlm_length.reports.calibration import as_data, calibration_sheet

    if form == "json":
        typer.echo(json.dumps(as_data(calibrated)))
    else:
        show_tables([calibration_sheet(calibrated)], form)


def _write(file: Path, config: str) -> None:
    """Raises UserError where another file is there, RecordError where none can be written."""
    from dlm_length.records import write_atomically

    if file.is_file():
        if file.read_bytes() == config.encode():
            return
        raise UserError(f"--output {file}: is there already, with other content, and is left as it is; name another.")
    if not file.parent.is_dir():
        raise UserError(f"--output {file}: there is no folder {file.parent}.")
    write_atomically(file, config)


def _range(given: str) -> tuple[float, float]:
    try:
        low, high = map(float, given.split(","))
    except ValueError:
        raise ConfigError(
            f"--score-range {given}: found {given!r}; allowed: two numbers, the lower first: 0,100."
        ) from None
    return low, high
