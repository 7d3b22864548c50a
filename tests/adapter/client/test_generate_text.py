import json

import httpx2
import pytest

from adapter import errors
from adapter.client import ConnectionFailed
from adapter.errors import TorchbridgeError
from adapter.schema import ErrorCode, Problem
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import Exchange, answers, fake_gateway
from tests.adapter.wire import NEWER, NEWER_PROBLEM, PROBLEM, REQUEST, RESPONSE
from tests.free_ports import free_port
from tests.waiting import PATIENCE, wait_until


def break_off(exchange: Exchange, status: int) -> None:
    exchange.begin(status, "application/json", content_length=1_000)
    exchange.send(b'{"text":')


def test_sends_what_it_is_given_and_gets_a_typed_answer(connect: Connect) -> None:
    with fake_gateway(answers(200, RESPONSE.model_dump())) as gateway:
        answer = connect(gateway.url).generate_text(prompt="Hello", max_length=100, stop=["é"], seed=None)

    assert answer == RESPONSE
    [exchange] = gateway.exchanges
    assert exchange.target == "POST /generate"
    assert json.loads(exchange.body) == {"prompt": "Hello", "max_length": 100, "stop": ["é"], "seed": None}
    assert (exchange.headers["content-type"], exchange.headers["accept"]) == ("application/json",) * 2


@pytest.mark.parametrize("code", ErrorCode)
def test_a_problem_is_the_exception_of_its_code(code: ErrorCode, connect: Connect) -> None:
    problem = Problem.of(code, "why", request_id="4b1f", status=499, retryable=True, retry_after=7)
    with (
        fake_gateway(answers(problem.status, problem.model_dump(), "application/problem+json")) as gateway,
        pytest.raises(TorchbridgeError, match="why") as raised,
    ):
        connect(gateway.url).generate_text(**REQUEST)

    error = raised.value
    assert type(error) is errors.ERROR_BY_CODE[code]
    assert (error.code, error.status, error.request_id, error.retryable) == (code, 499, "4b1f", True)
    assert (error.retry_after, error.problem) == (7, problem)


def test_a_code_of_a_newer_gateway_is_no_known_exception_but_keeps_all_else(connect: Connect) -> None:
    with (
        fake_gateway(answers(409, NEWER_PROBLEM, "application/problem+json")) as gateway,
        pytest.raises(TorchbridgeError) as raised,
    ):
        connect(gateway.url).generate_text(**REQUEST)

    error = raised.value
    assert type(error) is TorchbridgeError
    assert (error.detail, error.status, error.retry_after) == (PROBLEM.detail, 409, 7)
    assert error.problem.type == "urn:torchbridge:error:moon"


def test_a_field_of_a_newer_gateway_is_passed_over(connect: Connect) -> None:
    with fake_gateway(answers(200, NEWER)) as gateway:
        assert connect(gateway.url).generate_text(**REQUEST) == RESPONSE


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (502, "<html><h1>502 Bad Gateway</h1></html>", "HTTP 502 Bad Gateway"),
        (502, "", "HTTP 502 Bad Gateway"),
        (502, {"error": {"message": "?"}}, "HTTP 502 Bad Gateway"),
        (502, "null", "HTTP 502 Bad Gateway"),
        (502, PROBLEM.model_dump() | {"status": "moon"}, PROBLEM.detail),
        (404, {"detail": "Not Found"}, "Not Found"),
        (200, "<html>Please log in</html>", "the answer is not the gateway's: <html>Please log in</html>"),
        (200, {"status": "ok"}, 'the answer is not the gateway\'s: {"status": "ok"}'),
    ],
    ids=["page", "nothing", "other JSON", "null", "odd problem", "FastAPI's own", "login page", "other answer"],
)
def test_an_answer_that_is_not_the_gateways_is_a_protocol_failure(
    status: int, body: object, detail: str, connect: Connect
) -> None:
    headers = {"x_request_id": "77", "retry_after": "3"}
    with (
        fake_gateway(answers(status, body, "text/html", **headers)) as gateway,
        pytest.raises(errors.UpstreamProtocol) as raised,
    ):
        connect(gateway.url).generate_text(**REQUEST)

    error = raised.value
    assert (error.detail, error.status, error.retryable) == (detail, status, status == 502)
    assert (error.request_id, error.retry_after) == ("77", 3)


def test_a_redirection_is_not_followed(connect: Connect) -> None:
    with (
        fake_gateway(answers(200, RESPONSE.model_dump())) as other,
        fake_gateway(answers(308, "", location=f"{other.url}/generate")) as gateway,
        pytest.raises(errors.UpstreamProtocol) as raised,
    ):
        connect(gateway.url, api_key="secret").generate_text(**REQUEST)

    assert (raised.value.status, raised.value.detail) == (308, "HTTP 308 Permanent Redirect")
    assert other.exchanges == []


def test_nobody_there_is_a_failed_connection_with_its_address_and_cause(connect: Connect) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionFailed, match=nowhere) as raised:
        connect(nowhere).generate_text(**REQUEST)

    assert raised.value.url == f"{nowhere}/generate"
    assert isinstance(raised.value.__cause__, httpx2.ConnectError)


def test_silence_is_a_failed_connection(connect: Connect) -> None:
    with fake_gateway(Exchange.wait_until_the_caller_leaves) as gateway:
        with pytest.raises(ConnectionFailed) as raised:
            connect(gateway.url, silence_timeout=0.05).generate_text(**REQUEST)
        wait_until(lambda: bool(gateway.exchanges))
        assert gateway.exchanges[0].caller_left.wait(PATIENCE)

    assert isinstance(raised.value.__cause__, httpx2.ReadTimeout)


def test_an_answer_that_breaks_off_is_a_failed_connection(connect: Connect) -> None:
    with (
        fake_gateway(lambda exchange: break_off(exchange, 200)) as gateway,
        pytest.raises(ConnectionFailed, match="/generate"),
    ):
        connect(gateway.url).generate_text(**REQUEST)


def test_a_failure_that_breaks_off_still_has_its_status(connect: Connect) -> None:
    with (
        fake_gateway(lambda exchange: break_off(exchange, 503)) as gateway,
        pytest.raises(errors.UpstreamProtocol) as raised,
    ):
        connect(gateway.url).generate_text(**REQUEST)
    assert raised.value.status == 503
