"""`dlmlen trace`: one answer while it is being denoised, in the terminal and as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import LOADING, announce, echo
from dlm_length.cli.options import (
    BenchmarkOption,
    ConfigOption,
    ConfigWords,
    ModelOption,
    PolicyOption,
    read_words,
)
from dlm_length.common import ConfigError

if TYPE_CHECKING:
    from dlm_length.trace.record import Trace


def trace(
    sample: Annotated[str, typer.Option(metavar="K", help="A problem's id, or its row in the benchmark.")],
    words: ConfigWords = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    benchmark: BenchmarkOption = None,
    policy: PolicyOption = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page to step through, with all in one file.")
    ] = None,
    delay: Annotated[float, typer.Option(min=0.0, help="Seconds to show each forward, on a terminal.")] = 0.05,
) -> None:
    """Watch one answer being denoised, forward by forward; nothing is scored or recorded."""
    name, overrides = read_words("trace", words, config, model=model, benchmark=benchmark, policy=policy)
    if html is not None:
        _check_target(html)
    from dlm_length.config import load_config

    resolved = load_config(name, overrides)
    announce(LOADING)

    from dlm_length.trace.sample import trace as watch
    from dlm_length.trace.terminal import TraceDisplay

    with TraceDisplay(delay) as display:
        traced = watch(resolved, sample, display)
    echo(f"Answer after {traced.nfe} forwards ({traced.probe_nfe} of them probes), {traced.e_token} tokens:")
    echo(traced.answer)
    if html is not None:
        _write(html, traced)
        echo(f"Page: {html}", err=True)


def _check_target(html: Path) -> None:
    """Told before anything is loaded."""
    from dlm_length.records import check_writable, writing

    with writing(html):
        if html.is_dir():
            raise ConfigError(f"--html {html}: is a folder; name a file in it, such as {html / 'trace.html'}.")
        if not html.parent.is_dir():
            raise ConfigError(f"--html {html}: there is no folder {html.parent}; make it first, or name another.")
    check_writable(html)


def _write(html: Path, traced: "Trace") -> None:
    from dlm_length.records import write_atomically
    from dlm_length.trace.page import trace_page

    write_atomically(html, trace_page(traced))
