"""Run configs: finding, composing, overriding and validating them. `load_config` is the entry point."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_length.config.hardware import Hardware
    from dlm_length.config.load import (
        composed_configs,
        config_names,
        config_subjects,
        load_benchmark,
        load_config,
        load_model_spec,
        section_classes,
        section_names,
    )
    from dlm_length.config.repeats import read_seeds, repeated
    from dlm_length.config.reproduction import Expected, Reproduction, RequestedBenchmark, load_reproduction
    from dlm_length.config.run_config import Output, RunConfig
    from dlm_length.config.schema_file import json_schema
    from dlm_length.config.study import Block, Study, combinations, find_study
    from dlm_length.config.sweep import SWEEPS, load_sweep

_MODULES = {
    "Hardware": "hardware",
    "json_schema": "schema_file",
    **dict.fromkeys(
        (
            *("composed_configs", "config_names", "config_subjects", "section_classes", "section_names"),
            *("load_benchmark", "load_config", "load_model_spec"),
        ),
        "load",
    ),
    **dict.fromkeys(("read_seeds", "repeated"), "repeats"),
    **dict.fromkeys(("Expected", "Reproduction", "RequestedBenchmark", "load_reproduction"), "reproduction"),
    **dict.fromkeys(("Output", "RunConfig"), "run_config"),
    **dict.fromkeys(("Block", "Study", "combinations", "find_study"), "study"),
    **dict.fromkeys(("SWEEPS", "load_sweep"), "sweep"),
}

__all__ = [
    "SWEEPS",
    "Block",
    "Expected",
    "Hardware",
    "Output",
    "Reproduction",
    "RequestedBenchmark",
    "RunConfig",
    "Study",
    "combinations",
    "composed_configs",
    "config_names",
    "config_subjects",
    "find_study",
    "json_schema",
    "load_benchmark",
    "load_config",
    "load_model_spec",
    "load_reproduction",
    "load_sweep",
    "read_seeds",
    "repeated",
    "section_classes",
    "section_names",
]


def __getattr__(name: str) -> Any:
    """Names are imported when first used, as completion in the shell needs `search_path` alone."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
