"""The README's requests, sent as written but for the port."""

import json
import re
import shlex

import pytest
import requests

from adapter.archive import PROJECT
from adapter.event_stream import EventDecoder
from adapter.schema import GenerationResponse
from tests.end_to_end.gateway_calls import TIMEOUT

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
