"""What is asked, and how answers are scored. One file a benchmark."""

import sys

from dlm_length.benchmarks._data import local_rows, problem_of, whole
from dlm_length.benchmarks.base import Benchmark, Problem, Prompt, Score
from dlm_length.common import catalogue

__all__ = ["Benchmark", "Problem", "Prompt", "Score", "benchmarks", "local_rows", "problem_of", "whole"]


def benchmarks() -> dict[str, type[Benchmark]]:
    """Every benchmark by name."""
    return catalogue(sys.modules[__name__], Benchmark)  # type: ignore[type-abstract]  # python/mypy#4717
