"""Calls a Torchbridge gateway from Python, in the same words as ts-client does from TypeScript.

Every failure is one of adapter.errors, or ConnectionFailed, or StreamTruncated.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Required, TypedDict, Unpack

import requests

from adapter.gateway_answer import (
    ConnectionFailed,
    SentBatch,
    StreamTruncated,
    TextEvent,
    read_body,
    read_events,
    status_error,
)
from adapter.schema import GenerationResponse, ModelList, Problem

__all__ = ["ConnectionFailed", "GatewayClient", "GenerationFields", "StreamTruncated", "TextEvent"]


class GenerationFields(TypedDict, total=False):
    """The fields of adapter.schema.GenerationRequest, as they are sent: the gateway checks them."""

    prompt: Required[str]
    max_length: int
    temperature: float
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    min_p: float | None
    frequency_penalty: float
    presence_penalty: float
    logit_bias: Mapping[str, float]
    stop: str | list[str]
    seed: int | None
    min_length: int
    ignore_eos: bool
    logprobs: int | None
    prompt_logprobs: int | None
    output: Mapping[str, Any] | None
    model: str | None
    model_version: str | None


class GatewayClient:
    """Safe to share between threads. Each call has a connection of its own: one that is kept may turn out to be closed.

    `api_key` goes out as `Authorization: Bearer …`, `headers` with every request. The timeouts are in seconds;
    `silence_timeout` is how long the gateway may send nothing: a little more than the longest answer takes, so that it
    is the gateway who says that it took too long. `trust_env` takes proxies and certificates from the
    environment, but never a password from .netrc.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 5,
        silence_timeout: float = 660,
        trust_env: bool = True,
    ) -> None:
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            raise ValueError("The API key is empty or has characters that no header can carry.")
        self.base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._headers = dict(headers or {})
        self._timeout = (connect_timeout, silence_timeout)
        self._trust_env = trust_env

    def generate_text(self, **request: Unpack[GenerationFields]) -> GenerationResponse:
        """Generates a text and waits for the whole of it."""
        with self._send("POST", "/generate", request) as response:
            return read_body(response, GenerationResponse)

    @contextmanager
    def stream_text(self, **request: Unpack[GenerationFields]) -> Iterator[Iterator[TextEvent]]:
        """Generates a text and gives it as it comes: one `start`, any number of `delta`, one `done`.

        Leaving the block early cancels the request, also on the gateway.
        """
        with self._send("POST", "/generate/stream", request, accept="text/event-stream") as response:
            yield read_events(response)

    def generate_batch(self, requests: Sequence[GenerationFields]) -> tuple[GenerationResponse | Problem, ...]:
        """An answer for each request, in their order, or the problem that there was with it."""
        with self._send("POST", "/generate/batch", {"requests": requests}) as response:
            return read_body(response, SentBatch).results

    def models(self) -> ModelList:
        """The models that the gateway serves, and their versions."""
        with self._send("GET", "/models") as response:
            return read_body(response, ModelList)

    @contextmanager
    def _send(
        self, method: str, path: str, body: object = None, accept: str = "application/json"
    ) -> Iterator[requests.Response]:
        """The answer as soon as its head is here, if that says that it is a success; the block's end ends it."""
        url = self.base_url + path
        headers = {**self._headers, "accept": accept}
        if body is not None:
            headers["content-type"] = "application/json"
        with requests.Session() as session:
            session.trust_env = self._trust_env
            try:
                response = session.request(
                    method,
                    url,
                    data=None if body is None else json.dumps(body),
                    headers=headers,
                    auth=self._authorize,
                    timeout=self._timeout,
                    stream=True,
                    allow_redirects=False,  # the gateway sends none, and the key is for nobody else
                )
            except requests.RequestException as error:
                raise ConnectionFailed(url) from error
            with response:
                if response.status_code != requests.codes.ok:
                    raise status_error(response)
                yield response

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """That there is always one of these keeps requests from putting a password from .netrc in place of the key."""
        if self._api_key is not None:
            request.headers["authorization"] = f"Bearer {self._api_key}"
        return request
