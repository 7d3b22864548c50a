"""Requests as they go out, and what is refused before they do."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from adapter.client.fields import CallOptions
from adapter.errors import InvalidRequest
from adapter.schema import FieldError

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

_MARGIN = 5.0  # seconds that the gateway has beyond a call's timeout, to say itself that it took too long
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~]([\t -~]*[!-~])?|")
_URL = re.compile(r"[!-~]+")


@dataclass(frozen=True, repr=False)  # it would show the key
class Request:
    """`read_timeout` is in seconds, between two pieces of the answer; `limit` for all of it."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    connect_timeout: float
    read_timeout: float
    limit: float | None


@dataclass(frozen=True, repr=False)  # it would show the key
class Gateway:
    """Where requests go to, and what is the same in all of them."""

    url: str
    headers: Mapping[str, str]
    connect_timeout: float
    silence_timeout: float

    @classmethod
    def checked(
        cls,
        base_url: str,
        *,
        api_key: str | None,
        headers: Mapping[str, str],
        connect_timeout: float,
        silence_timeout: float,
    ) -> Self:
        """Raises ValueError."""
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            raise ValueError("The API key is empty or has characters that no header can carry.")
        for name, seconds in {"connect_timeout": connect_timeout, "silence_timeout": silence_timeout}.items():
            _check_seconds(name, seconds)
        authorization = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        all_headers = {"user-agent": "torchbridge-python", **_checked_headers(headers), **authorization}
        return cls(_checked_url(base_url).rstrip("/"), all_headers, connect_timeout, silence_timeout)

    def request(self, method: str, path: str, options: CallOptions, body: object = None, accept: str = JSON) -> Request:
        """Raises InvalidRequest if JSON cannot carry the body, ValueError if no header can carry an option."""
        limit = options.get("timeout")
        headers = {**self.headers, **_checked_headers(options.get("headers", {})), **_option_headers(options)}
        headers["accept"] = accept
        if body is not None:
            headers["content-type"] = JSON
        return Request(
            method,
            self.url + path,
            headers,
            None if body is None else _encode(body),
            self.connect_timeout,
            self.silence_timeout if limit is None else min(self.silence_timeout, limit + _MARGIN),
            None if limit is None else limit + _MARGIN,
        )


def _checked_url(url: str) -> str:
    if "://" not in url:
        raise ValueError(f"The gateway's address needs a scheme, such as http://{url}")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"The gateway's address is not valid: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("The gateway's address must have no user and no password: see api_key and headers.")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"The gateway's address must begin with http:// or https://, and not with {parts.scheme}://")
    if not has_host or parts.query or parts.fragment or not _URL.fullmatch(url):
        raise ValueError(f"The gateway's address has no host, or something besides host, port and path: {url!r}")
    return url


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Their names in lower case. A value is not repeated: it may be secret."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no header's name.")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"The header {name} has a character that it cannot carry, or a blank at an end.")
    return {name.lower(): value for name, value in headers.items()}


def _option_headers(options: CallOptions) -> dict[str, str]:
    times = {"timeout": options.get("timeout"), "first_token_timeout": options.get("first_token_timeout")}
    for name, seconds in times.items():
        if seconds is not None:
            _check_seconds(name, seconds)
    headers = {
        "x-request-timeout": times["timeout"],
        "x-first-token-timeout": times["first_token_timeout"],
        "x-request-id": options.get("request_id"),
        "x-user": options.get("user"),
        "cache-control": None if options.get("use_cache", True) else "no-cache",
    }
    return _checked_headers({name: str(value) for name, value in headers.items() if value is not None})


def _check_seconds(name: str, seconds: float) -> None:
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} is in seconds, above 0: {seconds}")


def _encode(body: object) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except ValueError:
        errors = tuple(_faults(body, ()))
        if not errors:
            raise  # such as a list that holds itself
        detail = "; ".join(f"{error.field} {error.message}" for error in errors)
        raise InvalidRequest(f"The request is not valid: {detail}.", errors=errors) from None


def _faults(value: object, path: tuple[str, ...]) -> Iterator[FieldError]:
    """The values that JSON or UTF-8 cannot express."""
    children: Iterator[tuple[Any, Any]] = iter(())
    match value:
        case float() if not math.isfinite(value):
            yield FieldError(field=".".join(path), message="must be a finite number")
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            yield FieldError(field=".".join(path), message="must have no lone surrogates: no text in UTF-8 has them")
        case Mapping():
            children = iter(value.items())
        case list() | tuple():
            children = iter(enumerate(value))
    for name, child in children:
        yield from _faults(child, (*path, str(name)))
