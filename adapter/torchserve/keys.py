"""TorchServe's authorization keys: read from its key file, renewed through its token API before they expire.

TorchServe keeps one key per API, valid for 60 minutes, and renews nothing by itself. A renewal invalidates the old key
at once, and the new one is written to the file only. No key ever appears in a repr, a message or a log.
"""

import fcntl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Literal

import requests
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, ValidationError

from adapter.errors import UpstreamUnavailable

KeyKind = Literal["inference", "management"]

_RENEW_BEFORE = timedelta(seconds=60)
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 3, 30  # seconds
_READ_ATTEMPTS = 20
_SECONDS_BETWEEN_READS = 0.05


class _ApiKey(BaseModel):
    key: SecretStr


class _Key(_ApiKey):
    expires_at: AwareDatetime = Field(alias="expiration time")


class _Keys(BaseModel):
    inference: _Key
    management: _Key
    api: _ApiKey = Field(alias="API")

    def of(self, kind: KeyKind) -> _Key:
        return self.inference if kind == "inference" else self.management


def send_with_key(
    method: str, url: str, key: str, query: dict[str, str] | None = None, timeout: float | None = None
) -> requests.Response:
    """One request to TorchServe's management address, on a connection of its own."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # neither a proxy nor ~/.netrc, which would replace the authorization
            return session.request(
                method,
                url,
                params=query,
                headers={"Authorization": f"Bearer {key}"},
                timeout=(_CONNECT_TIMEOUT, timeout or _ANSWER_TIMEOUT),
                allow_redirects=False,
            )
    except requests.RequestException as error:
        cause = f"{method} {url}: {type(error).__name__}"
        raise UpstreamUnavailable("TorchServe does not answer. Is it running?", cause=cause) from None


@dataclass
class KeyFile:
    """The keys of the TorchServe that writes `path` and answers at `management_url`. Safe to share between threads.

    Every method blocks for a file read, and for one request where a key has to be renewed.
    """

    path: Path
    management_url: str
    _renewing: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    _renew_before: timedelta = field(default=_RENEW_BEFORE, init=False, repr=False, compare=False)
    _api_key: SecretStr | None = field(default=None, init=False, repr=False, compare=False)
    _writing_anew: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def inference_key(self) -> str:
        return self._current("inference")

    def management_key(self) -> str:
        return self._current("management")

    def renew(self, kind: KeyKind, refused: str | None = None) -> None:
        """Replaces the key of `kind`; where `refused` is given, only if the file still holds that very key."""
        self._renew(kind, lambda key: refused in (None, key.key.get_secret_value()))

    def _current(self, kind: KeyKind) -> str:
        key = self._read().of(kind)
        if self._is_due(key):
            try:
                self._renew(kind, self._is_due)
            except UpstreamUnavailable:
                if _remaining(key) <= timedelta(0):
                    raise
            key = self._read().of(kind)
        return key.key.get_secret_value()

    def _is_due(self, key: _Key) -> bool:
        return _remaining(key) <= self._renew_before

    def _renew(self, kind: KeyKind, is_needed: Callable[[_Key], bool]) -> None:
        # TorchServe rewrites the file in place (TokenAuthorization.java:165), so a lock on it holds between processes:
        # without one, the gateway and the command line would invalidate each other's new keys.
        with self._renewing, self._open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            keys = self._read()
            if is_needed(keys.of(kind)):
                self._request_renewal(kind, keys.api.key)
                # The file does not say how long a key lives in all; with a longer margin every call would renew.
                self._renew_before = min(_RENEW_BEFORE, _remaining(self._read().of(kind)) / 4)

    def _request_renewal(self, kind: KeyKind, api_key: SecretStr) -> None:
        url = f"{self.management_url.rstrip('/')}/token"
        response = send_with_key("GET", url, api_key.get_secret_value(), {"type": kind})
        if response.status_code != requests.codes.ok:
            raise UpstreamUnavailable(
                "TorchServe refuses to renew its key. Was it restarted elsewhere?",
                cause=f"renewing the {kind} key: status {response.status_code}",
            )

    def _read(self) -> _Keys:
        # TorchServe truncates the file and then writes it: a reader may come in between.
        for _ in range(_READ_ATTEMPTS):
            with self._open() as file:
                content = file.read()
            try:
                keys = _Keys.model_validate_json(content)
            except ValidationError:
                time.sleep(_SECONDS_BETWEEN_READS)
            else:
                self._api_key = keys.api.key
                return keys
        raise UpstreamUnavailable("TorchServe's key file is damaged. Restart TorchServe.", cause=f"at {self.path}")

    def _open(self) -> BufferedReader:
        try:
            return self._open_or_write_anew()
        except OSError as error:
            raise UpstreamUnavailable(
                "TorchServe's keys cannot be read. Is it running?", cause=f"{self.path}: {error.strerror}"
            ) from None

    def _open_or_write_anew(self) -> BufferedReader:
        """Opens the file. If it is lost TorchServe writes it anew: with each new key it writes all of them."""
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            if self._api_key is None:
                raise
        with self._writing_anew:
            if not self.path.exists():
                self._request_renewal("management", self._api_key)
        return self.path.open("rb")


def _remaining(key: _Key) -> timedelta:
    return key.expires_at - datetime.now(UTC)
