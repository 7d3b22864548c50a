"""The HTTP library's exceptions as ours."""

import socket
import ssl
from collections.abc import Iterator

import httpx2

from adapter.client.errors import (
    AnswerBroken,
    ConnectionFailed,
    ConnectionRefused,
    HostUnknown,
    NotTrusted,
    TimedOut,
)


def failure(error: httpx2.HTTPError, url: str) -> ConnectionFailed:
    """The exception for what went wrong with an answer from `url`."""
    match error:
        case httpx2.ConnectTimeout():
            return TimedOut(f"No connection to {url} came about in time.", url=url)
        case httpx2.TimeoutException():
            return TimedOut(f"{url} sent nothing for too long.", url=url)
        case httpx2.ConnectError():
            return _connect_failure(error, url)
        case httpx2.ProxyError():
            return ConnectionFailed(f"The proxy before {url} failed: {error}.", url=url)
    return AnswerBroken(f"The connection to {url} ended before its whole answer was here.", url=url)


def _connect_failure(error: httpx2.ConnectError, url: str) -> ConnectionFailed:
    for cause in _causes(error):
        match cause:
            case ssl.SSLError():
                return NotTrusted(f"No TLS connection to {url} can be trusted: {cause}.", url=url, is_final=True)
            case socket.gaierror():
                is_final = cause.errno != socket.EAI_AGAIN
                return HostUnknown(f"The host of {url} is not known: {cause.strerror}.", url=url, is_final=is_final)
            case ConnectionRefusedError():
                return ConnectionRefused(f"Nothing listens at {url}.", url=url)
    return ConnectionFailed(f"The connection to {url} failed: {error}.", url=url)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes. A host with several addresses has a failure for each."""
    yield error
    for cause in error.exceptions if isinstance(error, BaseExceptionGroup) else (error.__cause__ or error.__context__,):
        if cause is not None:
            yield from _causes(cause)
