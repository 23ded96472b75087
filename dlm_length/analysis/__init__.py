"""Reads, groups and compares finished runs: numbers and frames for reports and notebooks, without text for people."""

from dlm_length.analysis.frames import Analysis, load_runs

__all__ = ["Analysis", "load_runs"]
