"""Errors in the files of a run."""

from dlm_length.common import UserError


class RecordError(UserError):
    """A run's files cannot be used; the message names the run, the file and the line."""


class RunInUseError(RecordError):
    """Another process has locked the folder."""
