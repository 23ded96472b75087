"""Errors for checkpoints that cannot be used."""

from dlm_length.common import UserError


class CheckpointError(UserError):
    """The message names the checkpoint, the file or weight, what was found and what is expected."""


class AbsentCheckpointError(CheckpointError):
    """A checkpoint that is not on this machine, and may well be on another."""
