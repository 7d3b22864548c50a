"""The peers, and how each is started, asked and stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from benchmarks.peers.environments import pinned_version, python_of
from benchmarks.random_models import CACHE

_SECONDS_TO_START = 240
_SECONDS_TO_STOP = 30
_SECONDS_BETWEEN_LOOKS = 0.25


class PeerFailed(RuntimeError):
    """A peer ended, or does not answer; the message names its log."""


def _generate_body(prompt: str, max_length: int) -> dict[str, object]:
    return {"prompt": prompt, "max_length": max_length, "temperature": 0}


def _chat_body(prompt: str, max_length: int) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_length, "temperature": 0}


def _generated_text(answer: Any) -> str:
    return str(answer["text"])


def _chat_text(answer: Any) -> str:
    return str(answer["choices"][0]["message"]["content"])


@dataclass(frozen=True)
class Peer:
    name: str
    server: str
    environment: str | None = None
    """None is our own: the peer is one of our own dependencies."""
    path: str = "/generate"
    is_ready_path: str = "/health"
    body: Callable[[str, int], dict[str, object]] = _generate_body
    text: Callable[[Any], str] = _generated_text

    def command(self, model: Path, port: int, threads: int) -> list[str]:
        python = Path(sys.executable) if self.environment is None else python_of(self.environment)
        server = Path(__file__).with_name(f"{self.server}.py")
        arguments = ("--model", str(model.resolve()), "--port", str(port), "--threads", str(threads))
        return [str(python), str(server), *arguments]


PEERS: tuple[Peer, ...] = (
    Peer(f"FastAPI {version('fastapi')} around generate", "fastapi_wrapper", is_ready_path="/openapi.json"),
    Peer(
        f"TorchServe {version('torchserve')}, dynamic batching",
        "torchserve_batching",
        path="/predictions/generate",
        is_ready_path="/ping",
    ),
    Peer(f"LitServe {pinned_version('litserve', 'litserve')}, batching", "litserve_batching", "litserve"),
    Peer(
        f"transformers serve {pinned_version('transformers', 'transformers[serving]')}, continuous batching",
        "transformers_serve",
        "transformers",
        path="/v1/chat/completions",
        body=_chat_body,
        text=_chat_text,
    ),
    Peer(
        f"CTranslate2 {pinned_version('ctranslate2', 'ctranslate2')}",
        "ctranslate2_server",
        "ctranslate2",
        is_ready_path="/openapi.json",
    ),
)


@contextlib.contextmanager
def running(peer: Peer, model: Path, threads: int) -> Iterator[str]:
    """The base URL of the peer, which has answered once and is stopped at the end, with all of its processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = CACHE / "logs" / f"{peer.server}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            peer.command(model, port, threads),
            cwd=log.parent,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_answer(peer, process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        _stop(process)


def _wait_for_answer(peer: Peer, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PeerFailed(f"{peer.name} ended with {process.returncode}. See {log}.")
        with contextlib.suppress(requests.RequestException):
            if requests.get(url + peer.is_ready_path, timeout=5).ok:
                answer = requests.post(url + peer.path, json=peer.body("aaaa baaa", 2), timeout=60)
                if answer.ok:
                    return
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    raise PeerFailed(f"{peer.name} does not answer after {_SECONDS_TO_START} s. See {log}.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_STOP)
    # What the peer started may outlive it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
