"""Errors for data from which a statistic cannot be computed."""

from dlm_length.common import UserError


class StatisticsError(UserError):
    """A statistic cannot be computed; the message names the quantity, its fault and what to do."""
