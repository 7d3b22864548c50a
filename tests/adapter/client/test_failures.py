"""What goes wrong without an answer of the gateway, by cause."""

import pickle
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import torchbridge
from adapter import client, errors
from adapter.client import (
    AnswerBroken,
    ConnectionFailed,
    ConnectionRefused,
    HostUnknown,
    NotTrusted,
    ObjectInvalid,
    ObjectTruncated,
    StreamClosed,
    StreamTruncated,
    TimedOut,
)
from adapter.errors import TorchbridgeError
from adapter.schema import ErrorCode, FieldError
from benchmarks.own_certificate import server_context
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import Exchange, answers, fake_gateway
from tests.adapter.wire import PROBLEM, REQUEST
from tests.free_ports import free_port


def fails_to(address: str) -> Callable[..., OSError]:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(getattr(socket, address), "no address")

    return fail


def break_off(exchange: Exchange) -> None:
    exchange.begin(200, "application/json", content_length=1_000)
    exchange.send(b'{"text":')


def test_a_closed_port_is_refused_and_may_pass(connect: Connect) -> None:
    with pytest.raises(ConnectionRefused, match="Nothing listens at http://127") as raised:
        connect(f"http://127.0.0.1:{free_port()}").models()
    assert raised.value.retryable


@pytest.mark.parametrize(("failure", "retryable"), [("EAI_NONAME", False), ("EAI_AGAIN", True)])
def test_an_unknown_host_is_final_unless_the_name_service_failed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, failure: str, *, retryable: bool
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", fails_to(failure))
    with pytest.raises(HostUnknown, match=r"http://gateway\.invalid/models") as raised:
        connect("http://gateway.invalid").models()
    assert raised.value.retryable is retryable


def test_a_host_that_is_not_known_is_asked_for_once(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look_up(*name: object, **_: object) -> None:
        asked.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "no address")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(HostUnknown):
        connect("http://gateway.invalid", max_retries=5).models()
    assert len(asked) == 1


def test_silence_is_a_time_that_ran_out_and_final(connect: Connect) -> None:
    with (
        fake_gateway(Exchange.wait_until_the_caller_leaves) as gateway,
        pytest.raises(TimedOut, match="sent nothing for too long") as raised,
    ):
        connect(gateway.url, silence_timeout=0.05, max_retries=5).models()
    assert isinstance(raised.value, TimeoutError)
    assert not raised.value.retryable


def test_an_answer_that_breaks_off_is_a_broken_answer(connect: Connect) -> None:
    with fake_gateway(break_off) as gateway, pytest.raises(AnswerBroken):
        connect(gateway.url).generate_text(**REQUEST)


def test_a_certificate_of_nobody_that_is_known_is_not_trusted(connect: Connect, tmp_path: Path) -> None:
    with (
        fake_gateway(answers(200, {"models": []}), server_context(tmp_path / "own.pem")) as gateway,
        pytest.raises(NotTrusted, match="CERTIFICATE_VERIFY_FAILED") as raised,
    ):
        connect(gateway.url).models()
    assert not raised.value.retryable


def test_a_certificate_that_the_environment_names_is_trusted(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    with fake_gateway(answers(200, {"models": []}), server_context(tmp_path / "own.pem")) as gateway:
        assert connect(gateway.url).models().models == ()


def test_a_gateway_without_tls_is_not_trusted_where_tls_is_asked_for(connect: Connect) -> None:
    with fake_gateway(answers(200, {"models": []})) as gateway, pytest.raises(NotTrusted):
        connect(gateway.url.replace("http:", "https:")).models()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("localhost:8500", "needs a scheme, such as http://localhost:8500"),
        ("ftp://gateway", "must begin with http:// or https://, and not with ftp://"),
        ("http://", "has no host"),
        ("http://gate way", "has no host, or something besides"),
        ("http://gateway:99999", "not valid"),
        ("http://gateway/?a=b", "has no host, or something besides"),
        ("http://ada:secret@gateway", "no user and no password"),
        ("", "needs a scheme"),
    ],
)
def test_an_address_that_cannot_be_is_refused_at_once(connect: Connect, address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        connect(address)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("headers", [{"x-tenant": "secret\n"}, {"x tenant": "a"}, {"x-tenant": "sécret"}])
def test_a_header_that_cannot_be_is_refused_at_once_and_not_repeated(connect: Connect, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header") as raised:
        connect(headers=headers)
    assert "cret" not in str(raised.value)
    with pytest.raises(ValueError, match="header"):
        connect().models(headers=headers)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(connect: Connect, seconds: float) -> None:
    with pytest.raises(ValueError, match="silence_timeout is in seconds, above 0"):
        connect(silence_timeout=seconds)
    with pytest.raises(ValueError, match="timeout is in seconds, above 0"):
        connect().models(timeout=seconds)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("why", url="http://gateway", is_final=True),
        ConnectionRefused("why", url="http://gateway"),
        HostUnknown("why", url="http://gateway"),
        NotTrusted("why", url="http://gateway"),
        AnswerBroken("why", url="http://gateway"),
        TimedOut("why", url="http://gateway"),
        StreamTruncated("why", text="Once"),
        StreamClosed("why"),
        ObjectTruncated("why", text="{"),
        ObjectInvalid("why", text="{}"),
        errors.Overloaded.of(PROBLEM),
        errors.InvalidRequest("why", errors=(FieldError(field="prompt", message="why"),)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_goes_to_another_process_as_it_is(error: TorchbridgeError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.problem) == (type(error), str(error), error.problem)
    assert vars(copy) == vars(error)


def test_one_name_is_all_that_a_caller_has_to_catch() -> None:
    failures = [each for each in map(vars(client).get, client.__all__) if isinstance(each, type)]
    for failure in failures:
        if issubclass(failure, Exception):
            assert issubclass(failure, TorchbridgeError)


def test_none_of_them_stands_for_a_code_of_the_gateways() -> None:
    assert errors.ERROR_BY_CODE[ErrorCode.UPSTREAM_UNAVAILABLE] is errors.UpstreamUnavailable
    assert errors.ERROR_BY_CODE[ErrorCode.DEADLINE_EXCEEDED] is errors.DeadlineExceeded


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"prompt": "a", "temperature": float("nan")}, "temperature", "must be a finite number"),
        ({"prompt": "a", "top_p": float("inf")}, "top_p", "must be a finite number"),
        ({"prompt": "\ud83d"}, "prompt", "lone surrogates"),
        ({"prompt": "a", "stop": ["b", "\udc00"]}, "stop.1", "lone surrogates"),
    ],
)
def test_what_json_cannot_carry_is_refused_before_it_is_sent(
    connect: Connect, fields: dict[str, object], field: str, words: str
) -> None:
    with fake_gateway(answers(200, {})) as gateway, pytest.raises(errors.InvalidRequest, match=words) as raised:
        connect(gateway.url).generate_text(**fields)
    assert [error.field for error in raised.value.errors] == [field]
    assert gateway.exchanges == []


def test_nothing_that_a_client_holds_shows_its_key() -> None:
    made = client.GatewayClient("http://gateway", api_key="secret")
    call = made._calls.models({})
    assert "secret" not in f"{made!r} {made._calls!r} {call!r} {call.request!r}"


def test_a_program_finds_each_error_in_the_package_that_it_imports() -> None:
    assert {error.__name__ for error in errors.ERROR_BY_CODE.values()} <= set(torchbridge.__all__)
