"""The choice of a benchmark's samples for a run."""

SELECTION = ("limit", "subset_seed", "sample_ids")
"""Fields of a benchmark that choose among its problems without changing any."""
