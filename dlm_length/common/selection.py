"""Which of a benchmark's samples a run is asked for."""

SELECTION = ("limit", "subset_seed", "sample_ids")
"""Fields of a benchmark that choose among its problems, and change none of them."""
