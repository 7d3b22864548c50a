"""What is wrong with how traces are set up."""


class TracingError(ValueError):
    """A variable or a setting of traces makes no sense; the message says which, and what to do."""
