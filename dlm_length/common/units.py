"""Units."""

GIB = 2**30
"""Bytes of a gibibyte."""
