"""Runs that differ in their seed alone, known by their configs and by what they record of versions and data."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dlm_length.common import SELECTION
from dlm_length.records.run_folder import RunFolder
from dlm_length.records.schema import RunMetrics


def but_for_the_seed(config: Mapping[str, Any]) -> str:
    """What the configs of repeats have in common, as text to compare: all that decides answers and scores, less the
    seed.

    `config`: what a run's config.yaml holds. The seed stands among the machine's fields, of which only the dtype
    decides answers beside it. How its samples were chosen is left out: whether they are the same, they say themselves.
    A field that is null counts as absent, as it is in records made before there was such a field.
    """
    decisive = {part: config.get(part) for part in ("model", "policy", "benchmark")}
    asked = decisive["benchmark"] or {}
    decisive["benchmark"] = {field: value for field, value in asked.items() if field not in SELECTION}
    hardware = config.get("hardware") or {}
    return json.dumps(_without_nulls(decisive | {"dtype": hardware.get("dtype")}), sort_keys=True)


def key_of_repeats(run: Path, config: Mapping[str, Any], metrics: RunMetrics) -> str:
    """What repeats have in common: `but_for_the_seed`, and the versions and data that no config holds.

    The versions of the policy, the benchmark and its prompts, and the digest of local data, each as far as the run
    records it. Raises RecordError where environment.json cannot be read.
    """
    versions = [metrics.policy_version, metrics.benchmark_version, metrics.prompt]
    data = {session["data_sha256"] for session in RunFolder(run).sessions if session.get("data_sha256")}
    return json.dumps([but_for_the_seed(config), versions, sorted(data)])


def seed_of(config: Mapping[str, Any]) -> int:
    """A run's seed, of what its config.yaml holds; 0 where it has none."""
    return int((config.get("hardware") or {}).get("seed") or 0)


def are_distinct(seeds: Collection[int]) -> bool:
    """Whether no two runs have the same seed: such runs are no repeats of each other, whatever makes them differ."""
    return len(set(seeds)) == len(seeds)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
