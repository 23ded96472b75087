"""`dlmlen lm-eval`: lm-eval's own command line, in which `--model dlmlen` is known."""

import typer

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Every option is lm-eval's, --help included."""


def lm_eval(context: typer.Context) -> None:
    """The command `lm_eval`, with --model dlmlen --model_args config=NAME,policy.tau=0.9 (see docs/lm_eval.md)."""
    from dlm_length.benchmarks import require_lm_eval

    require_lm_eval()
    from dlm_length.lm_eval import main

    main(context.args)
