"""A run's config.yaml as those read it who were not there: checked as far as reports count with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator
from ruamel.yaml import YAML

from dlm_length.records.errors import RecordError
from dlm_length.records.reading import first_fault, read_text
from dlm_length.records.run_folder import CONFIG


class _Recorded(BaseModel):
    """A part of a recorded config; whatever else it has is kept, as far as it is plain data."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]


class _RecordedPolicy(_Recorded):
    name: str | None = None
    length: int | None = None
    tau: float | None = None

    @model_validator(mode="after")
    def _has_what_is_drawn(self) -> Self:
        for field in _DRAWN.get(self.name or "", ()):
            if getattr(self, field) is None:
                raise ValueError(f"policy {self.name} without its {field}")
        return self


_DRAWN: Mapping[str, tuple[str, ...]] = {"fixed": ("length",), "smartcrop": ("length", "tau")}
"""Fields of policies that figures and baselines go by; every run writes them."""


class _RecordedBenchmark(_Recorded):
    samples_per_problem: int = 1


class _RecordedHardware(_Recorded):
    seed: int | None = None


class _RecordedConfig(_Recorded):
    """What reports count with in a run's config.yaml. Its other fields may be an earlier version's."""

    model: dict[str, JsonValue]
    policy: _RecordedPolicy
    benchmark: _RecordedBenchmark
    hardware: _RecordedHardware = _RecordedHardware()


def read_config(run: Path) -> Mapping[str, Any]:
    """What a run's config.yaml holds. Raises RecordError for a file that is not as a run wrote it."""
    file = run / CONFIG
    try:
        config = YAML(typ="safe", pure=True).load(read_text(file))
    except RecordError:
        raise
    except Exception as error:  # ruamel raises of many kinds for text that is no YAML, RecursionError among them
        raise RecordError(f"run {file}: cannot be read ({type(error).__name__}).") from error
    parts = ("model", "policy", "benchmark")
    if not isinstance(config, dict) or not all(isinstance(config.get(part), dict) for part in parts):
        raise RecordError(f"run {file}: is not the config of a run, which has {', '.join(parts)}.")
    try:
        _RecordedConfig.model_validate(config, strict=True)
    except ValidationError as error:
        raise RecordError(f"run {file}: is not as a run wrote it ({first_fault(error)}).") from error
    return config
