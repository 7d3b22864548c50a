import re

import pytest

from adapter import errors
from adapter.errors import Conflict, TorchbridgeError, UpstreamProtocol, VersionNotFound
from adapter.torchserve.error_answers import _TRANSLATIONS, error_from_answer
from tests.recorded_answer import recorded_answers, recorded_failure

LEAK = re.compile(r"/tmp|/home|Traceback|org\.pytorch|java|W-9\d|Exception|:\d{4}|\.sock")


def envelope(status: int, message: str, kind: str = "InternalServerException") -> bytes:
    return f'{{\n  "code": {status},\n  "type": "{kind}",\n  "message": {message!r}\n}}\n'.replace("'", '"').encode()


ROWS = [
    ("inference/key_wrong", errors.KeyRefused),
    ("inference/model_not_found", errors.ModelNotFound),
    ("inference/version_not_found", errors.VersionNotFound),
    ("inference/unknown_path", errors.UpstreamProtocol),
    ("inference/root", errors.MethodNotAllowed),
    ("inference/handler_raises", errors.GenerationFailed),
    ("inference/output_no_list", errors.GenerationFailed),
    ("inference/output_too_many", errors.GenerationFailed),
    ("inference/out_of_memory", errors.OutOfMemory),
    ("inference/worker_exits", errors.WorkerDied),
    ("from_source/worker_is_killed_507", errors.WorkerDied),
    ("inference/request_too_large", errors.PayloadTooLarge),
    ("inference/queue_full", errors.Overloaded),
    ("inference/no_worker", errors.Overloaded),
    ("inference/prediction_exception_418", errors.UpstreamProtocol),
]


def test_the_words_of_one_status_mean_nothing_with_another() -> None:
    assert type(error_from_answer(500, envelope(500, "Model version 1.0 is already registered"))) is UpstreamProtocol
    assert type(error_from_answer(409, envelope(409, "Model version 1.0 is already registered"))) is Conflict
    assert type(error_from_answer(404, envelope(404, "Model version 1.0 does not exist for model"))) is VersionNotFound


def test_every_row_of_the_table_has_a_recorded_answer() -> None:
    answers = [(answer.status, error_from_answer(answer.status, answer.body)) for _, answer in recorded_answers()]
    for status, _, error, detail in _TRANSLATIONS:
        assert any((status, error, detail) == (seen, type(failure), failure.detail) for seen, failure in answers), (
            detail
        )


@pytest.mark.parametrize(("answer", "error"), ROWS)
def test_translates_by_status_and_message(answer: str, error: type[TorchbridgeError]) -> None:
    assert type(recorded_failure(answer)) is error


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>502 Bad Gateway</html>", id="a proxy's page"),
        pytest.param(b'{"code": 503, "mess', id="cut short"),
        pytest.param(b'{"code": 503, "message": null}', id="no message"),
        pytest.param(b'{"code": 503, "message": {"a": 1}}', id="message is an object"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"Prediction failed"', id="a string"),
        pytest.param(b"\xff\xfe\x00", id="not text"),
        pytest.param(b'{"status": "Unhealthy"}', id="the answer of ping"),
    ],
)
def test_junk_is_a_protocol_failure(body: bytes) -> None:
    assert type(error_from_answer(503, body)) is errors.UpstreamProtocol


@pytest.mark.parametrize(
    "message",
    [
        "Prediction failed",
        "Worker died.",
        "/tmp/models/ab12/handler.py: Traceback (most recent call last)",
        "org.pytorch.serve.http.ConflictStatusException at W-9000-tiny_1.0 /tmp/.ts.sock.9000",
    ],
)
def test_torchserves_own_words_are_for_the_log_only(message: str) -> None:
    error = error_from_answer(503, envelope(503, message))
    assert message in error.cause
    assert not LEAK.search(error.to_problem().model_dump_json())


def test_a_long_failure_is_cut_for_the_log() -> None:
    assert len(error_from_answer(500, b"x" * 100_000).cause) < 1_000
