"""`dlmlen run`: one config, from prompts to a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.options import ConfigName, DryRun, Limit, Overrides
from dlm_length.common import GIB, ConfigError

if TYPE_CHECKING:
    from dlm_length.config import Study
    from dlm_length.runner import Plan


def run(
    config: ConfigName,
    overrides: Overrides = None,
    limit: Limit = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run over the same samples, or a folder that holds it."),
    ] = None,
    dry_run: DryRun = False,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Set earlier records of this run aside, or continue them.")
    ] = False,
) -> None:
    """Run a length policy on a benchmark, or a study of many; what was interrupted continues where it stopped."""
    from dlm_length.config import find_study, load_config, load_study

    limited = [] if limit is None else [f"benchmark.limit={limit}"]
    changes = [*(overrides or ()), *limited]
    if find_study(config) is not None:
        if baseline is not None:
            raise ConfigError(f"--baseline {baseline}: a study names its own baseline, in its file.")
        carry_out(load_study(config, changes), dry_run=dry_run, fresh=fresh)
        return
    resolved = load_config(config, changes)
    if dry_run:
        from dlm_length.runner import plan

        _show_plan(plan(resolved))
        return

    from dlm_length.cli.display import RunDisplay, show_table
    from dlm_length.reports import run_table
    from dlm_length.runner import run as execute

    try:
        with RunDisplay() as display:
            finished = execute(resolved, display, fresh=fresh, baseline=baseline)
    except KeyboardInterrupt:
        same = "the same command, without --fresh," if fresh else "the same command"
        typer.echo(f"Interrupted; {same} continues {resolved.run_path}", err=True)
        raise typer.Exit(130) from None
    if finished.generated == 0:
        typer.echo(f"Already finished: {finished.path} (--fresh runs it again)", err=True)
    show_table(run_table(finished.path, finished.baseline))
    typer.echo(f"Records: {finished.path}")
    if finished.metrics.failed == finished.metrics.samples:
        raise typer.Exit(1)


def carry_out(study: "Study", *, dry_run: bool, fresh: bool) -> None:
    """Run a study and print a table a benchmark, or tell what it would cost."""
    if dry_run:
        _show_study_plan(study)
        return
    from dlm_length.cli.display import RunDisplay, show_table
    from dlm_length.reports import study_table
    from dlm_length.runner import run_study

    try:
        with RunDisplay() as display:
            studied = run_study(study, display, fresh=fresh)
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command, without --fresh, continues.", err=True)
        raise typer.Exit(130) from None
    for block in studied.blocks:
        baseline = None if block.baseline is None else block.baseline.path
        show_table(study_table([finished.path for finished in block.runs], baseline))
    if studied.forwards_asked:
        share = studied.forwards_run / studied.forwards_asked
        typer.echo(
            f"Forwards: {studied.forwards_asked:,} were asked for, {studied.forwards_run:,} run ({share:.0%}); the"
            " others were the same. Every run is charged what it asked for."
        )
    folders = dict.fromkeys(finished.path.parent for block in studied.blocks for finished in block.runs)
    typer.echo(f"Records: {', '.join(map(str, folders))}")


def _show_study_plan(study: "Study") -> None:
    from dlm_length.cli.display import show_table
    from dlm_length.reports.tables import NOTHING, Table, duration, flops
    from dlm_length.runner import plan

    rows = []
    for block in study.blocks:
        for config in block.all:
            planned = plan(config)
            hours = NOTHING if planned.hours is None else duration(planned.hours * 3600)
            label = config.policy.label
            cost = (f"{planned.samples:,}", f"{planned.forwards:,}", flops(planned.flops_executed), hours)
            rows.append((config.benchmark.name, label, *cost))
    show_table(
        Table(
            title=f"What would run: {study.name}",
            columns=("benchmark", "policy", "samples", "forwards", "FLOPs executed", "time"),
            rows=tuple(rows),
            notes=("Upper bounds, run by run; forwards that several runs share are computed once.",),
        )
    )


def _show_plan(plan: "Plan") -> None:
    from dlm_length.cli.display import show_table
    from dlm_length.reports.tables import NOTHING, Table, duration, flops
    from dlm_length.runner.planning import UTILISATION

    memory = plan.weight_bytes + plan.activation_bytes
    device = "" if plan.device_bytes is None else f" of {plan.device_bytes / GIB:.0f} GiB"
    approximate = "" if plan.tokens_exact else "about "
    rate = "measured here" if plan.rate_measured else "of the hardware profile"
    notes = [
        "Upper bounds: crops and early commitments make a run cheaper; only a model that predicts MASK makes it dearer."
    ]
    if plan.rate is None:
        notes.append("No time: the device is not on this machine, and hardware.peak_tflops is not given.")
    else:
        notes.append(f"Time at {plan.rate / 1e12:.3g} TFLOP/s, {UTILISATION:.0%} of the matrix-product rate {rate}.")
    if not plan.tokens_exact:
        notes.append("The checkpoint's tokenizer is not on this machine; prompt tokens are estimated from characters.")
    if plan.too_long:
        notes.append(f"{plan.too_long} samples can outgrow the model's positions and would then be recorded as errors.")
    if plan.device_bytes is not None and memory > plan.device_bytes:
        notes.append("This does not fit into the device's memory; lower hardware.max_batch_tokens or change dtype.")
    show_table(
        Table(
            title="What would run",
            columns=("", "at most"),
            rows=(
                ("samples", f"{plan.samples:,}"),
                ("prompt tokens", f"{approximate}{plan.prompt_tokens:,}"),
                ("canvas a sample", f"{plan.canvas_length:,} tokens"),
                ("forwards", f"{plan.forwards:,}"),
                ("FLOPs", flops(plan.flops_reference)),
                ("FLOPs executed", flops(plan.flops_executed)),
                ("memory of weights", f"{plan.weight_bytes / GIB:.2f} GiB"),
                ("memory of activations", f"{plan.activation_bytes / GIB:.2f} GiB"),
                ("memory in all", f"{memory / GIB:.2f} GiB{device}"),
                ("time", NOTHING if plan.hours is None else duration(plan.hours * 3600)),
            ),
            notes=tuple(notes),
        )
    )
