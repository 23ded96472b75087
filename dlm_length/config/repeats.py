"""Repeats: the same run under several seeds. Each is a separate run, and reports show them as one row."""

from collections.abc import Sequence

from dlm_length.common import ConfigError, counted
from dlm_length.config.run_config import RunConfig

_SEED = "hardware.seed"


def repeated(config: RunConfig, seeds: Sequence[int] | None = None) -> tuple[RunConfig, ...]:
    """The runs of a config that differ in their seed alone, each with a name of its own.

    `seeds`: those of `--seeds`; None: `benchmark.repeats` of them, from the config's own seed on. Raises ConfigError
    where both are given, and for a seed out of range.
    """
    repeats = config.benchmark.repeats
    if seeds is None:
        first = config.hardware.seed
        seeds = range(first, first + repeats)
    elif repeats not in (1, len(seeds)):
        raise ConfigError(
            f"--seeds has {counted(len(seeds), 'seed')}, but benchmark.repeats is {repeats}: both set"
            f" the seeds, give one of them."
        )
    if beyond := [seed for seed in seeds if not 0 <= seed < 2**63]:
        raise ConfigError(f"{_SEED}: found {beyond[0]}; allowed: 0 to 2^63 - 1.")
    benchmark = config.benchmark.model_copy(update={"repeats": 1})
    return tuple(
        config.model_copy(
            update={"benchmark": benchmark, "hardware": config.hardware.model_copy(update={"seed": seed})}
        )
        for seed in seeds
    )


def read_seeds(text: str, overrides: Sequence[str] = ()) -> tuple[int, ...]:
    """The seeds of `--seeds 0,1,2`. Raises ConfigError for anything but different seeds, and for seeds in overrides."""
    seeds: list[int] = []
    for part in text.split(","):
        try:
            seeds.append(int(part))
        except ValueError:
            raise ConfigError(
                f"--seeds {text!r}: found {part.strip()!r}; allowed: integers from 0, such as 0,1,2."
            ) from None
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise ConfigError(f"--seeds {text!r}: has {twice[0]} more than once; every seed is a run of its own.")
    if given := [each for each in overrides if each.partition("=")[0].replace(" ", "") == _SEED]:
        raise ConfigError(f"{given[0]}: the seeds are those of --seeds {text}; give one of them.")
    return tuple(seeds)
