"""Run configs: finding, composing, overriding and validating them. `load_config` is the entry point."""

from typing import TYPE_CHECKING

from dlm_length.common.lazy import lazy_names

if TYPE_CHECKING:
    from dlm_length.config.hardware import Hardware
    from dlm_length.config.load import (
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
    from dlm_length.config.search_path import composed_configs
    from dlm_length.config.study import Block, Study, combinations, find_study
    from dlm_length.config.sweep import SWEEPS, load_sweep

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


# Completion in the shell needs `search_path` alone.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hardware": ("Hardware",),
        "load": (
            *("config_names", "config_subjects", "load_benchmark", "load_config", "load_model_spec"),
            *("section_classes", "section_names"),
        ),
        "repeats": ("read_seeds", "repeated"),
        "reproduction": ("Expected", "Reproduction", "RequestedBenchmark", "load_reproduction"),
        "run_config": ("Output", "RunConfig"),
        "schema_file": ("json_schema",),
        "search_path": ("composed_configs",),
        "study": ("Block", "Study", "combinations", "find_study"),
        "sweep": ("SWEEPS", "load_sweep"),
    },
)
