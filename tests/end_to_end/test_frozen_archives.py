"""Archives that were packed long ago, each with its own age's worker, behind the gateway of today."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapter.archives.archive_reader import read_probes
from adapter.gateway import create_app
from adapter.schema import GenerationResponse
from adapter.torchserve.archive_probe import probe_archive
from adapter.torchserve.server_process import TorchServeProcess
from tests.adapter.gateway_calls import events_of
from tests.end_to_end.own_stack import running_torchserve, settings_before
from tests.fakes import serving
from tests.frozen_archives import CHAT, PLAIN

EVERYTHING_THAT_CONTRACT_1_KNOWS = {
    "prompt": "Once",
    "max_length": 5,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "repetition_penalty": 1.1,
    "stop": ["\n", "zz"],
    "seed": 7,
    "model_version": "1.0",
}


@pytest.fixture(scope="module")
def old_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServeProcess]:
    with running_torchserve([PLAIN, CHAT], tmp_path_factory.mktemp("run")) as process:
        yield process


@pytest.fixture(scope="module")
def gateway(old_server: TorchServeProcess) -> Iterator[httpx.Client]:
    settings = settings_before(old_server, [PLAIN, CHAT], None)
    with serving(create_app(settings)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("archive", [PLAIN, CHAT], ids=lambda path: path.stem)
async def test_its_worker_answers_as_it_did_where_it_was_packed(archive: Path, old_server: TorchServeProcess) -> None:
    probes = read_probes(archive)
    assert probes is not None
    answered = []
    await probe_archive(archive, old_server, probes, answered.append)
    assert len(answered) == len(probes.probes) > 0


@pytest.mark.parametrize("model", ["contract1-plain", "contract1-chat"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"prompt": "Once"}, id="nothing"),
        pytest.param(EVERYTHING_THAT_CONTRACT_1_KNOWS, id="everything"),
        pytest.param({"prompt": "Once", "top_p": None, "seed": None}, id="null"),
    ],
)
def test_it_answers_whole_and_streamed(gateway: httpx.Client, model: str, said: dict[str, object]) -> None:
    whole = gateway.post("/generate", json=said | {"model": model})
    assert whole.status_code == 200, whole.text
    assert GenerationResponse.model_validate_json(whole.content).tokens_generated >= 1
    streamed = gateway.post("/generate/stream", json=said | {"model": model})
    events = events_of(streamed)
    assert (events[0], events[-1]) == ("start", "done")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("stop", list("abcdefghi"), id="nine of them"),
        pytest.param("stop", ["a" * 101], id="a long one"),
        pytest.param("output", {"choice": ["yes", "no"]}, id="a form"),
    ],
)
def test_what_its_worker_cannot_know_is_refused_by_the_fields_name(
    gateway: httpx.Client, field: str, value: object
) -> None:
    refused = gateway.post("/generate/stream", json={"prompt": "Once", "model": "contract1-chat", field: value})
    assert refused.status_code == 422
    problem = refused.json()
    assert (problem["code"], problem["errors"][0]["field"].split(".")[0]) == ("invalid_request", field)
    assert "packed for version 1 of the contract" in problem["detail"]


def test_a_chat_goes_through_the_template_that_was_packed(gateway: httpx.Client) -> None:
    chat = {"messages": [{"role": "user", "content": "Hi"}], "model": "contract1-chat", "max_tokens": 5}
    answer = gateway.post("/v1/chat/completions", json=chat)
    assert answer.status_code == 200, answer.text
    # <|user|> and a line, "Hi" in two tokens, <|end|> and a line, <|assistant|> and a line.
    assert answer.json()["usage"]["prompt_tokens"] == 8
