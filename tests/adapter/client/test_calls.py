import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapter import errors
from adapter.client import ConnectionFailed, GatewayClient, GenerationFields
from adapter.schema import DoneEvent, GenerationRequest, GenerationResponse, Problem
from adapter.settings import Settings
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import answers, fake_gateway
from tests.adapter.wire import DELTAS, NEWER, NEWER_PROBLEM, PROBLEM, REQUEST, RESPONSE, START
from tests.fakes import FakeInference
from tests.free_ports import free_port
from tests.waiting import wait_until


def test_a_batch_is_an_answer_or_a_problem_for_each_request(connect: Connect) -> None:
    body = {"results": [NEWER, PROBLEM.model_dump(), NEWER_PROBLEM]}
    with fake_gateway(answers(200, body)) as gateway:
        answer, problem, newer_problem = connect(gateway.url).generate_batch([REQUEST] * 3)

    assert (answer, problem) == (RESPONSE, PROBLEM)
    assert isinstance(newer_problem, Problem)
    assert (newer_problem.code, newer_problem.type) == ("internal", "urn:torchbridge:error:moon")
    [exchange] = gateway.exchanges
    assert (exchange.target, json.loads(exchange.body)) == ("POST /generate/batch", {"requests": [REQUEST] * 3})


@pytest.mark.parametrize(("api_key", "authorization"), [("secret", "Bearer secret"), (None, None)])
def test_sends_its_key_and_nothing_of_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api_key: str | None, authorization: str | None, connect: Connect
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password from-netrc\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with fake_gateway(answers(200, RESPONSE.model_dump())) as gateway:
        connect(gateway.url, api_key=api_key).generate_text(**REQUEST)
    assert gateway.exchanges[0].headers.get("authorization") == authorization


def test_sends_its_headers_with_every_request(connect: Connect) -> None:
    with fake_gateway(answers(200, {"models": []})) as gateway:
        connect(gateway.url, headers={"x-tenant": "a", "Accept": "text/plain"}).models()
    [exchange] = gateway.exchanges
    assert exchange.target == "GET /models"
    assert (exchange.headers["x-tenant"], exchange.headers["accept"]) == ("a", "application/json")
    assert "content-type" not in exchange.headers


def test_waits_for_as_long_as_the_gateway_works() -> None:
    silence_timeout = inspect.signature(GatewayClient).parameters["silence_timeout"].default
    assert silence_timeout > Settings().request_timeout


def test_takes_an_address_with_or_without_slashes_at_its_end(connect: Connect) -> None:
    assert connect("http://gateway//").base_url == "http://gateway"
    assert connect().base_url == "http://localhost:8000"


@pytest.mark.parametrize("trust_env", [True, False])
def test_takes_proxies_from_the_environment_unless_it_is_told_not_to(
    monkeypatch: pytest.MonkeyPatch, connect: Connect, *, trust_env: bool
) -> None:
    with (
        fake_gateway(answers(200, {"models": []})) as gateway,
        fake_gateway(answers(200, {"models": []})) as proxy,
    ):
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        connect(gateway.url, trust_env=trust_env).models()
    assert (len(proxy.exchanges), len(gateway.exchanges)) == ((1, 0) if trust_env else (0, 1))


@pytest.mark.parametrize("api_key", ["", "secret\n", "secret key", "sécret"])
def test_refuses_a_key_that_no_header_can_carry_and_does_not_repeat_it(api_key: str, connect: Connect) -> None:
    with pytest.raises(ValueError, match="API key") as raised:
        connect(api_key=api_key)
    assert "cret" not in str(raised.value)


def test_does_not_tell_its_key(caplog: pytest.LogCaptureFixture, connect: Connect) -> None:
    caplog.set_level("DEBUG")
    client = connect(f"http://127.0.0.1:{free_port()}", api_key="secret")
    with pytest.raises(ConnectionFailed) as raised:
        client.models()
    assert "secret" not in f"{client!r} {raised.value!r} {raised.value.__cause__!r} {caplog.text}"


def test_knows_every_field_of_a_request() -> None:
    fields = GenerationRequest.model_fields
    assert GenerationFields.__required_keys__ == {name for name, field in fields.items() if field.is_required()}
    assert GenerationFields.__optional_keys__ | GenerationFields.__required_keys__ == fields.keys()


def test_is_imported_without_the_server() -> None:
    program = "import sys, adapter.client; print(*{name.split('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not {"aiohttp", "fastapi", "requests", "starlette", "torch", "transformers", "uvicorn"} & set(
        imported.split()
    )
    assert "httpx2" in imported.split()


def test_text_and_stream_are_one_answer(address: str, connect: Connect) -> None:
    client = connect(address)
    with client.stream_text(**REQUEST) as events:
        *_, done = events
    assert isinstance(done, DoneEvent)
    assert done.response.text == client.generate_text(**REQUEST).text == "Hello world"
    assert [model.name for model in client.models().models] == ["tiny"]


def test_a_batch_fails_only_where_it_must(address: str, connect: Connect) -> None:
    answer, problem = connect(address).generate_batch([REQUEST, {"prompt": ""}])
    assert isinstance(answer, GenerationResponse)
    assert isinstance(problem, Problem)
    assert (answer.text, problem.code) == ("Hello world", "invalid_request")


def test_an_invalid_request_names_its_fields(address: str, connect: Connect) -> None:
    with pytest.raises(errors.InvalidRequest) as raised:
        connect(address).generate_text(prompt="")
    assert [error.field for error in raised.value.errors] == ["prompt"]
    assert raised.value.request_id


def test_a_block_that_is_left_early_cancels_the_request(
    address: str, inference: FakeInference, connect: Connect
) -> None:
    never = inference.is_closed.wait
    inference.script = [START, DELTAS[0], never]
    with connect(address).stream_text(**REQUEST) as events:
        assert next(events).type == "start"
    wait_until(inference.is_closed.is_set)
