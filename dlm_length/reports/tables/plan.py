"""What a config or a study would run, and what that would cost at most."""

from collections.abc import Iterator, Mapping, Sequence

from dlm_length.analysis.planned_costs import UTILISATION, Plan, PlannedRun, StudyPlan
from dlm_length.common import GIB, counted, listing
from dlm_length.papers import load_paper
from dlm_length.reports.table import MISSING, Quantity, ReportTable, count, duration, flops, text_table


def plan_table(plan: Plan, seeds: int = 1) -> ReportTable:
    """A row per quantity. `plan`: all seeds together; `seeds`: their number."""
    memory = plan.weight_bytes + plan.activation_bytes
    device = "" if plan.device_bytes is None else f" of {plan.device_bytes / GIB:.0f} GiB"
    approximate = "" if plan.tokens_exact else "about "
    return text_table(
        "plan",
        title="What would run",
        columns=("", "at most"),
        rows=(
            ("samples", count(plan.samples, f" ({seeds} seeds)" if seeds > 1 else "")),
            ("prompt tokens", Quantity(f"{approximate}{plan.prompt_tokens:,}", plan.prompt_tokens)),
            ("canvas per sample", count(plan.canvas_length, " tokens")),
            ("forwards", count(plan.forwards)),
            ("FLOPs", flops(plan.flops_reference)),
            ("FLOPs executed", flops(plan.flops_executed)),
            ("tokens of a forward", count(plan.max_batch_tokens)),
            ("memory of weights", _memory(plan.weight_bytes)),
            ("memory of activations", _memory(plan.activation_bytes)),
            ("memory in all", Quantity(f"{_memory(memory)}{device}", memory)),
            ("time", duration(None if plan.hours is None else plan.hours * 3600)),
        ),
        notes=tuple(_plan_notes(plan, memory)),
    )


def _memory(size: int) -> Quantity:
    """Bytes as GiB."""
    return Quantity(f"{size / GIB:.2f} GiB", size)


def study_plan_table(study: StudyPlan, notes: Sequence[str] = ()) -> ReportTable:
    """A row per config, and the total; `notes` are put below.

    The total leaves out benchmarks whose data are not on this machine; a note names them.
    """
    plans = study.plans
    runs = sum(run.repeats for run in study.runs if run.plan is not None)
    return text_table(
        "study-plan",
        title=f"What would run: {study.name}",
        columns=("benchmark", "policy", "samples", "forwards", "FLOPs executed", "time"),
        rows=(*map(_row, study.runs), ("total", f"{counted(runs, 'run')}", *_cost(plans))),
        notes=(*_study_notes(study), *notes),
        details=("forwards", "FLOPs executed"),
        labels=2,
    )


def _row(run: PlannedRun) -> tuple[str, ...]:
    return (run.benchmark, run.label, *_cost([] if run.plan is None else [run.plan]))


def _cost(plans: Sequence[Plan]) -> tuple[str, str, str, str]:
    """Samples, forwards, FLOPs executed and time of all these plans; without values if there are none."""
    if not plans:
        return (MISSING, MISSING, MISSING, MISSING)
    hours = [plan.hours for plan in plans if plan.hours is not None]
    return (
        count(sum(plan.samples for plan in plans)),
        count(sum(plan.forwards for plan in plans)),
        flops(sum(plan.flops_executed for plan in plans)),
        duration(sum(hours) * 3600 if len(hours) == len(plans) else None),
    )


def _plan_notes(plan: Plan, memory: int) -> Iterator[str]:
    yield (
        "Upper bounds: crops and early commitments make a run cheaper; only a model that predicts MASK makes it"
        " costlier."
    )
    yield from _estimate_notes([plan])
    if plan.device_bytes is not None and memory > plan.device_bytes:
        yield "This does not fit into the device's memory; lower hardware.max_batch_tokens or change dtype."


def _study_notes(study: StudyPlan) -> Iterator[str]:
    yield "Upper bounds, run by run; forwards that several runs share are computed once. Time is of one device."
    yield from _estimate_notes(study.plans)
    repeats = sorted({run.repeats for run in study.runs})
    if repeats != [1]:
        yield f"Each is run under {listing(repeats)} seeds."
    yield from _absence_notes(study.absent)


def _absence_notes(absent: Mapping[str, str]) -> Iterator[str]:
    """Which benchmarks are left out and why; what to do about it, the last sentence, once where it is the same."""
    parts = {name: error.rpartition(". ") for name, error in absent.items()}
    advice = {last for *_, last in parts.values()}
    if len(parts) == 1 or len(advice) > 1 or not all(reason for reason, *_ in parts.values()):
        parts = {name: (error, "", "") for name, error in absent.items()}
        advice = set()
    for name, (reason, period, _) in parts.items():
        yield f"The total leaves out {name}: {reason}{period.strip()}"
    yield from advice


def _estimate_notes(plans: Sequence[Plan]) -> Iterator[str]:
    """Where times and token counts come from, and which samples are too long."""
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


def _prompt_note(plan: Plan) -> str | None:
    """A warning where the prompts are much longer or shorter than a paper's."""
    if plan.prompt_excess is None or (cell := plan.published_prompt) is None:
        return None
    paper = load_paper(cell.paper)
    length = f"{plan.prompt_length:.1f}" if plan.tokens_exact else f"about {plan.prompt_length:.0f}"
    return (
        f"Warning: the prompts of {plan.benchmark} have {length} tokens on average, {plan.prompt_excess:+.0%} against"
        f" the {cell.printed} of {paper.plan.method}'s {paper.table(cell.table).source}. They are not that paper's"
        " prompts, so that lengths, FLOPs and scores compare only in part; benchmark.prompt_file takes others."
    )
