"""The arguments of both clients."""

from collections.abc import Mapping
from typing import Any

from adapter.client.calls import Calls
from adapter.client.request import Gateway


class Configured:
    """Calls a Torchbridge gateway, which sends `api_key` as `Authorization: Bearer …` and `headers` with every request.

    Raises ValueError of an address, a key or headers that no request can have. Times are in seconds; `silence_timeout`
    is how long the gateway may send nothing: a little more than the longest answer takes, so that it is the gateway who
    says that it took too long. What failed before any event and may pass (`retryable`) is tried again `max_retries`
    times, after the answer's `retry_after` and a random time. `trust_env` takes proxies and
    certificates (SSL_CERT_FILE, SSL_CERT_DIR) from the environment, but never a password from .netrc.

    Connections are kept for the next call. A copy, by pickle or in a process that was forked, has its own.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 5,
        silence_timeout: float = 660,
        max_retries: int = 2,
        trust_env: bool = True,
    ) -> None:
        gateway = Gateway.checked(
            base_url,
            api_key=api_key,
            headers=headers or {},
            connect_timeout=connect_timeout,
            silence_timeout=silence_timeout,
        )
        self._calls = Calls(gateway, max_retries)
        self._trust_env = trust_env
        self._set_up()

    @property
    def base_url(self) -> str:
        return self._calls.gateway.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"  # and no key

    def __getstate__(self) -> dict[str, Any]:
        return {"_calls": self._calls, "_trust_env": self._trust_env}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()

    def _set_up(self) -> None:
        """Makes ready what belongs to this object and to this process alone."""
        raise NotImplementedError
