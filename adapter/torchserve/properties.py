"""TorchServe's configuration file, as Java reads it (java.util.Properties.load)."""

import re
from collections.abc import Iterator
from pathlib import Path

# Its blanks are space, tab and form feed, and a backslash makes of whatever comes next a part of the key.
_PAIR = re.compile(r"(?P<key>(?:\\.|[^\\=: \t\f])*)[ \t\f]*(?:[=:][ \t\f]*)?(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class PropertiesError(ValueError):
    """TorchServe cannot be started with this configuration; the message says why."""


def read_properties(path: Path) -> dict[str, str]:
    """The last of two lines with one key counts. Raises PropertiesError where there is no such file of text."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PropertiesError(f"{path}, TorchServe's configuration, cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise PropertiesError(f"{path}, TorchServe's configuration, is not text in UTF-8.") from error
    pairs = (_PAIR.fullmatch(line) for line in _logical_lines(text))
    return {_unescaped(pair["key"]): _unescaped(pair["value"]) for pair in pairs if pair}


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments and empty ones; one that ends with an odd number of backslashes goes on in the next."""
    begun = ""
    for line in re.split(r"\r\n|\r|\n", text):
        content = line.lstrip(" \t\f")
        if not begun and (not content or content[0] in "#!"):
            continue
        begun += content
        if (len(begun) - len(begun.rstrip("\\"))) % 2:
            begun = begun[:-1]
        elif begun:
            yield begun
            begun = ""
    if begun:
        yield begun


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _CONTROL.get(found[2], found[2]), text)
