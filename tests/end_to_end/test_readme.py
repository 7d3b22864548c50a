"""The README's requests, sent as written but for the port."""

import json
import re
import shlex
import subprocess
import sys

import pytest
import requests

from adapter.event_stream import EventDecoder
from adapter.schema import GenerationResponse
from tests.end_to_end.gateway_calls import TIMEOUT
from tests.project import PROJECT

pytestmark = pytest.mark.torchserve

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def run_curl(address: str, gateway_url: str) -> bytes:
    """What curl would do, where curl may not be installed."""
    [command] = re.findall(rf"^ +(curl .*localhost:8000{address} .*)$", README, re.MULTILINE)
    curl, _, url, header_option, header, data_option, data = shlex.split(command)
    assert (curl, header_option, data_option) == ("curl", "-H", "-d")
    name, _, value = header.partition(": ")
    response = requests.post(
        url.replace("localhost:8000", gateway_url), data=data, headers={name: value}, timeout=TIMEOUT
    )
    response.raise_for_status()
    return response.content


def test_curl_line_gets_an_answer(gateway_url: str) -> None:
    response = GenerationResponse.model_validate(json.loads(run_curl("/generate", gateway_url)))

    assert response.text.strip()


def test_streaming_curl_line_shows_start_deltas_and_done(gateway_url: str) -> None:
    start, *deltas, done = EventDecoder().feed(run_curl("/generate/stream", gateway_url))

    assert (start.type, {delta.type for delta in deltas}, done.type) == ("start", {"delta"}, "done")
    assert len(deltas) > 1


def run_python(importing: str, gateway_url: str) -> str:
    [snippet] = [
        code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if f"import {importing}" in code
    ]
    program = snippet.replace("http://localhost:8000", gateway_url)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT).stdout


def test_python_snippet_prints_the_text_and_what_it_took_and_then_a_stream(gateway_url: str) -> None:
    text, streamed = re.fullmatch(
        r"(.+) \d+ \d+\.\d+\S*\n(.+)", run_python("GatewayClient", gateway_url), re.DOTALL
    ).groups()
    assert text.strip()
    assert streamed.strip()


def test_openai_snippet_prints_an_answer(gateway_url: str) -> None:
    assert run_python("OpenAI", gateway_url).strip()
