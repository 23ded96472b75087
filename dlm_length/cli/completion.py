"""Names that a shell completes on the command line.

Torch and data set libraries are never imported for it, and for names of configs nothing but the search path.
"""

from collections.abc import Iterable

_EQUALS = ("model", "policy", "benchmark", "hardware")
"""Sections that an override can give by name."""


def complete_config(incomplete: str) -> list[str]:
    """Run configs, then studies."""
    return _beginning(incomplete, _configs())


def complete_model(incomplete: str) -> list[str]:
    """Names of model configs."""
    return _beginning(incomplete, _named("model"))


def complete_policy(incomplete: str) -> list[str]:
    """Policies and names of policy configs."""
    return _beginning(incomplete, _named("policy"))


def complete_benchmark(incomplete: str) -> list[str]:
    """Benchmarks and names of benchmark configs."""
    return _beginning(incomplete, _named("benchmark"))


def complete_words(incomplete: str) -> list[str]:
    """Configs, and overrides that give a section by name: `hardware=cpu`."""
    section, equals, begun = incomplete.partition("=")
    if equals:
        return [f"{section}={name}" for name in _beginning(begun, _named(section))] if section in _EQUALS else []
    return _beginning(incomplete, [*_configs(), *(f"{each}=" for each in _EQUALS)])


def complete_sweep(incomplete: str) -> list[str]:
    """The sweeps by name, and what `complete_words` gives."""
    from dlm_length.config import SWEEPS

    return [*_beginning(incomplete, SWEEPS), *complete_words(incomplete)]


def complete_kind(incomplete: str) -> list[str]:
    """What `dlmlen list` lists."""
    from dlm_length.cli.listings import KINDS

    return _beginning(incomplete, KINDS)


def _configs() -> list[str]:
    from dlm_length.config import search_path

    return [*search_path.run_names(), *search_path.names(search_path.STUDIES)]


def _named(section: str) -> list[str]:
    """Names of the section's config files and, of policies and benchmarks, of registered classes."""
    from dlm_length.config import section_names

    return section_names(section)


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
