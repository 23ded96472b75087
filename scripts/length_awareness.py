"""Does the model know from the prompt how long its answer will be? SmartCrop's crops and the reference answers.

    dlmlen run study_mini
    python scripts/length_awareness.py results/study_mini

Prints, for each benchmark and over all: Spearman's correlation with the length of the reference answer, in tokens, of
SmartCrop's crop g_hat and of the random control's length.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from dlm_length.benchmarks import Problem
from dlm_length.config import load_config
from dlm_length.models import load_tokenizer
from dlm_length.records import read_samples

POLICIES = ("smartcrop", "random_length")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of a study's runs")
    parser.add_argument("--tau", type=float, default=0.9)
    arguments = parser.parse_args()
    runs: dict[str, dict[str, Path]] = {}
    for run in sorted(arguments.results.glob("*/metrics.json")):
        config = load_config(run.parent / "config.yaml")
        if config.policy.name in POLICIES and getattr(config.policy, "tau", None) == arguments.tau:
            of_benchmark = runs.setdefault(config.benchmark.name, {})
            if config.policy.name in of_benchmark:
                raise SystemExit(f"{run.parent}: another run of {config.policy.name} on {config.benchmark.name}.")
            of_benchmark[config.policy.name] = run.parent
    missing = [name for name, of_benchmark in runs.items() if len(of_benchmark) < len(POLICIES)]
    if missing or not runs:
        where = ", ".join(missing) or "any benchmark"
        raise SystemExit(f"{arguments.results}: no {' and '.join(POLICIES)} at tau {arguments.tau} on {where}.")
    table = Table("benchmark", "n", "shortest to longest reference", *(f"Spearman, {name}" for name in POLICIES))
    everything: dict[str, list[tuple[int, int]]] = {name: [] for name in POLICIES}
    for benchmark, of_benchmark in runs.items():
        lengths = {name: list(pairs(of_benchmark[name])) for name in POLICIES}
        row(table, benchmark, lengths)
        for name in POLICIES:
            everything[name] += lengths[name]
    row(table, "all", everything)
    Console().print(table)


def pairs(run: Path) -> Iterator[tuple[int, int]]:
    """(canvas, reference answer) of each sample, in tokens."""
    config = load_config(run / "config.yaml")
    tokenizer = load_tokenizer(config.model.path, config.model.revision)
    references = {problem.id: reference(problem) for problem in config.benchmark.problems()}
    for sample in read_samples(run):
        yield sample.n_token, len(tokenizer.encode(references[sample.id], templated=True))


def reference(problem: Problem) -> str:
    """The reference answer of a problem."""
    fields = problem.fields
    if "canonical_solution" in fields:  # its header is the first line of the prompt
        return str(fields["prompt"]).split("\n")[0] + "\n" + str(fields["canonical_solution"]).rstrip()
    if "references" in fields:
        return str(fields["references"][0])
    return str(fields.get("reference", fields.get("answer")))


def row(table: Table, name: str, lengths: dict[str, list[tuple[int, int]]]) -> None:
    """Add a row: `lengths` are those of `pairs`, by policy."""
    references = [reference for _, reference in lengths[POLICIES[0]]]
    correlations = [spearmanr(*zip(*lengths[policy], strict=True)).statistic for policy in POLICIES]
    span = f"{min(references)} to {max(references)}"
    table.add_row(name, str(len(references)), span, *(f"{value:.3f}" for value in correlations))


if __name__ == "__main__":
    main()
