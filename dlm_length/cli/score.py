"""`dlmlen score`: verdicts on answers that are there already."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.options import Overrides
from dlm_length.common import ConfigError, UserError

if TYPE_CHECKING:
    from dlm_length.reports import Table
    from dlm_length.runner.rescoring import Scored


def score(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's folder; left out with --answers.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSONL with id and text, or lm-eval's sample log.")
    ] = None,
    benchmark: Annotated[str | None, typer.Option(metavar="NAME", help="What --answers answer: gsm8k, ifeval.")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write each sample's verdict, as JSONL.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics for machines.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Also write the scored answers as a run of their own, beside RUN.")
    ] = False,
) -> None:
    """Score recorded answers again without generating, or answers from elsewhere. Changes no run."""
    if answers is not None and run is not None and "=" in run:
        overrides, run = [run, *(overrides or ())], None  # with no run, the first FIELD=VALUE stands in its place
    if output is not None and not output.parent.is_dir():
        raise ConfigError(f"--output {output}: there is no folder {output.parent}.")
    if run is not None and answers is None and benchmark is None:
        scored = _of_run(Path(run), overrides or (), record=record)
    elif record:
        raise ConfigError("score: --record takes a run's folder; only the answers of a run can be recorded as a run.")
    elif run is None and answers is not None and benchmark is not None:
        scored = _of_file(answers, benchmark, overrides or ())
    else:
        raise ConfigError("score: give either a run's folder, or --answers FILE with --benchmark NAME.")
    if output is not None:
        _write(output, scored)
    if as_json:
        typer.echo(json.dumps(_counts(scored) | dict(scored.metrics)))
    else:
        from dlm_length.cli.display import show_table

        show_table(_table(scored))
    if scored.recorded is not None:
        typer.echo(f"Records: {scored.recorded}", err=as_json)


def _of_run(run: Path, overrides: Sequence[str], *, record: bool) -> "Scored":
    from dlm_length.cli.display import RunDisplay
    from dlm_length.config import load_config
    from dlm_length.records.run_folder import CONFIG

    if not (run / CONFIG).is_file():
        raise UserError(f"run {run}: no run is there (no {CONFIG}).")
    if others := [override for override in overrides if not _may_decide_scores(override)]:
        raise ConfigError(
            f"score: {others[0]!r} decides no score; only benchmark.FIELD=VALUE of the run's benchmark can be given."
        )
    config = load_config(run / CONFIG, overrides)
    with RunDisplay() as display:
        display.phase("scoring")
        if record:
            from dlm_length.runner.recording import record_run

            return record_run(config, run, display.samples)
        from dlm_length.runner.rescoring import score_run

        return score_run(config, run, display.samples)


def _may_decide_scores(override: str) -> bool:
    field = override.partition("=")[0].strip()
    return field.startswith("benchmark.") and field != "benchmark.name"


def _of_file(answers: Path, benchmark: str, overrides: Sequence[str]) -> "Scored":
    from dlm_length.cli.display import RunDisplay
    from dlm_length.config import load_benchmark
    from dlm_length.runner.rescoring import score_answers

    resolved = load_benchmark(benchmark, overrides)
    with RunDisplay() as display:
        display.phase("scoring")
        return score_answers(resolved, answers, display.samples)


def _counts(scored: "Scored") -> dict[str, str | int]:
    verdicts = [verdict.value for verdict in scored.scores.values()]
    return {
        "benchmark": scored.benchmark,
        "problems": scored.problems,
        "samples": len(verdicts),
        "scored": len(verdicts) - verdicts.count(None),
    }


def _table(scored: "Scored") -> "Table":
    from dlm_length.reports import Table
    from dlm_length.reports.tables import number

    counts = _counts(scored)
    notes = []
    if counts["samples"] != counts["problems"]:
        notes.append(f"{counts['samples']} of the benchmark's {counts['problems']} problems have an answer here.")
    if unscored := [verdict for verdict in scored.scores.values() if verdict.value is None]:
        notes.append(f"{len(unscored)} samples were not scored: {unscored[0].details.get('reason')}.")
    if scored.changed:
        first = ", ".join(scored.changed[:5]) + (", ..." if len(scored.changed) > 5 else "")
        notes.append(f"{len(scored.changed)} samples had another score before, or none: {first}.")
    rows = [("samples (scored)", f"{counts['samples']} ({counts['scored']})")]
    rows += [(name, number(value, 4)) for name, value in scored.metrics.items()]
    return Table(title=scored.benchmark, columns=("", "score"), rows=tuple(rows), notes=tuple(notes))


def _write(output: Path, scored: "Scored") -> None:
    from dataclasses import asdict

    from dlm_length.records import write_atomically

    lines = [json.dumps({"id": name} | asdict(verdict), default=dict) for name, verdict in scored.scores.items()]
    write_atomically(output, "".join(f"{line}\n" for line in lines))
