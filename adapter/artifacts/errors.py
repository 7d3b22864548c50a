"""Failures of a registry, or of the way to it, as one error in plain words and without a secret."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from dxf.exceptions import DXFAuthInsecureError, DXFError, DXFUnauthorizedError

_NOT_LET_IN = (requests.codes.unauthorized, requests.codes.forbidden)


class ArtifactError(ValueError):
    """An archive cannot be pushed or pulled, and the message says why."""


class NotThere(ArtifactError):
    """The registry has nothing of this name."""


class Unreachable(ArtifactError):
    """No answer came, or the connection broke within it."""


@contextmanager
def in_words(host: str, what: str) -> Iterator[None]:
    """Raises ArtifactError in place of what is raised in the block, where `host` is asked for `what`."""
    try:
        yield
    except DXFUnauthorizedError:
        raise ArtifactError(_refusal(host, what, requests.codes.unauthorized)) from None
    except DXFAuthInsecureError:
        raise ArtifactError(f"{host} asks for a login, which is sent by TLS only: it has to speak it.") from None
    except DXFError as error:
        raise ArtifactError(f"{host} does not answer as a registry does for {what}: {error}.") from error
    except requests.HTTPError as error:
        status = error.response.status_code
        kind = NotThere if status == requests.codes.not_found else ArtifactError
        raise kind(_refusal(host, what, status)) from None
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise Unreachable(_unreachable(host, error)) from error
    except ArtifactError:
        raise
    except (requests.RequestException, KeyError, ValueError) as error:  # also if a header is missing, or is no address
        raise ArtifactError(f"{host} does not answer as a registry does for {what}.") from error


def _refusal(host: str, what: str, status: int) -> str:
    if status == requests.codes.not_found:
        return f"{host} has no {what}."
    if status in _NOT_LET_IN:
        return (
            f"{host} does not give access to {what}: docker login {host}, or podman login, keeps a user name and a "
            "password for it."
        )
    if status == requests.codes.too_many_requests:
        return f"{host} takes no more requests for a while: try again later."
    if status == requests.codes.requested_range_not_satisfiable:
        return f"{host} has less of {what} than its manifest says."
    return f"{host} answered {status} for {what}."


def _unreachable(host: str, error: BaseException) -> str:
    match root := _root(error):
        case socket.gaierror():
            return f"There is no host {host}: {root.strerror}."
        case ssl.SSLCertVerificationError():
            return f"{host} has a certificate that is not trusted: {root.verify_message}."
        case OSError() if root.strerror:
            return f"{host} cannot be reached: {root.strerror}."
        case TimeoutError():
            return f"{host} does not answer."
        case _:
            return f"The connection to {host} broke."


def _root(error: BaseException) -> BaseException:
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error
