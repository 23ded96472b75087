"""Reading a recorded config.yaml, of this or an earlier version: only what reports use is validated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator
from ruamel.yaml import YAML

from dlm_length.records.errors import RecordError
from dlm_length.records.reading import first_fault, read_text
from dlm_length.records.run_folder import CONFIG


class _Recorded(BaseModel):
    """A part of a recorded config; other fields of JSON types are kept."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]


class _RecordedPolicy(_Recorded):
    name: str | None = None
    length: int | None = None
    tau: float | None = None

    @model_validator(mode="after")
    def _has_required_fields(self) -> Self:
        for field in _REQUIRED.get(self.name or "", ()):
            if getattr(self, field) is None:
                raise ValueError(f"policy {self.name} without its {field}")
        return self


_REQUIRED: Mapping[str, tuple[str, ...]] = {"fixed": ("length",), "smartcrop": ("length", "tau")}
"""Policy -> fields that figures and baselines use, and that every run of it records."""


class _RecordedBenchmark(_Recorded):
    samples_per_problem: int = 1


class _RecordedHardware(_Recorded):
    seed: int | None = None


class _RecordedConfig(_Recorded):
    """The fields of a run's config.yaml that reports use. Others may be those of an earlier version."""

    model: dict[str, JsonValue]
    policy: _RecordedPolicy
    benchmark: _RecordedBenchmark
    hardware: _RecordedHardware = _RecordedHardware()


def read_config(run: Path) -> Mapping[str, Any]:
    """The content of a run's config.yaml. Raises RecordError for a file that no run can have written."""
    file = run / CONFIG
    try:
        config = YAML(typ="safe", pure=True).load(read_text(file))
    except RecordError:
        raise
    except Exception as error:  # ruamel raises many types for text that is not YAML, RecursionError among them
        raise RecordError(f"run {file}: cannot be read ({type(error).__name__}).") from error
    parts = ("model", "policy", "benchmark")
    if not isinstance(config, dict) or not all(isinstance(config.get(part), dict) for part in parts):
        raise RecordError(f"run {file}: is not the config of a run, which has {', '.join(parts)}.")
    try:
        _RecordedConfig.model_validate(config, strict=True)
    except ValidationError as error:
        raise RecordError(f"run {file}: is not as a run wrote it ({first_fault(error)}).") from error
    return config
