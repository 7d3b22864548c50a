"""The requests and programs of README.md and docs/, sent and run as written but for the port."""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from adapter.event_stream import EventDecoder
from adapter.schema import GenerationResponse, StreamEvent
from tests.documents import WITH_BLOCKS, name_of, runnable
from tests.end_to_end.gateway_calls import TIMEOUT
from tests.project import PROJECT
from tests.seeing import seen_at_last

pytestmark = pytest.mark.torchserve

GATEWAY = "http://localhost:8000"


def curl_lines() -> list[str]:
    lines = [line for block in runnable("bash") for line in block.code.replace("\\\n", " ").splitlines()]
    return sorted({line for line in lines if line.startswith("curl ")})


def run_curl(line: str, gateway_url: str) -> bytes:
    """What curl would do, where curl may not be installed."""
    options = argparse.ArgumentParser()
    options.add_argument("url")
    options.add_argument("-s", "-N", "-i", action="store_true")
    options.add_argument("-H", dest="headers", action="append", default=[])
    options.add_argument("-d", dest="data")
    command = line.partition(" | ")[0]  # what reads the answer is not curl's
    call = options.parse_args(shlex.split(command, comments=True)[1:])
    url = call.url.removeprefix("http://").replace("localhost:8000", gateway_url)
    headers = dict(header.split(": ", 1) for header in call.headers)
    method = "GET" if call.data is None else "POST"
    response = requests.request(method, url, data=call.data, headers=headers, timeout=TIMEOUT)
    response.raise_for_status()
    return response.content


def curl_of_readme(address: str) -> str:
    [line] = {
        line
        for block in runnable("bash")
        if block.document == PROJECT / "README.md"
        for line in block.code.splitlines()
        if line.startswith("curl ") and f"localhost:8000{address} " in line
    }
    return line


@pytest.mark.parametrize("line", curl_lines())
def test_a_line_of_curl_gets_an_answer(gateway_url: str, line: str) -> None:
    assert run_curl(line, gateway_url)


def test_the_first_line_of_curl_gets_a_text(gateway_url: str) -> None:
    response = GenerationResponse.model_validate(json.loads(run_curl(curl_of_readme("/generate"), gateway_url)))

    assert response.text.strip()


def test_streaming_curl_line_shows_start_deltas_and_done(gateway_url: str) -> None:
    def events() -> list[StreamEvent]:
        return list(EventDecoder().feed(run_curl(curl_of_readme("/generate/stream"), gateway_url)))

    start, *deltas, done = seen_at_last(events, lambda events: len(events) > 3)

    assert (start.type, {delta.type for delta in deltas}, done.type) == ("start", {"delta"}, "done")
    assert len(deltas) > 1


def program_of(document: Path) -> str:
    """The blocks of a document, of which the later ones use what the earlier ones make."""
    return "\n".join(block.code for block in runnable("python") if block.document == document)


WITH_PROGRAMS = [document for document in WITH_BLOCKS if program_of(document)]


@pytest.mark.parametrize("document", WITH_PROGRAMS, ids=name_of)
def test_the_program_of_a_page_prints_answers(gateway_url: str, document: Path) -> None:
    program = program_of(document).replace(GATEWAY, gateway_url)
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_programs_to_run() -> None:
    assert {"README.md", "docs/openai.md", "docs/python.md"} <= {name_of(document) for document in WITH_PROGRAMS}
