"""`dlmlen score`: scores of recorded answers, or of answers from elsewhere."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_length.cli.completion import complete_benchmark
from dlm_length.cli.echo import announce, echo
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.option_values import choose_table_format
from dlm_length.cli.options import JsonOption, Overrides, TableFormatOption
from dlm_length.cli.path_checks import check_file, check_runs, check_target
from dlm_length.common import ConfigError, counted, first_few, printable

if TYPE_CHECKING:
    from dlm_length.reports import ReportTable
    from dlm_length.runner.rescore import Scored


@on_interrupt("the scored run is as it was; the same command starts again.")
def score(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run's folder, or one with one run in it; not with --answers.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Answers from elsewhere: JSONL with id and text, or lm-eval's sample log."),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The benchmark of --answers: gsm8k, ifeval, ...", autocompletion=complete_benchmark
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write each sample's score, as JSONL.")
    ] = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
    record: Annotated[
        bool, typer.Option("--record", help="Also write the scored answers as a run of their own, next to RUN.")
    ] = False,
) -> None:
    """Score recorded answers again without generating, or answers from elsewhere. Changes no run."""
    table_format = choose_table_format(form, as_json)
    run, overrides = _run_and_overrides([*filter(None, [run]), *(overrides or ())])
    announce("reading the answers")
    check_file("--answers", answers)
    if output is not None:
        _check_output(output, answers)
    if run is not None and answers is None and benchmark is None:
        scored = _of_run(Path(run), overrides, output, record=record)
    elif record:
        raise ConfigError("score: --record needs a run's folder; answers from elsewhere cannot be recorded as a run.")
    elif run is None and answers is not None and benchmark is not None:
        scored = _of_file(answers, benchmark, overrides, output)
    else:
        given = [*filter(None, [run]), *(["--answers"] if answers else []), *(["--benchmark"] if benchmark else [])]
        raise ConfigError(
            f"score: found {' and '.join(given) or 'neither a run nor answers'}; allowed: a run's folder, or --answers"
            " FILE with --benchmark NAME."
        )
    if output is not None:
        _write(output, scored)
    if table_format == "json":
        typer.echo(json.dumps(_as_data(scored)))
    else:
        from dlm_length.cli.display import show_tables

        show_tables([_table(scored)], table_format)
    if scored.recorded is not None:
        echo(f"Records: {scored.recorded}", err=table_format != "terminal")


def _as_data(scored: "Scored") -> dict[str, Any]:
    """Counts, metrics and their standard errors, for JSON."""
    from dlm_length.reports import isolations
    from dlm_length.runner.scoring import stderr

    kinds = isolations(verdict.details for verdict in scored.scores.values())
    return _counts(scored) | ({"isolation": kinds} if kinds else {}) | dict(scored.metrics) | stderr(scored.uncertainty)


def _run_and_overrides(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The run and the overrides, in any order."""
    run = next((argument for argument in arguments if "=" not in argument or Path(argument).exists()), None)
    return run, [argument for argument in arguments if argument != run]


def _check_output(output: Path, *inputs: str | Path | None) -> None:
    """Raise UserError for a place that cannot be written, or where another file would be lost."""
    from dlm_length.records import writing
    from dlm_length.records.run_folder import CONFIG, SAMPLES

    check_target("--output", output, "scores.jsonl")
    with writing(output):
        if all((output.parent / name).is_file() for name in (CONFIG, SAMPLES)):
            raise ConfigError(
                f"--output {output}: is in the folder of the run {output.parent}, which holds only its own records;"
                " name another place."
            )
        if output.exists() and any(
            Path(file).exists() and output.samefile(file) for file in inputs if file is not None
        ):
            raise ConfigError(f"--output {output}: is a file that the command reads; name another.")


def _of_run(run: Path, overrides: Sequence[str], output: Path | None, *, record: bool) -> "Scored":
    from dlm_length.cli.display import RunDisplay
    from dlm_length.config import load_config
    from dlm_length.records import the_run
    from dlm_length.records.run_folder import CONFIG

    check_runs("run", run)
    run = the_run(run)
    if not (run / CONFIG).is_file():
        raise ConfigError(f"run {run}: no run is there (no {CONFIG}).")
    if others := [override for override in overrides if not _may_decide_scores(override)]:
        raise ConfigError(
            f"score: found {others[0]!r}; allowed: benchmark.FIELD=VALUE of the run's own benchmark, since nothing"
            " else changes a score."
        )
    config = load_config(run / CONFIG, overrides)
    if output is not None:
        _check_output(output, config.benchmark.path)
    with RunDisplay() as display:
        display.phase("scoring")
        if record:
            from dlm_length.runner.rescore import record_run

            return record_run(config, run, display.samples)
        from dlm_length.runner.rescore import score_run

        return score_run(config, run, display.samples)


def _may_decide_scores(override: str) -> bool:
    field = override.partition("=")[0].strip()
    return field.startswith("benchmark.") and field != "benchmark.name"


def _of_file(answers: Path, benchmark: str, overrides: Sequence[str], output: Path | None) -> "Scored":
    from dlm_length.cli.display import RunDisplay
    from dlm_length.config import load_benchmark
    from dlm_length.runner.rescore import score_answers

    if others := [each for each in overrides if each.partition("=")[0].strip() == "benchmark.name"]:
        raise ConfigError(f"score: found {others[0]!r} and --benchmark {benchmark}; allowed: one of them.")
    resolved = load_benchmark(benchmark, overrides)
    if output is not None:
        _check_output(output, resolved.path)
    with RunDisplay() as display:
        display.phase("scoring")
        return score_answers(resolved, answers, display.samples)


def _counts(scored: "Scored") -> dict[str, Any]:
    verdicts = [verdict.value for verdict in scored.scores.values()]
    return {
        "benchmark": scored.benchmark,
        "problems": scored.problems,
        "samples": len(verdicts),
        "scored": len(verdicts) - verdicts.count(None),
    }


def _table(scored: "Scored") -> "ReportTable":
    from dlm_length.reports import isolation_notes, isolations
    from dlm_length.reports.notes import interval_notes
    from dlm_length.reports.table import number, text_table
    from dlm_length.reports.tables.cells import interval_of

    counts = _counts(scored)
    notes = list(interval_notes(scored.uncertainty.values()))
    if counts["samples"] != counts["problems"]:
        notes.append(
            f"{counts['samples']} of the benchmark's {counted(counts['problems'], 'problem')} have an answer here."
        )
    if unscored := [verdict for verdict in scored.scores.values() if verdict.value is None]:
        notes.append(
            f"{counted(len(unscored), 'sample was', 'samples were')} not scored: {unscored[0].details.get('reason')}."
        )
    notes += isolation_notes(isolations(verdict.details for verdict in scored.scores.values()))
    if scored.changed:
        notes.append(
            f"{counted(len(scored.changed), 'sample')} had another score before, or none: {first_few(scored.changed)}."
        )
    rows = [("samples (scored)", f"{counts['samples']} ({counts['scored']})", "")]
    rows += [
        (name, number(value, 4), interval_of(scored.uncertainty.get(name))) for name, value in scored.metrics.items()
    ]
    return text_table(
        "scores", title=scored.benchmark, columns=("", "score", "95% CI"), rows=rows, notes=map(printable, notes)
    )


def _write(output: Path, scored: "Scored") -> None:
    from dataclasses import asdict

    from dlm_length.records import write_atomically

    lines = [json.dumps({"id": name} | asdict(verdict), default=dict) for name, verdict in scored.scores.items()]
    write_atomically(output, "".join(f"{line}\n" for line in lines))
