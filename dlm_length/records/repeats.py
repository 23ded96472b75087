"""Repeats, runs that differ only in their seed, recognised by their configs, recorded versions and data."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dlm_length.common import SELECTION
from dlm_length.records.run_folder import RunFolder
from dlm_length.records.schema import RunMetrics


def but_for_the_seed(config: Mapping[str, Any]) -> str:
    """The part of a config that repeats share, as text to compare: all that answers and scores depend on, but the seed.

    `config`: the content of a run's config.yaml. The seed is a field of the hardware, of which answers depend on the
    dtype too. The choice of samples is left out: the recorded sample ids are compared instead. A field that is null
    counts as absent, as it is in records of versions without the field.
    """
    decisive = {part: config.get(part) for part in ("model", "policy", "benchmark")}
    benchmark = decisive["benchmark"] or {}
    decisive["benchmark"] = {field: value for field, value in benchmark.items() if field not in SELECTION}
    hardware = config.get("hardware") or {}
    return json.dumps(_without_nulls(decisive | {"dtype": hardware.get("dtype")}), sort_keys=True)


def key_of_repeats(run: Path, config: Mapping[str, Any], metrics: RunMetrics) -> str:
    """A key that repeats share: `but_for_the_seed`, with the versions and data that are not in a config.

    That is the versions of the policy, the benchmark and its prompts, and the digest of local data, as far as the run
    recorded them. Raises RecordError where environment.json cannot be read.
    """
    versions = [metrics.policy_version, metrics.benchmark_version, metrics.prompt]
    data = {session["data_sha256"] for session in RunFolder(run).sessions if session.get("data_sha256")}
    return json.dumps([but_for_the_seed(config), versions, sorted(data)])


def seed_of(config: Mapping[str, Any]) -> int:
    """The seed in the content of a config.yaml; 0 where it has none."""
    return int((config.get("hardware") or {}).get("seed") or 0)


def are_distinct(seeds: Collection[int]) -> bool:
    """Whether no two runs have the same seed: two with the same one are not repeats of each other."""
    return len(set(seeds)) == len(seeds)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
