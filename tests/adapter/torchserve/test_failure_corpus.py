"""Every failure of TorchServe, from the bytes on the wire to what the caller is told and what the log is."""

import asyncio
import re
import time
from dataclasses import dataclass

import pytest

from adapter.call import Call
from adapter.errors import ModelNotReady, TorchbridgeError
from adapter.event_stream import encode_event
from adapter.schema import ErrorCode, GenerationRequest, Problem, WorkerRequest
from adapter.settings import Settings
from adapter.torchserve import keys as torchserve_keys
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.management_client import ManagementClient
from tests.adapter.torchserve import expected_codes
from tests.adapter.torchserve.junk_answers import JUNK, STREAM
from tests.fakes import answer_to
from tests.free_ports import free_port
from tests.recorded_answer import RecordedAnswer, recorded_answers
from tests.replaying import replaying

REQUEST = GenerationRequest(prompt="Once", model="plain", model_version="1.0")
# The successes of the management API; whatever the inference API was asked for, none of its answers is a generation.
FAILURES = {
    name: answer
    for name, answer in recorded_answers()
    if not (name.startswith("management/") and answer.status in {200, 202})
}
EXPECTED = {name: code for code, names in expected_codes.RECORDED.items() for name in names.split()}

SECRET = "a-key-of-torchserve"
LEAK = re.compile(
    r"/\w|\.py|\.mar|\.sock|:\d{2}|\d+\.\d+\.\d+\.\d+|W-\d|\bpid\b|Traceback|\w(Exception|Error)\b"
    r"|\b(org|java|io|aiohttp|urllib3)\.\w|own words|scale workers|API document"
)


@dataclass
class Keys:
    """As KeyFile, with keys that replayed answers do not look at."""

    num_renewals: int = 0

    def inference_key(self) -> str:
        return SECRET

    def management_key(self) -> str:
        return SECRET

    def renew(self, _kind: str, _refused: str | None = None, **_: object) -> None:
        self.num_renewals += 1


async def no_worker_is_ready(_model: str, _version: str) -> None:
    raise ModelNotReady("The model is still loading.", cause="no worker of the description is ready")


async def generate(url: str, keys: Keys, silence_timeout: float = 30) -> list[str]:
    settings = Settings(torchserve_url=url, silence_timeout=silence_timeout)
    async with InferenceClient(settings, keys, no_worker_is_ready) as client:
        arrivals = client.stream(REQUEST, Call("request-1", time.monotonic()))
        return [event.type async for events in arrivals for event in events]


@pytest.fixture(autouse=True)
def _waits_a_moment_for_the_rest_of_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.torchserve.inference_client._FAILURE_TIMEOUT", 1.0)


async def inference_failure(answer: RecordedAnswer) -> TorchbridgeError:
    is_silent = answer.ended == "open" and (b"content-length" not in answer.head and b"0\r\n\r\n" not in answer.body)
    with replaying(answer) as url, pytest.raises(TorchbridgeError) as failure:
        await generate(url, Keys(), 0.5 if is_silent else 30)
    return failure.value


async def management_failure(answer: RecordedAnswer) -> TorchbridgeError:
    with replaying(answer) as url, pytest.raises(TorchbridgeError) as failure:
        await asyncio.to_thread(ManagementClient(url, Keys()).describe, "plain")
    return failure.value


async def failure_of(name: str) -> TorchbridgeError:
    client = management_failure if name.startswith("management/") else inference_failure
    return await client(FAILURES[name])


def test_every_answer_and_all_junk_is_in_the_table() -> None:
    assert set(EXPECTED) == set(FAILURES)
    assert set(expected_codes.JUNK) == set(JUNK)
    assert len(EXPECTED) >= 45


@pytest.mark.parametrize("name", FAILURES)
async def test_an_answer_of_torchserve_has_one_code(name: str) -> None:
    failure = await failure_of(name)

    assert failure.code is EXPECTED[name]
    check_that_only_the_log_knows(failure, FAILURES[name])


@pytest.mark.parametrize("name", JUNK)
async def test_junk_instead_of_events_has_one_code(name: str) -> None:
    failure = await inference_failure(JUNK[name])

    assert failure.code is expected_codes.JUNK[name][0]
    check_that_only_the_log_knows(failure)


@pytest.mark.parametrize("name", JUNK)
async def test_junk_instead_of_a_description_has_one_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if JUNK[name].ended == "open":
        monkeypatch.setattr(torchserve_keys, "_ANSWER_TIMEOUT", 0.2)
    failure = await management_failure(JUNK[name])

    assert failure.code is expected_codes.JUNK[name][1]
    check_that_only_the_log_knows(failure)


async def test_a_refused_connection_is_unavailable_and_says_no_port() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TorchbridgeError) as generating:
        await generate(url, Keys())
    with pytest.raises(TorchbridgeError) as describing:
        await asyncio.to_thread(ManagementClient(url, Keys()).describe, "plain")

    for failure in (generating.value, describing.value):
        assert failure.code is ErrorCode.UPSTREAM_UNAVAILABLE
        check_that_only_the_log_knows(failure)


def check_that_only_the_log_knows(failure: TorchbridgeError, answer: RecordedAnswer | None = None) -> None:
    problem = failure.to_problem("request-1")
    assert not LEAK.search(told(problem)), told(problem)
    assert failure.cause
    assert SECRET not in failure.cause
    # What has no id may be another request's answer: its words are in no log either.
    if (
        answer
        and b"x-request-id" in answer.head
        and answer.status
        and (words := re.search(rb'"message": "([^"\\\']+)', answer.body))
    ):
        assert words[1].decode() in failure.cause


def told(problem: Problem) -> str:
    return " ".join([problem.title, problem.detail, *(error.message for error in problem.errors)])


@pytest.mark.parametrize(
    "words",
    [
        "/tmp/models/ab12/handler.py",
        "http://127.0.0.1:8081",
        "Traceback (most recent call last)",
        "org.pytorch.serve.http.ConflictStatusException",
        "ValueError",
        "W-9000-tiny_1.0",
        "pid 4711",
    ],
)
def test_a_leak_would_be_seen(words: str) -> None:
    assert LEAK.search(words)


def good_answer() -> RecordedAnswer:
    events = answer_to(WorkerRequest.model_validate({**dict(REQUEST), "id": "request-1"}), "Hello")
    return RecordedAnswer("", STREAM + b"\r\n", b"".join(map(encode_event, events)), "closed")


async def test_an_expired_key_is_renewed_once_and_the_caller_sees_nothing() -> None:
    keys = Keys()
    with replaying(FAILURES["inference/key_expired"], good_answer()) as url:
        assert await generate(url, keys) == ["start", "delta", "done"]

    assert keys.num_renewals == 1


async def test_an_expired_management_key_is_renewed_once_and_the_caller_sees_nothing() -> None:
    keys, description = Keys(), dict(recorded_answers())["management/describe_all"]
    with replaying(FAILURES["management/key_wrong"], description) as url:
        versions = await asyncio.to_thread(ManagementClient(url, keys).describe, "plain")

    assert [version.model_version for version in versions] == ["1.0", "2.0"]
    assert keys.num_renewals == 1


async def test_a_key_that_is_refused_twice_is_renewed_once_and_then_given_up() -> None:
    keys = Keys()
    with (
        replaying(FAILURES["inference/key_expired"], FAILURES["inference/key_expired"], good_answer()) as url,
        pytest.raises(TorchbridgeError) as failure,
    ):
        await generate(url, keys)

    assert failure.value.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert keys.num_renewals == 1
