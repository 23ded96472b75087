"""`dlmlen calibrate`: the value of a parameter that saves most at a certified loss."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.completion import complete_policy
from dlm_length.cli.echo import announce, echo, echo_prose
from dlm_length.cli.option_values import TableFormat, choose_table_format
from dlm_length.cli.options import JsonOption, TableFormatOption
from dlm_length.cli.path_checks import check_runs, check_target
from dlm_length.common import ConfigError

if TYPE_CHECKING:
    from dlm_length.analysis.calibrated import Calibrated, Sweep


def calibrate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Folders that hold finished runs: one policy with several values of one parameter, and the fixed"
            " canvas, on the same samples.",
        ),
    ],
    risk: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Largest expected loss of score against the fixed canvas; 0.02 by default."),
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Probability that the loss is no larger; 0.95 by default.")
    ] = None,
    knob: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The policy's parameter, where several vary: tau, delta, ...")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The policy, where there are several.", autocompletion=complete_policy),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="RUN|LABEL", help="The fixed canvas, where there are several.")
    ] = None,
    calibration_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Share of the problems to calibrate on; the others are held out. 1: none are."
        ),
    ] = 0.5,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of the split, which is by a hash of the problem's id.")
    ] = 0,
    held_out: Annotated[
        Path | None,
        typer.Option(metavar="RUNS", help="The same sweep on other samples: held out instead of a share of RUNS."),
    ] = None,
    score_range: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Range of scores that are not from 0 to 1.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the chosen config, for `dlmlen run --config`."),
    ] = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
) -> None:
    """Choose the value of a parameter that saves most FLOPs at a certified loss against the fixed canvas.

    Exits with 1 where nothing is certified.
    """
    table_format = choose_table_format(form, as_json)
    low, high = (0.0, 1.0) if score_range is None else _range(score_range)
    announce("reading the runs")
    check_runs("run", *runs)
    check_runs("--held-out", held_out)
    from dlm_length.analysis.calibrated import Split, calibrate_sweep, find_sweep
    from dlm_length.analysis.sections import collect
    from dlm_length.reports.tables.calibration import certified_config, verdict
    from dlm_length.stats import CONFIDENCE, RISK

    risk, confidence = RISK if risk is None else risk, CONFIDENCE if confidence is None else confidence
    _check_risk(risk, confidence)
    sweep = find_sweep(collect(runs, baseline=baseline), policy=policy, knob=knob)
    calibrated = calibrate_sweep(
        sweep,
        risk=risk,
        confidence=confidence,
        split=Split(calibration_share, seed),
        held_out=None if held_out is None else _held_out_sweep(held_out, sweep, baseline),
        low=low,
        high=high,
    )
    written = None
    if output is not None and (config := certified_config(calibrated)) is not None:
        _write(output, config)
        written = output
    _show(calibrated, table_format)
    if table_format != "json":
        echo_prose(verdict(calibrated), err=table_format != "terminal")
    if written is not None:
        echo(f"Config: {written} (dlmlen run --config {written})", err=table_format != "terminal")
    if calibrated.chosen is None:
        raise typer.Exit(1)


def _held_out_sweep(runs: Path, sweep: "Sweep", baseline: str | None) -> "Sweep":
    """The same sweep on other samples. Raises ConfigError where its fixed canvas is another."""
    from dlm_length.analysis.calibrated import find_sweep
    from dlm_length.analysis.sections import collect

    # A folder that --baseline names is among RUNS; the held-out runs have the same canvas by its label.
    label = None if baseline is None else sweep.section.label_of[sweep.fixed.path]
    held_out = find_sweep(collect([runs], baseline=label), policy=sweep.series.policy, knob=sweep.series.field)
    _check_same_baseline(sweep, held_out)
    return held_out


def _show(calibrated: "Calibrated", form: TableFormat) -> None:
    from dlm_length.cli.display import show_tables
    from dlm_length.reports.tables.calibration import as_data, calibration_table

    if form == "json":
        typer.echo(json.dumps(as_data(calibrated)))
    else:
        show_tables([calibration_table(calibrated)], form)


def _check_risk(risk: float, confidence: float) -> None:
    from dlm_length.stats import StatisticsError, check_risk

    try:
        check_risk(risk, confidence)
    except StatisticsError as error:
        raise ConfigError(f"--risk {risk:g}, --confidence {confidence:g}: {error}") from error


def _check_same_baseline(sweep: "Sweep", held_out: "Sweep") -> None:
    if sweep.fixed.config["policy"] != held_out.fixed.config["policy"]:
        other, own = (each.section.label_of[each.fixed.path] for each in (held_out, sweep))
        raise ConfigError(
            f"--held-out: its fixed canvas is {other}, that of RUNS {own}; both must have the same one, which"
            " --baseline can name."
        )


def _write(file: Path, config: str) -> None:
    """Raises ConfigError where another file or no folder is there, RecordError where none can be written."""
    from dlm_length.records import write_atomically

    if file.is_file():
        if file.read_bytes() == config.encode():
            return
        raise ConfigError(f"--output {file}: exists with other content, and is left as it is; name another file.")
    check_target("--output", file, "certified.yaml")
    write_atomically(file, config)


def _range(given: str) -> tuple[float, float]:
    try:
        low, high = map(float, given.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(
            f"--score-range {given}: found {given!r}; allowed: two numbers, the lower first, such as 0,100."
        )
    return low, high
