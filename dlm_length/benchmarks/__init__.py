"""Benchmarks: problems, prompts and scorers. One file per benchmark."""

import sys
from pathlib import Path

from dlm_length.benchmarks._data import chosen, is_packaged, local_rows, problem_of, whole
from dlm_length.benchmarks._generation_kwargs import GenerationLimits, generation_limits
from dlm_length.benchmarks._lm_eval_tasks import require_lm_eval
from dlm_length.benchmarks.base import Benchmark, Problem, Prompt, Score
from dlm_length.common import catalogue
from dlm_length.common.parameters import named_classes
from dlm_length.common.plugins import named_in_file, with_plugins

__all__ = [
    "Benchmark",
    "GenerationLimits",
    "Problem",
    "Prompt",
    "Score",
    "benchmarks",
    "benchmarks_in_file",
    "chosen",
    "generation_limits",
    "is_packaged",
    "local_rows",
    "problem_of",
    "require_lm_eval",
    "whole",
]


def benchmarks() -> dict[str, type[Benchmark]]:
    """Name -> benchmark: the package's, and those of installed distributions (group `dlm_length.benchmarks`)."""
    own = catalogue(sys.modules[__name__], Benchmark)  # type: ignore[type-abstract]  # python/mypy#4717
    return with_plugins("benchmarks", own, Benchmark, lambda module: named_classes(module, Benchmark))  # type: ignore[type-abstract]


def benchmarks_in_file(file: Path) -> dict[str, type[Benchmark]]:
    """Name -> benchmark that a Python file defines. Runs the file; raises ConfigError where it defines none."""
    return named_in_file(file, Benchmark, benchmarks())  # type: ignore[type-abstract]  # python/mypy#4717
