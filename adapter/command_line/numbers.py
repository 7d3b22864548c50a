"""Numbers of seconds, and shares, on the command line: `nan` is no less than any limit, and no more."""

import math

import typer


def finite(value: float | None) -> float | None:
    """For `callback` of an option."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a number to reckon with.")
    return value
