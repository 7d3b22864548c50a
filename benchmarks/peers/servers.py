"""The peers, and how each is started, asked and stopped."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from benchmarks.own_stack import generation
from benchmarks.peers.environments import pinned_version, python_of
from benchmarks.project import PROJECT
from benchmarks.server_process import ServerProcess, answers


def _chat_body(prompt: str, max_length: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_length, "temperature": 0}


@dataclass(frozen=True)
class Peer:
    name: str
    server: str
    environment: str | None = None
    """None is our own: the peer is one of our own dependencies."""
    path: str = "/generate"
    is_ready_path: str = "/health"
    body: Callable[[str, int], dict[str, Any]] = generation

    def command(self, model: Path, threads: int) -> list[str]:
        python = Path(sys.executable) if self.environment is None else python_of(self.environment)
        arguments = ("--model", str(model.resolve()), "--port", "{port}", "--threads", str(threads))
        return [str(python), "-m", f"benchmarks.peers.{self.server}", *arguments]


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
    ),
    Peer(
        f"CTranslate2 {pinned_version('ctranslate2', 'ctranslate2')}",
        "ctranslate2_server",
        "ctranslate2",
        is_ready_path="/openapi.json",
    ),
)


def running(peer: Peer, model: Path, threads: int) -> ServerProcess:
    """Inside of `with`, it has answered once: some of them say that they are ready before they are."""
    return ServerProcess(
        peer.server,
        peer.command(model, threads),
        is_ready=lambda url: answers(peer.is_ready_path)(url) and _has_answered(peer, url),
        environment={"HF_HUB_OFFLINE": "1"},
        directory=PROJECT,
    )


def _has_answered(peer: Peer, url: str) -> bool:
    try:
        return requests.post(url + peer.path, json=peer.body("aaaa baaa", 2), timeout=60).ok
    except requests.RequestException:
        return False
