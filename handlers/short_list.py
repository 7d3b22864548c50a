from collections.abc import Iterable

_MOST = 5


def short_list(names: Iterable[str]) -> str:
    """The first names in their order, and how many there are besides: for one line that somebody reads."""
    ordered = sorted(names)
    rest = len(ordered) - _MOST
    return ", ".join(ordered[:_MOST]) + (f" and {rest} more" if rest > 0 else "")
