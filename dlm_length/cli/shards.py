"""Running one shard of runs, and what `run`, `sweep` and `merge` print of shards."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

from dlm_length.cli.echo import LOADING, echo
from dlm_length.cli.option_values import RunOptions
from dlm_length.common import counted, first_few

if TYPE_CHECKING:
    from dlm_length.config import RunConfig, Study
    from dlm_length.records import Shard
    from dlm_length.runner import MergeResult


def run_one_shard(runs: "Sequence[RunConfig] | Study", shard: "Shard", options: RunOptions) -> None:
    """Run one shard of a study's runs, or of a run's repeats, and print which shards are merged or missing.

    As JSON, that is an object; in another format than these two, standard output stays empty, as there is no table.
    """
    from dlm_length.cli.display import RunDisplay

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.config import Study
        from dlm_length.runner import run_shard, run_study_shard

        if isinstance(runs, Study):
            made = run_study_shard(runs, shard, display, fresh=options.fresh)
        else:
            made = run_shard(runs, shard, display, fresh=options.fresh)
    if options.form == "json":
        typer.echo(json.dumps({"shard": str(shard)} | made.as_data()))
        return
    lines = [f"Shard {shard}: {counted(made.generated, 'sample')} generated."]
    if made.merged:
        lines.append(f"All shards are merged; records: {', '.join(map(str, made.merged))}")
    lines += lost_lines(made, "the same command without --shard")
    if made.waiting:
        lines.append(f"Runs with missing shards: {', '.join(map(str, made.waiting))}")
    if made.left_out:
        lines.append("The same command runs what was left out, once the other runs are merged.")
    for line in lines:
        echo(line, err=options.form != "terminal")


def lost_lines(made: "MergeResult", how: str) -> Iterable[str]:
    """Which samples of merged runs failed because their workers died, and `how` they are generated again."""
    for run, ids in made.lost.items():
        yield (
            f"{counted(len(ids), 'sample')} of {run} failed because their workers died"
            f" ({first_few(ids)}): {how} generates them again."
        )
