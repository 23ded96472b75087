"""`dlmlen trace`: one answer while it is being denoised, in the terminal and as an HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import LOADING, READING, announce, echo
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.option_values import read_words
from dlm_length.cli.options import BenchmarkOption, ConfigOption, ConfigWords, ModelOption, PolicyOption
from dlm_length.cli.path_checks import check_target
from dlm_length.common import counted

if TYPE_CHECKING:
    from dlm_length.trace.record import Trace


@on_interrupt("nothing was written; the same command starts again.")
def trace(
    sample: Annotated[str, typer.Option(metavar="K", help="A problem's id, or its row in the benchmark, from 0.")],
    words: ConfigWords = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    benchmark: BenchmarkOption = None,
    policy: PolicyOption = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write an HTML page to step through, in one file.")
    ] = None,
    delay: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="How long each forward is shown, on a terminal.")
    ] = 0.05,
) -> None:
    """Show how one answer is denoised, forward by forward; nothing is scored or recorded."""
    name, overrides = read_words("trace", words, config, model=model, benchmark=benchmark, policy=policy)
    announce(READING)
    check_target("--html", html, "trace.html")
    from dlm_length.config import load_config

    resolved = load_config(name, overrides)
    announce(LOADING)

    from dlm_length.trace.terminal import TraceDisplay
    from dlm_length.trace.tracing import trace as trace_sample

    with TraceDisplay(delay) as display:
        traced = trace_sample(resolved, sample, display)
    echo(
        f"Answer after {counted(traced.nfe, 'forward')} ({traced.probe_nfe} of them probes),"
        f" {counted(traced.e_token, 'token')}:"
    )
    echo(traced.answer)
    if html is not None:
        _write(html, traced)
        echo(f"Page: {html}", err=True)


def _write(html: Path, traced: "Trace") -> None:
    from dlm_length.records import write_atomically
    from dlm_length.trace.page import trace_page

    write_atomically(html, trace_page(traced))
