"""The certificate and the key of the gateway's own TLS, which are read again when they change."""

import logging
import os
import ssl
import time
from pathlib import Path
from typing import Any, Self

from adapter.durable.secret_file import NotSecret, check_secrecy

_SECONDS_BETWEEN_LOOKS = 1

_log = logging.getLogger(__name__)


class TlsError(ValueError):
    """The certificate and its key are not such that they could be served."""


class Tls:
    """`context` is for the sockets of a server.

    certbot and cert-manager put new files, or links to them, in the place of the old ones: they are looked at when a
    connection begins, at most once a second. Each connection keeps what it began with. A pair that cannot be served
    leaves the last one as it was: between two links that are changed one after the other there is such a pair.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Both in PEM; with the certificate those of its issuers."""
        self._files = certificate, key
        self._versions = self._look()
        self._looked_at = time.monotonic()
        self.context = self._latest = _load(certificate, key)
        # OpenSSL asks it of every connection, also where the caller names no server.
        self.context.sni_callback = self._choose

    @classmethod
    def configured(cls, certificate: Path | None, key: Path | None) -> Self | None:
        """None where neither is set."""
        if certificate is None and key is None:
            return None
        if certificate is None or key is None:
            raise TlsError("TORCHBRIDGE_TLS_CERTIFICATE and TORCHBRIDGE_TLS_KEY go together: set both, or neither.")
        return cls(certificate, key)

    def _choose(self, connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        """Gives the connection a context of its own: loading into the one that is served could leave half a pair."""
        now = time.monotonic()
        if now - self._looked_at >= _SECONDS_BETWEEN_LOOKS:
            self._looked_at = now
            self._read_again()
        connection.context = self._latest

    def _read_again(self) -> None:
        versions = self._look()
        if versions == self._versions:
            return
        self._versions = versions  # before the reading: what is written after this look is another version
        try:
            self._latest = _load(*self._files)
        except TlsError as error:
            _log.warning("the certificate stays as it was: %s", error)
        else:
            _log.info("the certificate was read again")

    def _look(self) -> list[tuple[int, ...] | None]:
        return [_version(file) for file in self._files]


def _version(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])

    def refuse_to_ask() -> str:  # OpenSSL would ask the terminal
        raise TlsError(f"{key} has a passphrase, for which nobody can be asked: it must be without.")

    try:
        with key.open("rb") as opened, certificate.open("rb"):  # ssl's own errors do not say which file
            check_secrecy(key, os.fstat(opened.fileno()))
        context.load_cert_chain(certificate, key, refuse_to_ask)
    except NotSecret as error:
        raise TlsError(str(error)) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"{key} is not the key of {certificate}.") from None
        raise TlsError(f"{certificate} and {key} must be a certificate and its key in PEM: {error}") from None
    except OSError as error:
        raise TlsError(f"{error.filename} cannot be read: {error.strerror}.") from None
    return context
