"""A run's config: found, composed, overridden, checked. `load_config` is the door."""

from dlm_length.config.hardware import Hardware
from dlm_length.config.json_schema import json_schema
from dlm_length.config.load import config_names, load_benchmark, load_config
from dlm_length.config.run_config import Output, RunConfig

__all__ = ["Hardware", "Output", "RunConfig", "config_names", "json_schema", "load_benchmark", "load_config"]
