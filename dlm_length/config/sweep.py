"""Sweeps: one config under several values of one or more fields, with a baseline."""

from collections.abc import Mapping, Sequence

from dlm_length.common import ConfigError, listing, suggestion
from dlm_length.config.load import load_config
from dlm_length.config.run_config import RunConfig
from dlm_length.config.study import Study, blocks_of, combinations
from dlm_length.policies.block_causal import BlockCausal
from dlm_length.policies.fixed import Fixed

SWEEPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tau": ("policy.tau", ("0.5", "0.75", "0.9", "0.95", "0.99")),
    "delta": ("policy.delta", tuple(f"{tenth / 10:g}" for tenth in range(-5, 6))),
    "length": ("policy.length", ("64", "128", "256", "512", "1024", "2048")),
}
"""The papers' own sweeps by name: the field and its values in SmartCrop's table, its figure 2 and DAEDAL's table."""


def load_sweep(
    config: str, what: Sequence[str], values: Sequence[str] | None = None, *, baseline: str | None = None
) -> Study:
    """Runs of `config` under every combination of the values.

    `what`: names of `SWEEPS`, fields with several values (`policy.tau=0.5,0.9`), and overrides, which have one value
    (`hardware=cpu`). `values`: those of the one name or field without values in `what`. `baseline`: another config,
    `none`, or by default the fixed canvas of the same length, where the policy has one and is not block-causal. Raises
    ConfigError.
    """
    vary, overrides = _read(what, values)
    if not vary:
        raise ConfigError(f"sweep: nothing varies; give {listing(SWEEPS)}, or a field with values: policy.tau=0.5,0.9.")
    given = [override.partition("=")[0].strip() for override in (*overrides, *vary)]
    runs = [(load_config(config, [*overrides, *chosen]), chosen) for chosen in combinations(vary)]
    if "experiment" not in given:
        name = f"{runs[0][0].experiment}_sweep"
        runs = [(run.model_copy(update={"experiment": name}), chosen) for run, chosen in runs]
    blocks = blocks_of(runs, lambda members, apart: _baseline(members, baseline, [*overrides, *apart]))
    return Study(runs[0][0].experiment, tuple(blocks))


def _read(what: Sequence[str], values: Sequence[str] | None) -> tuple[dict[str, Sequence[str]], list[str]]:
    """The varied fields with their values, and the overrides."""
    vary: dict[str, Sequence[str]] = {}
    overrides: list[str] = []
    bare = [entry for entry in what if "=" not in entry]
    if values is not None and len(bare) != 1:
        raise ConfigError(
            f"--values: takes the values of one name or field, found {listing(bare) if bare else 'none'}."
        )
    for entry in what:
        field, equals, text = entry.partition("=")
        if equals:
            several = _split(text)
            if len(several) == 1:
                overrides.append(entry)
                continue
        elif field in SWEEPS:
            field, several = SWEEPS[field][0], list(values or SWEEPS[field][1])
        elif "." in field and values is not None:
            several = list(values)
        else:
            known = f"{listing(SWEEPS)}, or a dotted field with values: policy.tau=0.5,0.9"
            raise ConfigError(f"sweep: cannot vary {field!r}; allowed: {known}.{suggestion(field, SWEEPS)}")
        if twice := sorted({value for value in several if several.count(value) > 1}):
            raise ConfigError(f"sweep: {field} has {listing(twice)} more than once.")
        vary[field] = several
    return vary, overrides


def _split(text: str) -> list[str]:
    """Split at commas outside brackets: `[1,2],[3]` are two values."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _baseline(runs: Sequence[RunConfig], name: str | None, overrides: Sequence[str]) -> RunConfig | None:
    if name == "none":
        return None
    first = runs[0]
    if name is not None:
        others = [override for override in overrides if not override.startswith("policy")]
        return load_config(name, others).model_copy(update={"experiment": first.experiment})
    lengths = {getattr(run.policy, "length", None) for run in runs}
    # Models trained with block-causal attention refuse the fixed canvas.
    if isinstance(first.policy, Fixed | BlockCausal) or len(lengths) > 1 or None in lengths:
        return None
    shared = {field: getattr(first.policy, field) for field in Fixed.model_fields if field != "name"}
    return first.model_copy(update={"policy": Fixed(**shared)})
