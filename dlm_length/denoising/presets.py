"""The samplers of model families' reference implementations, as fields of the decoder."""

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["llada", "dream", "mdlm", "illada", "sdar", "llada2"]

PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "llada": {"schedule": "linear", "remasking": "low_confidence"},
    "dream": {"schedule": "dream", "eps": 1e-3, "remasking": "entropy", "block_length": None, "tempered": True},
    "mdlm": {"schedule": "mdlm", "remasking": "low_confidence", "block_length": 32},
    "illada": {"schedule": "linear", "remasking": "low_confidence", "block_length": 32},
    "sdar": {"schedule": "linear", "remasking": "low_confidence", "block_length": 4},
    "llada2": {
        "schedule": "linear",
        "remasking": "low_confidence",
        "block_length": 32,
        "threshold": 0.95,
        "threshold_is": "above",
    },
}
"""Decoder fields by preset. Sources: generate.py of ML-GSAI/LLaDA; diffusion_generate of Dream-v0-Instruct-7B with
the `alg` of its published evaluation; MDLMSampler of ZHZisZZ/dllm; var_generate of iLLaDA; generate.py of
JetAstra/SDAR; generate of LLaDA2.0-mini with its card's settings. No preset sets the temperature; Dream's
published evaluation has temperature 0.1 and top_p 0.9."""
