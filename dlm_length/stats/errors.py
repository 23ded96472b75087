"""Data that a statistic cannot be computed from."""

from dlm_length.common import UserError


class StatisticsError(UserError):
    """The message says which quantity, over how many samples, what is wrong with it and what to do."""
