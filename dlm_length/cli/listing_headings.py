"""The headings under which `dlmlen list` shows policies and configs."""

from collections.abc import Iterable, Mapping
from pathlib import Path

ROLES = {"method": "Methods", "baseline": "Baselines", "control": "Controls: what a method's gain is compared with"}
OTHERS = "Others"
_OFFLINE = "On a laptop, offline: model and questions ship with the package"
_LAPTOP = "On a laptop: the model ships, the questions are from the hub or benchmark.path=FILE"
_STUDIES = "Studies: several runs in one command"


def policy_groups(files: Mapping[str, Path]) -> dict[str, list[str]]:
    """Names of registered policies and of policies' `files`, by heading.

    By the role that the policy declares; files for the configs of one prefix (`mini_`) have a group of their own.
    """
    from dlm_length.config import section_classes
    from dlm_length.policies import policies

    registered = policies()
    prefixes = _prefixes(files)
    classes = {name: name for name in registered} | section_classes("policy")
    groups: dict[str, list[str]] = {heading: [] for heading in ROLES.values()}
    for name in sorted({*registered, *files}):
        if name in prefixes and name not in registered:
            heading = f"For configs that begin with {prefixes[name]}_"
        else:
            declared = registered.get(classes[name] or "")
            heading = OTHERS if declared is None else ROLES[declared.role]
        groups.setdefault(heading, []).append(name)
    return groups


def config_groups(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of run configs by heading: what runs offline, what runs on a laptop, then by benchmark; studies last."""
    from dlm_length.benchmarks import is_packaged
    from dlm_length.config import config_names, config_subjects

    groups: dict[str, list[str]] = {_OFFLINE: [], _LAPTOP: []}
    subjects = config_subjects()
    for name in sorted(names):
        model, benchmark = subjects.get(name, (None, None))
        if model is None or benchmark is None:
            heading = OTHERS
        elif not model.startswith("embedded:"):
            heading = f"{benchmark}, with {Path(model).name} unless --model is given"
        else:
            heading = _OFFLINE if is_packaged(benchmark) else _LAPTOP
        groups.setdefault(heading, []).append(name)
    return groups | {_STUDIES: list(config_names()["studies"])}


def _prefixes(files: Mapping[str, Path]) -> dict[str, str]:
    """By the name of a policy's file, the prefix of the configs that are composed with it."""
    from dlm_length.config import composed_configs

    found = {}
    for config, pair in composed_configs().items():
        if pair.policy in files:
            found[pair.policy] = _common_words(config, pair.policy)
    return found


def _common_words(one: str, other: str) -> str:
    words = []
    for first, second in zip(one.split("_"), other.split("_"), strict=False):
        if first != second:
            break
        words.append(first)
    return "_".join(words)
