"""Asks a running gateway on this machine, over its control socket."""

import socket
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from adapter.control.messages import (
    CanaryList,
    CanaryReport,
    CanaryRequest,
    DefaultModelRequest,
    HoldRequest,
    TrafficReport,
)
from adapter.control.unix_connection import UnixConnection
from adapter.durable.lock import is_held
from adapter.torchserve.run_paths import RunPaths

_TIMEOUT = 30  # seconds; TorchServe has to answer within it, too
_FIRST_FAILURE = 400

_Answer = TypeVar("_Answer", bound=BaseModel)


def without_socket(path: Path) -> str:
    """Of a server that runs. It may answer callers: they need no control socket."""
    remedy = f"or {path.name} was deleted: then stop it and start it again."
    return f"The server in {path.parent} is still starting, {remedy}"


class GatewayNotRunning(RuntimeError):
    """No gateway listens at the control socket, or it stopped in the middle of an answer."""


class ControlClient:
    """Every failure is GatewayNotRunning or one of adapter.errors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_answered(self) -> bool:
        """Whether a gateway listens there. Its socket's file alone is no sign: a killed one leaves it."""
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            try:
                connection.connect(str(self._path))
            except OSError:
                return False
        return True

    def traffic(self) -> TrafficReport:
        """After it returns, every later request gets the default version that the report names."""
        return self._parse(self._send("GET", "/traffic"), TrafficReport)

    def metrics(self) -> str:
        """In Prometheus' text format."""
        return self._send("GET", "/metrics").decode()

    def set_default_model(self, model: str) -> None:
        """Makes it the model of requests that name none. Fails if it is not there, or has no ready worker."""
        self._send("PUT", "/default-model", DefaultModelRequest(model=model))

    def hold(self, model: str, version: str) -> None:
        """Keeps new requests from this version for HOLD_SECONDS."""
        self._send("PUT", "/holds", HoldRequest(model=model, version=version, is_held=True))

    def release(self, model: str, version: str) -> None:
        self._send("PUT", "/holds", HoldRequest(model=model, version=version, is_held=False))

    def begin_canary(self, request: CanaryRequest) -> CanaryReport:
        """It lasts for CANARY_SECONDS."""
        return self._parse(self._send("PUT", "/canaries", request), CanaryReport)

    def canaries(self) -> tuple[CanaryReport, ...]:
        """The canaries that run."""
        return self._parse(self._send("GET", "/canaries"), CanaryList).canaries

    def renew_canary(self, canary_id: str) -> CanaryReport:
        """Renews it for CANARY_SECONDS. Fails if it has ended, or if a compared version is not there any more."""
        return self._parse(self._send("PUT", f"/canaries/{canary_id}"), CanaryReport)

    def end_canary(self, canary_id: str) -> None:
        self._send("DELETE", f"/canaries/{canary_id}")

    def abort_canary(self, canary_id: str) -> None:
        """Ends it as end_canary does, and its watcher is told."""
        self._send("POST", f"/canaries/{canary_id}/abort")

    def _send(self, method: str, path: str, body: BaseModel | None = None) -> bytes:
        headers = {"content-type": "application/json"} if body else {}
        content = body.model_dump_json() if body else None
        try:
            with closing(UnixConnection(self._path, _TIMEOUT)) as connection:
                connection.request(method, path, content, headers)
                response = connection.getresponse()
                status, answer = response.status, response.read()
        except (OSError, HTTPException) as error:
            raise GatewayNotRunning(self._why_there_is_none()) from error
        if status >= _FIRST_FAILURE:
            raise self._failure(answer)
        return answer

    def _why_there_is_none(self) -> str:
        directory = RunPaths(self._path.parent)
        if is_held(directory.lock_file) and not self.is_answered():
            return without_socket(self._path)
        return f"No gateway runs in {self._path.parent}: torchbridge serve starts one."

    def _failure(self, answer: bytes) -> Exception:
        from adapter.errors import from_problem  # noqa: PLC0415 - the whole contract, which no success has a use for
        from adapter.schema import Problem  # noqa: PLC0415

        return from_problem(self._parse(answer, Problem))

    def _parse(self, content: bytes, answer: type[_Answer]) -> _Answer:
        try:
            return answer.model_validate_json(content)
        except ValidationError as error:
            from adapter.errors import UpstreamProtocol  # noqa: PLC0415 - as above

            cause = f"{content[:100]!r}"
            raise UpstreamProtocol("The gateway's answer is not one of its own.", cause=cause) from error
