"""The order in which people count versions: 2.0 comes before 10.0."""

import re

_NUMBER = re.compile(r"([0-9]+)")


def version_order(version: str) -> tuple[list[str | int], str]:
    """For `key` of a sort: by its numbers, as `sort -V` does; what differs in zeros alone (1.01, 1.1) by the text."""
    parts = _NUMBER.split(version)  # text and numbers in turn, beginning with a text
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], version
