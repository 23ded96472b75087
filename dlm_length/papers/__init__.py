"""Published numbers (CSV, as the papers print them), and plans (YAML) that map each number to a run."""

from dlm_length.papers.plan import EFFECTS, BenchmarkNames, Claim, FurtherRuns, Plan, Quantity, TablePlan
from dlm_length.papers.published import PAPERS, Paper, PublishedCell, Recipe, load_paper, published_prompt_length

__all__ = [
    "EFFECTS",
    "PAPERS",
    "BenchmarkNames",
    "Claim",
    "FurtherRuns",
    "Paper",
    "Plan",
    "PublishedCell",
    "Quantity",
    "Recipe",
    "TablePlan",
    "load_paper",
    "published_prompt_length",
]
