"""Faults of the runtime that programs written for Meta's reference still catch by its own types."""

from kollama2.errors import BadUsage


class Unmet(BadUsage, AssertionError):
    """What the reference states as an assertion."""


class Outside(BadUsage, IndexError):
    """What the reference meets as an index that is out of range."""
