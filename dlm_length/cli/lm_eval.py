"""`dlmlen lm-eval`: lm-eval's own command line, with `--model dlmlen` registered."""

import typer

from dlm_length.cli.echo import announce

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""All options are passed on to lm-eval, --help included."""


def lm_eval(context: typer.Context) -> None:
    """Run lm-eval's own command; --model dlmlen --model_args config=NAME,policy.tau=0.9 evaluates a length policy."""
    announce("loading lm-eval")
    from dlm_length.benchmarks import require_lm_eval

    require_lm_eval()
    from dlm_length.lm_eval import main

    main(context.args)
