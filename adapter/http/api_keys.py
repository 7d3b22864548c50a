"""The API keys that callers may present, each with the name that logs, metrics and rate limits may show.

Only SHA-256 digests of the keys are held: no repr, message or log can show what is not there.
"""

import hashlib
import hmac
import logging
import os
import re
import time
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import SecretStr

from adapter.durable.secret_file import NotSecret, check_secrecy

_MIN_KEY_CHARACTERS = 16
_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what a Bearer header can carry (RFC 6750, section 2.1): no colon, no comma
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECONDS_BETWEEN_LOOKS = 1

_log = logging.getLogger(__name__)


class ApiKeysError(ValueError):
    """The API keys are not set in a way that could work."""


class _Key(NamedTuple):
    name: str
    digest: bytes


class ApiKeys:
    """Keys from `source`: `name:key` entries, between commas or on lines of their own.

    A key without a name is called by the beginning of its digest, which stays with it: rate limits and cached
    answers go by the name, and a place in the list would be handed on when the list changes.

    A running process cannot be given another environment, so a file is what allows new keys without a restart: it is
    looked at when somebody asks, at most once a second. One that cannot be read or is wrong leaves the keys as they
    were; an emptied one leaves none, and everybody is refused.
    """

    def __init__(self, source: SecretStr | Path) -> None:
        self._file = source if isinstance(source, Path) else None
        self._version = _version(source) if isinstance(source, Path) else None
        self._looked_at = time.monotonic()
        self._keys = _read(source) if isinstance(source, Path) else _parse(source.get_secret_value())
        if not self._keys:
            raise ApiKeysError("API keys are asked for, but none is given.")

    @classmethod
    def configured(cls, keys: SecretStr | None, file: Path | None, *, setting: str = "API_KEYS") -> Self | None:
        """None where neither is set. `setting`: its name, for errors."""
        name = f"TORCHBRIDGE_{setting}"
        if keys is not None and file is not None:
            raise ApiKeysError(f"{name} and {name}_FILE are both set: keep one of them.")
        source = keys if file is None else file
        try:
            return None if source is None else cls(source)
        except ApiKeysError as error:
            raise ApiKeysError(f"{name if file is None else f'{name}_FILE'}: {error}") from None

    def name_of(self, presented: bytes) -> str | None:
        """Compares with every key, so that the time it takes tells nothing of any of them."""
        self._look_at_file()
        digest = hashlib.sha256(presented).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.name
        return found

    def _look_at_file(self) -> None:
        now = time.monotonic()
        if self._file is None or now - self._looked_at < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked_at = now
        version = _version(self._file)
        if version == self._version:
            return
        self._version = version  # before the reading: what is written after this look is another version
        try:
            self._keys = _read(self._file)
        except ApiKeysError as error:
            _log.warning("the API keys stay as they were: %s", error)
        else:
            level = logging.INFO if self._keys else logging.WARNING
            _log.log(level, "the API keys were read again: %d of them", len(self._keys))


def _version(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    # The time of change, unlike that of modification, cannot be set back, and moves with the permissions too.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(file: Path) -> list[_Key]:
    try:
        with file.open("rb") as opened:
            check_secrecy(file, os.fstat(opened.fileno()))
            content = opened.read()
    except OSError as error:
        raise ApiKeysError(f"{file} cannot be read: {error.strerror}.") from None
    except NotSecret as error:
        raise ApiKeysError(str(error)) from None
    return _parse(content.decode("utf-8-sig", "replace"))


def _parse(text: str) -> list[_Key]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
    return [_parse_entry(number, entry) for number, entry in enumerate(entries, start=1)]


def _parse_entry(number: int, entry: str) -> _Key:
    # The messages show nothing of the entry: what looks like a name may be a part of a key.
    name, colon, key = entry.rpartition(":")
    if colon and not _NAME.fullmatch(name):
        raise ApiKeysError(f"The name of API key {number} must be 1 to 64 letters, digits, '.', '_' or '-'.")
    if len(key) < _MIN_KEY_CHARACTERS:
        raise ApiKeysError(f"API key {number} has fewer than {_MIN_KEY_CHARACTERS} characters.")
    if not _KEY.fullmatch(key):
        raise ApiKeysError(f"API key {number} must be letters, digits, '.', '_', '~', '+', '/' or '-', then any '='.")
    digest = hashlib.sha256(key.encode()).digest()
    return _Key(name or f"key-{digest.hex()[:8]}", digest)
