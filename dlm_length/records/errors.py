"""A run on disk that cannot be used."""

from dlm_length.common import UserError


class RecordError(UserError):
    """The message names the run, the file and the line."""


class RunInUseError(RecordError):
    """Another process holds the folder."""
