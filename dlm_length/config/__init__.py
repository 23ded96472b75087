"""A run's config: found, composed, overridden, validated. `load_config` is the entry point."""

from dlm_length.config.hardware import Hardware
from dlm_length.config.json_schema import json_schema
from dlm_length.config.load import (
    composed_configs,
    config_names,
    load_benchmark,
    load_config,
    load_model_spec,
    section_names,
)
from dlm_length.config.repeats import read_seeds, repeated
from dlm_length.config.reproduction import Asked, Expected, Reproduction, load_reproduction
from dlm_length.config.run_config import Output, RunConfig
from dlm_length.config.study import Block, Study, combinations, find_study
from dlm_length.config.sweep import SWEEPS, load_sweep

__all__ = [
    "SWEEPS",
    "Asked",
    "Block",
    "Expected",
    "Hardware",
    "Output",
    "Reproduction",
    "RunConfig",
    "Study",
    "combinations",
    "composed_configs",
    "config_names",
    "find_study",
    "json_schema",
    "load_benchmark",
    "load_config",
    "load_model_spec",
    "load_reproduction",
    "load_sweep",
    "read_seeds",
    "repeated",
    "section_names",
]
