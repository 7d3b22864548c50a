"""Errors in the set-up of traces."""


class TracingError(ValueError):
    """A variable or a setting of traces makes no sense; the message says which, and what to do."""
