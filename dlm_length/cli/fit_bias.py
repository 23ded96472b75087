"""`dlmlen fit-bias`: the curve by which CAL's length search corrects a model's confidence."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import LOADING, echo
from dlm_length.cli.options import ConfigOption, ConfigWords, ModelOption, read_words
from dlm_length.common import ConfigError

if TYPE_CHECKING:
    from dlm_length.config import RunConfig
    from dlm_length.runner.bias_fitting import FittedBias

_LENGTHS = "1,2,3,4,6,8,12,16,24,32,48,64,96,128,192,256"


def fit_bias(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File to write the policy to, such as bias.yaml.")
    ],
    words: ConfigWords = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    lengths: Annotated[str, typer.Option(metavar="L1,L2,...", help="Canvas lengths, in tokens.")] = _LENGTHS,
) -> None:
    """Fit CAL's bias curve to a model's confidence on canvases of masks, and write it as a policy for length search."""
    name, overrides = read_words("fit-bias", words, config, model=model)
    tried = _tokens(lengths)
    from dlm_length.config import load_config
    from dlm_length.records import check_writable, write_atomically

    resolved = load_config(name, overrides)
    if output.exists():
        raise ConfigError(f"--output {output}: is there already, and is left as it is; name another file.")
    check_writable(output)

    from dlm_length.cli.display import RunDisplay

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner.bias_fitting import measure_bias

        fitted = measure_bias(resolved, tried, display)
    write_atomically(output, _policy(fitted, resolved, output))
    for length, confidence in zip(fitted.lengths, fitted.confidences, strict=True):
        echo(f"{length:6d} tokens: mean confidence {confidence:.4f}")
    echo(f"Root mean square error of the curve: {fitted.error:.4f}")
    echo(f"Policy: {output}")


def _tokens(given: str) -> list[int]:
    try:
        return [int(length) for length in given.split(",")]
    except ValueError:
        raise ConfigError(f"--lengths: found {given!r}; allowed: integers with commas, such as 8,16,32.") from None


def _policy(fitted: "FittedBias", config: "RunConfig", output: Path) -> str:
    """The policy as a file of `configs/policies`."""
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
