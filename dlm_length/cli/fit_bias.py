"""`dlmlen fit-bias`: the curve by which CAL's length search corrects a model's confidence."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import LOADING, READING, announce, echo
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.option_values import choose_table_format, read_words
from dlm_length.cli.options import ConfigOption, ConfigWords, JsonOption, ModelOption, TableFormatOption
from dlm_length.cli.path_checks import check_target
from dlm_length.common import ConfigError

if TYPE_CHECKING:
    from dlm_length.config import RunConfig
    from dlm_length.reports import ReportTable
    from dlm_length.runner.probe import FittedBias

_LENGTHS = "1,2,3,4,6,8,12,16,24,32,48,64,96,128,192,256"


@on_interrupt("nothing was written; the same command starts again.")
def fit_bias(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File to write the policy to, such as bias.yaml.")
    ],
    words: ConfigWords = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    lengths: Annotated[
        str,
        typer.Option(metavar="L1,L2,...", help="Canvas lengths, in tokens.", show_default="16 lengths from 1 to 256"),
    ] = _LENGTHS,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
) -> None:
    """Fit CAL's bias curve to a model's confidence on canvases of masks, and write it as a policy for length search."""
    name, overrides = read_words("fit-bias", words, config, model=model)
    canvas_lengths = _tokens(lengths)
    table_format = choose_table_format(form, as_json)
    announce(READING)
    from dlm_length.config import load_config
    from dlm_length.records import write_atomically

    resolved = load_config(name, overrides)
    if output.exists():
        raise ConfigError(f"--output {output}: exists, and is left as it is; name another file.")
    check_target("--output", output, "bias.yaml")

    from dlm_length.cli.display import RunDisplay, show_tables

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner.probe import measure_bias

        fitted = measure_bias(resolved, canvas_lengths, display)
    write_atomically(output, _policy(fitted, resolved, output))
    show_tables([_table(fitted)], table_format)
    echo(f"Policy: {output}", err=table_format != "terminal")


def _table(fitted: "FittedBias") -> "ReportTable":
    from dlm_length.reports.table import Quantity, number, text_table

    return text_table(
        "bias",
        "Confidence on canvases of masks",
        ("canvas length", "mean confidence"),
        [
            (Quantity(str(length), length), number(confidence, 4))
            for length, confidence in zip(fitted.lengths, fitted.confidences, strict=True)
        ],
        [f"Root mean square error of the curve: {fitted.error:.4f}."],
    )


def _tokens(given: str) -> list[int]:
    try:
        return [int(length) for length in given.split(",")]
    except ValueError:
        raise ConfigError(
            f"--lengths: found {given!r}; allowed: integers separated by commas, such as 8,16,32."
        ) from None


def _policy(fitted: "FittedBias", config: "RunConfig", output: Path) -> str:
    """The policy as a YAML file for `configs/policies`."""
    model, benchmark = config.model.short_name, config.benchmark.name
    lengths = ", ".join(map(str, fitted.lengths))
    return (
        f"# CAL's length search with a bias fitted on {model}, after {fitted.prompts} prompts of {benchmark}.\n"
        f"# Run: dlmlen run --config {config.experiment} policy={output}\n"
        f"# Canvases of {lengths} masks; root mean square error of the curve {fitted.error:.4f}.\n"
        "name: length_search\n"
        "criterion: cal\n"
        f"length: {fitted.lengths[-1]}\n"
        f"initial_length: {min(8, fitted.lengths[-1])}\n"
        f"bias: [{', '.join(f'{value:g}' for value in fitted.bias)}]\n"
    )
