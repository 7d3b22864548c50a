"""What `make bench-gateway` compares: how each server is started over the fake upstream, and how it is asked."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import fake_upstream
from benchmarks.own_gateway import gateway_over
from benchmarks.peers.environments import python_of
from benchmarks.project import PROJECT
from benchmarks.random_models import CACHE
from benchmarks.server_process import ServerProcess, answers

PROMPT = "Once upon a time"
GENERATE, CHAT, LITELLM = "torchbridge /generate", "torchbridge /v1", "LiteLLM /v1"
LITSERVE, LITSERVE_ZMQ = "LitServe", "LitServe, fast_queue"

_DIRECTORY = CACHE / "gateway"


@dataclass(frozen=True, slots=True)
class Subject:
    """One server and the door of it that is asked; `direct_path` is the same question's path at the upstream."""

    start: Callable[[str], ServerProcess]  # gets the upstream's URL
    body: Callable[[str, int], dict[str, Any]]  # of a prompt and the number of tokens
    stream_path: str
    num_streams: int  # in one round: enough for about a second
    path: str | None = None
    direct_path: str | None = None
    num_held: int = 0  # streams that are open at once, where their memory is measured
    stream_keys: Mapping[str, Any] = field(default_factory=dict)

    def stream_body(self, prompt: str, length: int) -> dict[str, Any]:
        return {**self.body(prompt, length), **self.stream_keys}


def upstream() -> ServerProcess:
    command = [sys.executable, "-m", fake_upstream.__name__, "{port}"]
    return ServerProcess("fake-upstream", command, is_ready=answers("/models"), directory=PROJECT)


def _torchbridge(upstream_url: str) -> ServerProcess:
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    key = {"key": "benchmark", "expiration time": "2099-01-01T00:00:00Z"}
    key_file = _DIRECTORY / "key_file.json"
    key_file.write_text(json.dumps({"inference": key, "management": key, "API": key}), encoding="utf-8")
    return gateway_over(upstream_url, upstream_url, key_file)


def _litellm(upstream_url: str) -> ServerProcess:
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    parameters = {"model": f"openai/{fake_upstream.MODEL}", "api_base": f"{upstream_url}/v1", "api_key": "none"}
    models = [{"model_name": fake_upstream.MODEL, "litellm_params": parameters}]
    config = _DIRECTORY / "litellm.yaml"
    config.write_text(json.dumps({"model_list": models}), encoding="utf-8")  # JSON is YAML, too
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches the prices of models from the internet
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # else it does not start without keys
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
    }
    python = python_of("litellm")
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", "{port}", "--telemetry", "False"]
    command = [str(python), str(python.with_name("litellm")), *options]
    return ServerProcess("litellm", command, is_ready=answers("/health/liveliness"), environment=environment)


def _litserve(transport: str) -> Callable[[str], ServerProcess]:
    def start(_: str) -> ServerProcess:
        relay = Path(__file__).parent / "peers" / "litserve_relay.py"
        command = [str(python_of("litserve")), str(relay), "{port}", transport]
        return ServerProcess(f"litserve-{transport}", command, is_ready=answers("/health"))

    return start


def _generation(prompt: str, length: int) -> dict[str, Any]:
    return {"prompt": prompt, "max_length": length}


def _chat(prompt: str, length: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": fake_upstream.MODEL, "messages": messages, "max_tokens": length}


def direct_body(prompt: str, length: int) -> dict[str, Any]:
    """What the upstream takes in either dialect."""
    return {**_chat(prompt, length), **_generation(prompt, length), "id": "0" * 32}


_PREDICTIONS = f"/predictions/{fake_upstream.MODEL}/{fake_upstream.VERSION}"
_COMPLETIONS = "/v1/chat/completions"
_AS_STREAM = {"stream": True}

SUBJECTS = {
    GENERATE: Subject(_torchbridge, _generation, "/generate/stream", 64, "/generate", _PREDICTIONS, num_held=1_000),
    CHAT: Subject(_torchbridge, _chat, _COMPLETIONS, 64, _COMPLETIONS, _PREDICTIONS, stream_keys=_AS_STREAM),
    # Its pool lets 500 through to one host (AIOHTTP_CONNECTOR_LIMIT_PER_HOST): more would wait for each other.
    LITELLM: Subject(
        _litellm, _chat, _COMPLETIONS, 16, _COMPLETIONS, _COMPLETIONS, num_held=250, stream_keys=_AS_STREAM
    ),
    LITSERVE: Subject(_litserve("queue"), _generation, "/predict", 32),
    LITSERVE_ZMQ: Subject(_litserve("zmq"), _generation, "/predict", 32),
}
