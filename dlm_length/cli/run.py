"""`dlmlen run`: one config, from prompts to a table."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import Resumable, echo
from dlm_length.cli.options import (
    Adjust,
    ConfigName,
    DryRun,
    Limit,
    Overrides,
    Resamples,
    Seeds,
    TimeAlone,
    TimedSamples,
    limiting,
    resolve_testing,
    timing,
)
from dlm_length.common import GIB, ConfigError, UserError, listing

if TYPE_CHECKING:
    from dlm_length.analysis.effects import Testing
    from dlm_length.config import RunConfig, Study
    from dlm_length.runner import Plan, StudyResult

LOADING = "loading torch and transformers"
"""The first line of progress: what takes longest before the first prompt."""


def run(
    config: ConfigName,
    overrides: Overrides = None,
    limit: Limit = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run over the same samples, or a folder that holds it."),
    ] = None,
    adjust: Adjust = None,
    resamples: Resamples = None,
    dry_run: DryRun = False,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Set earlier records of this run aside, or continue them.")
    ] = False,
    seeds: Seeds = None,
    time_alone: TimeAlone = False,
    timed_samples: TimedSamples = None,
) -> None:
    """Run a length policy on a benchmark, or a study of many; what was interrupted continues where it stopped."""
    with Resumable(fresh=fresh, dry_run=dry_run) as resumable:
        from dlm_length.config import find_study, load_config, read_seeds, repeated

        testing = resolve_testing(adjust=adjust, resamples=resamples)
        changes = [*(overrides or ()), *limiting(limit)]
        chosen = None if seeds is None else read_seeds(seeds, changes)
        timed = timing(time_alone, timed_samples)
        if (study := find_study(config)) is not None:
            if baseline is not None:
                raise ConfigError(f"--baseline {baseline}: a study names its own baseline, in its file.")
            carry_out(replace(study.load(changes), seeds=chosen), testing, dry_run=dry_run, fresh=fresh, timed=timed)
            return
        resolved = repeated(load_config(config, changes), chosen)
        if dry_run:
            from dlm_length.runner import plan

            _show_plan(plan(resolved[0]).times(len(resolved)), len(resolved))
            return
        resumable.paths = [each.run_path for each in resolved]
        _make_one(resolved, baseline, testing, fresh=fresh, timed=timed)


def _make_one(
    repeats: "Sequence[RunConfig]", baseline: Path | None, testing: "Testing", *, fresh: bool, timed: int | None
) -> None:
    """Make a run, once for each of its `repeats`, and print its table; `timed` as in `make`."""
    from dlm_length.cli.display import RunDisplay, show_table

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner import run_repeats
        from dlm_length.runner import time_alone as measure

        finished = run_repeats(repeats, display, fresh=fresh, baseline=baseline)
        if timed is not None:
            measure(repeats, display, samples=timed)
    for each in finished:
        if each.generated == 0:
            echo(f"Already finished: {each.path} (--fresh runs it again)", err=True)
    from dlm_length.reports import run_table

    paths = [each.path for each in finished]
    show_table(run_table(paths, finished[0].baseline, testing=testing))
    echo(f"Records: {', '.join(map(str, paths))}")
    if all(each.metrics.failed == each.metrics.samples for each in finished):
        raise typer.Exit(1)


def carry_out(study: "Study", testing: "Testing", *, dry_run: bool, fresh: bool, timed: int | None = None) -> None:
    """Run a study and print a table a benchmark, or tell what it would cost; `timed` as in `make`."""
    if dry_run:
        show_study_plan(study)
        return
    from dlm_length.cli.display import show_table
    from dlm_length.reports import study_table

    studied = make(study, fresh=fresh, timed=timed)
    for block in studied.blocks:
        metrics = {finished.path: finished.metrics for finished in (*block.baseline, *block.runs)}
        show_table(
            study_table(
                [finished.path for finished in block.runs],
                [finished.path for finished in block.baseline],
                testing=testing,
                metrics=metrics,
                apart=block.apart,
            )
        )
    tell_shared(studied)
    folders = dict.fromkeys(finished.path.parent for block in studied.blocks for finished in block.runs)
    echo(f"Records: {', '.join(map(str, folders))}")


def make(study: "Study", *, fresh: bool, timed: int | None = None) -> "StudyResult":
    """Run what is left to do of a study, displayed.

    `timed`: how many samples of each run are then measured alone; None for no such measurement.
    """
    from dlm_length.cli.display import RunDisplay

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner import run_study

        return run_study(study, display, fresh=fresh, timed=timed)


def tell_shared(studied: "StudyResult") -> None:
    """Say how many forwards the runs had in common."""
    if studied.forwards_asked:
        share = studied.forwards_run / studied.forwards_asked
        echo(
            f"Forwards: {studied.forwards_asked:,} were asked for, {studied.forwards_run:,} run ({share:.0%}); the"
            " others were the same. Every run is charged what it asked for."
        )


def show_study_plan(study: "Study", notes: Sequence[str] = ()) -> None:
    """Tell what every run of a study would cost at most, and all together; `notes` are put below.

    A benchmark whose data are not at hand is told and left out of the total, unless there is no other. Data that were
    named must be there.
    """
    from rich.console import Console
    from rich.progress import track

    from dlm_length.cli.display import show_table
    from dlm_length.reports.table import MISSING, text_table
    from dlm_length.runner import plan

    configs = [
        (config, f"{label} {block.apart}".strip())
        for block in study.blocks
        for config, label in zip(block.all, _labels(block.all), strict=True)
    ]
    rows: list[tuple[str, ...]] = []
    plans: list[Plan] = []
    absent: dict[str, UserError] = {}
    console = Console(stderr=True)
    for config, label in track(configs, "planning", console=console, transient=True, disable=not console.is_terminal):
        name = config.benchmark.name
        try:
            planned = [] if name in absent else [plan(config).times(len(study.repeats(config)))]
        except UserError as error:
            if isinstance(error, ConfigError) or config.benchmark.path is not None:
                raise
            absent[name], planned = error, []
        plans += planned
        cost = (f"{planned[0].samples:,}", *_cost(planned)) if planned else (MISSING,) * 4
        rows.append((name, label, *cost))
    if not plans:
        raise next(iter(absent.values()))
    runs = sum(len(study.repeats(config)) for config, _ in configs if config.benchmark.name not in absent)
    rows.append(("total", f"{runs} runs", f"{sum(each.samples for each in plans):,}", *_cost(plans)))
    show_table(
        text_table(
            "study-plan",
            title=f"What would run: {study.name}",
            columns=("benchmark", "policy", "samples", "forwards", "FLOPs executed", "time"),
            rows=tuple(rows),
            notes=(
                "Upper bounds, run by run; forwards that several runs share are computed once. Time is of one device.",
                *_estimate_notes(plans),
                *([f"Each is run under {seeds} seeds."] if (seeds := _seeds(study)) != "1" else []),
                *(f"The total leaves out {name}: {error}" for name, error in absent.items()),
                *notes,
            ),
        )
    )


def _seeds(study: "Study") -> str:
    """How many of each run there are: `3`, or `1 or 3`."""
    return listing(sorted({len(study.repeats(config)) for block in study.blocks for config in block.all}))


def _labels(configs: "Sequence[RunConfig]") -> list[str]:
    """The policies' labels, those with the same one told apart by the fields that are not left at their defaults."""
    labels = []
    for config in configs:
        policy = config.policy
        twins = [other.policy for other in configs if other.policy.label == policy.label]
        apart = [
            f"{name} {value}"
            for name, value in policy
            if value != type(policy).model_fields[name].default and any(getattr(twin, name) != value for twin in twins)
        ]
        labels.append(" ".join([policy.label, *apart]))
    return labels


def _cost(plans: "Sequence[Plan]") -> tuple[str, str, str]:
    """Forwards, FLOPs executed and time of all of them."""
    from dlm_length.reports.table import MISSING, duration, flops

    hours = [each.hours for each in plans if each.hours is not None]
    time = duration(sum(hours) * 3600) if len(hours) == len(plans) else MISSING
    return f"{sum(each.forwards for each in plans):,}", flops(sum(each.flops_executed for each in plans)), time


def _estimate_notes(plans: "Sequence[Plan]") -> Iterator[str]:
    """Where times and token counts come from, and which samples are too long."""
    from dlm_length.runner.dry_run import UTILISATION

    if any(plan.rate is None for plan in plans):
        yield "No time: the device is not on this machine, and hardware.peak_tflops is not given."
    else:
        for profile in dict.fromkeys(plan.profile for plan in plans):
            first = next(plan for plan in plans if plan.profile == profile)
            source = "measured here for" if first.rate_measured else "of"
            yield (
                f"Time at {(first.rate or 0.0) / 1e12:.3g} TFLOP/s, {UTILISATION:.0%} of the matrix-product rate"
                f" {source} the hardware profile {profile!r}; hardware=NAME plans for another."
            )
    if not all(plan.tokens_exact for plan in plans):
        yield "The checkpoint's tokenizer is not on this machine; prompt tokens are estimated from characters."
    yield from dict.fromkeys(filter(None, map(_prompt_note, plans)))
    if too_long := sum(plan.too_long for plan in plans):
        yield f"{too_long} samples can outgrow the model's positions and would then be recorded as errors."


def _prompt_note(plan: "Plan") -> str | None:
    """That prompts are another length than a paper's, where they are."""
    from dlm_length.papers import load_paper

    if plan.prompt_excess is None or (cell := plan.published_prompt) is None:
        return None
    paper = load_paper(cell.paper)
    length = f"{plan.prompt_length:.1f}" if plan.tokens_exact else f"about {plan.prompt_length:.0f}"
    return (
        f"Warning: the prompts of {plan.benchmark} have {length} tokens on average, {plan.prompt_excess:+.0%} against"
        f" the {cell.printed} of {paper.plan.method}'s {paper.table(cell.table).source}. They are not that paper's"
        " prompts, so that lengths, FLOPs and scores compare only in part; benchmark.prompt_file takes others."
    )


def _show_plan(plan: "Plan", seeds: int) -> None:
    from dlm_length.cli.display import show_table
    from dlm_length.reports.table import MISSING, duration, flops, text_table

    memory = plan.weight_bytes + plan.activation_bytes
    device = "" if plan.device_bytes is None else f" of {plan.device_bytes / GIB:.0f} GiB"
    approximate = "" if plan.tokens_exact else "about "
    notes = [
        "Upper bounds: crops and early commitments make a run cheaper; only a model that predicts MASK makes it"
        " costlier.",
        *_estimate_notes([plan]),
    ]
    if plan.device_bytes is not None and memory > plan.device_bytes:
        notes.append("This does not fit into the device's memory; lower hardware.max_batch_tokens or change dtype.")
    show_table(
        text_table(
            "plan",
            title="What would run",
            columns=("", "at most"),
            rows=(
                ("samples", f"{plan.samples:,}" + (f" ({seeds} seeds)" if seeds > 1 else "")),
                ("prompt tokens", f"{approximate}{plan.prompt_tokens:,}"),
                ("canvas a sample", f"{plan.canvas_length:,} tokens"),
                ("forwards", f"{plan.forwards:,}"),
                ("FLOPs", flops(plan.flops_reference)),
                ("FLOPs executed", flops(plan.flops_executed)),
                ("tokens of a forward", f"{plan.max_batch_tokens:,}"),
                ("memory of weights", f"{plan.weight_bytes / GIB:.2f} GiB"),
                ("memory of activations", f"{plan.activation_bytes / GIB:.2f} GiB"),
                ("memory in all", f"{memory / GIB:.2f} GiB{device}"),
                ("time", MISSING if plan.hours is None else duration(plan.hours * 3600)),
            ),
            notes=tuple(notes),
        )
    )
