"""Runs that differ in their seed alone, known by their configs."""

import json
from collections.abc import Mapping
from typing import Any

from dlm_length.common import SELECTION


def but_for_the_seed(config: Mapping[str, Any]) -> str:
    """What repeats of a run have in common, as text to compare: all that decides answers and scores, less the seed.

    `config`: what a run's config.yaml holds. The seed stands among the machine's fields, of which only the dtype
    decides answers beside it. How its samples were chosen is left out: whether they are the same, they say themselves.
    """
    decisive = {part: config.get(part) for part in ("model", "policy", "benchmark")}
    asked = decisive["benchmark"] or {}
    decisive["benchmark"] = {field: value for field, value in asked.items() if field not in SELECTION}
    hardware = config.get("hardware") or {}
    return json.dumps(decisive | {"dtype": hardware.get("dtype")}, sort_keys=True)
