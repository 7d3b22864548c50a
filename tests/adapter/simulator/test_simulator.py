"""The simulated model, called as a gateway is: by our own client, by OpenAI's words, and by bare HTTP."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from adapter.client import GatewayClient, StreamTruncated, TimedOut
from adapter.commands.simulate import simulated_gateway, simulated_settings
from adapter.errors import GenerationFailed, Overloaded, PromptTooLong, TorchbridgeError, WorkerDied
from adapter.event_stream import EventDecoder
from adapter.schema import DeltaEvent, DoneEvent, ErrorCode, StreamEvent
from adapter.settings import Settings
from adapter.simulator.script import DEFAULT_TEXT, Called, Rule, Script, ScriptError
from tests.fakes import serving


@contextmanager
def simulating(*rules: Rule, **settings: object) -> Iterator[GatewayClient]:
    given = {"cache_max_age": 0, "cursor_key": "k" * 32} | settings
    script = Script(answers=rules)
    with serving(simulated_gateway(Settings.model_validate(given), script)) as url, GatewayClient(url) as client:
        yield client


def test_without_a_script_it_tells_a_story() -> None:
    with simulating() as client:
        answer = client.generate_text(prompt="Tell me a story")
    assert answer.text == DEFAULT_TEXT
    assert (answer.model, answer.model_version, answer.finish_reason) == ("simulated", "1.0", "stop")


def test_an_answer_is_as_long_as_it_may_be() -> None:
    with simulating(Rule(text="One two three four")) as client:
        answer = client.generate_text(prompt="Count", max_length=2)
    assert (answer.text, answer.tokens_generated, answer.finish_reason) == ("One two", 2, "length")


def test_an_answer_ends_before_a_text_at_which_it_is_to_end() -> None:
    with simulating(Rule(text="One two three four")) as client:
        answer = client.generate_text(prompt="Count", stop=["four", " three"])
    assert (answer.text, answer.tokens_generated, answer.finish_reason) == ("One two", 2, "stop_sequence")


def test_it_is_sure_of_each_token() -> None:
    with simulating(Rule(text="Grüße an alle")) as client:
        answer = client.generate_text(prompt="Greet", logprobs=2)
    assert answer.logprobs is not None
    assert [(each.token, each.logprob, len(each.top)) for each in answer.logprobs] == [
        ("Grüße", 0, 1),
        (" an", 0, 1),
        (" alle", 0, 1),
    ]


def test_the_first_token_is_told_to_have_taken_as_long_as_it_did() -> None:
    with simulating(Rule(first_token_seconds=0.3)) as client:
        answer = client.generate_text(prompt="Once")
    assert answer.queue_time < 0.3 <= answer.time_to_first_token <= answer.generation_time + answer.queue_time


def test_tokens_of_a_prompt_are_counted() -> None:
    script = Script()
    with serving(simulated_gateway(Settings(cache_max_age=0), script)) as url:
        answer = httpx.post(f"{url}/v1/completions", json={"model": "simulated", "prompt": [1, 2, 3]})
    assert answer.json()["usage"]["prompt_tokens"] == 3


def test_a_stream_comes_word_by_word() -> None:
    with simulating(Rule(text="One two three")) as client:
        events = list(client.stream_text(prompt="Count"))
    assert [event.type for event in events] == ["start", "delta", "delta", "delta", "done"] or (
        # Deltas that come within the same fiftieth of a second are joined by the gateway.
        [events[0].type, events[-1].type] == ["start", "done"]
    )


def test_a_chat_is_answered_by_its_last_message() -> None:
    with simulating(Rule(contains="Rome", text="It is warm.")) as client:
        first = client.chat(messages=[{"role": "user", "content": "Is it warm in Rome?"}])
        second = client.chat(messages=[{"role": "user", "content": "Rome"}, {"role": "user", "content": "And Oslo?"}])
    assert first.text == "It is warm."
    assert second.text == DEFAULT_TEXT


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ASKED = {"messages": [{"role": "user", "content": "Is it warm in Rome?"}], "tools": [WEATHER]}
CALLED = (Called(name="weather", arguments={"city": "Rome"}), Called(name="weather"))


@pytest.mark.parametrize(("more", "num_calls"), [({}, 2), ({"parallel_tool_calls": False}, 1)])
def test_it_calls_what_a_rule_says(more: dict[str, bool], num_calls: int) -> None:
    with simulating(Rule(contains="Rome", calls=CALLED)) as client:
        answer = client.chat(**ASKED, **more)
    assert (answer.finish_reason, answer.text, len(answer.tool_calls)) == ("tool_calls", "", num_calls)
    assert (answer.tool_calls[0].name, answer.tool_calls[0].arguments) == ("weather", '{"city": "Rome"}')


def test_a_stream_has_the_same_calls_behind_its_text() -> None:
    with simulating(Rule(text="Let me see.", calls=CALLED)) as client:
        answer = client.stream_chat(**ASKED).read()
    assert (answer.text, answer.finish_reason) == ("Let me see.", "tool_calls")
    assert [call.arguments for call in answer.tool_calls] == ['{"city": "Rome"}', "{}"]


def test_a_chat_without_the_tool_is_answered_by_the_next_rule() -> None:
    with simulating(Rule(calls=CALLED), Rule(text="It is warm.")) as client:
        answer = client.chat(messages=ASKED["messages"])
    assert (answer.text, answer.tool_calls) == ("It is warm.", ())


def test_an_answer_that_is_cut_short_calls_nothing() -> None:
    with simulating(Rule(text="Let me see.", calls=CALLED)) as client:
        answer = client.chat(**ASKED, max_length=2)
    assert (answer.text, answer.finish_reason, answer.tool_calls) == ("Let me", "length", ())


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.CANCELLED])
def test_each_error_there_is_can_be_had(code: ErrorCode) -> None:
    with simulating(Rule(fails=code)) as client, pytest.raises(TorchbridgeError) as failure:
        client.generate_text(prompt="Once", max_retries=0)
    assert failure.value.code == code


def test_a_rule_that_has_answered_often_enough_leaves_it_to_the_next() -> None:
    with simulating(Rule(times=2, fails=ErrorCode.OVERLOADED, retry_after=7), Rule(text="Now.")) as client:
        for _ in range(2):
            with pytest.raises(Overloaded) as failure:
                client.generate_text(prompt="Once", max_retries=0)
            assert failure.value.retry_after == 7
        assert client.generate_text(prompt="Once", max_retries=0).text == "Now."


def test_a_failure_is_told_as_that_of_torchserve() -> None:
    with simulating(Rule(fails=ErrorCode.OVERLOADED)) as client, pytest.raises(Overloaded) as failure:
        client.generate_text(prompt="Once", max_retries=0)
    assert failure.value.detail == "The model's queue is full."


def test_a_stream_fails_after_the_tokens_that_a_rule_says() -> None:
    with simulating(Rule(text="One two three", fails=ErrorCode.GENERATION_FAILED, after_tokens=2)) as client:
        stream = client.stream_text(prompt="Count")
        with pytest.raises(GenerationFailed):
            stream.read()
    assert stream.text == "One two"


def test_a_connection_is_cut_in_the_middle_of_a_stream() -> None:
    with simulating(Rule(text="One two three", cuts=True, after_tokens=2)) as client:
        stream = client.stream_text(prompt="Count")
        with pytest.raises(StreamTruncated):
            stream.read()
    assert stream.text == "One two"


CUT_ONCE = Rule(text="One two three four", cuts=True, after_tokens=2, times=1)


def read(url: str, cursor: str = "") -> tuple[list[StreamEvent], str]:
    """The events of one connection, and the id of the last of them."""
    headers = {"x-resumable": "true", "last-event-id": cursor}
    told = b""
    with (
        httpx.stream("POST", f"{url}/generate/stream", json={"prompt": "Count"}, headers=headers) as answer,
        suppress(httpx.RemoteProtocolError),
    ):
        for piece in answer.iter_raw():
            told += piece
    *_, last_id = [b"", *re.findall(rb"^id: (.*)$", told, re.MULTILINE)]
    return list(EventDecoder().feed(told)), last_id.decode()


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, DeltaEvent))


def test_a_stream_that_was_cut_goes_on_behind_its_last_event() -> None:
    with simulating(CUT_ONCE, Rule(text="One two three four")) as client:
        before, cursor = read(client.base_url)
        behind, _ = read(client.base_url, cursor)
    assert (text_of(before), text_of(behind)) == ("One two", " three four")
    assert [event.index for event in behind if isinstance(event, DeltaEvent)] == [2, 3]
    assert isinstance(behind[-1], DoneEvent)
    assert (behind[-1].response.text, behind[-1].response.tokens_generated) == ("One two three four", 4)


def test_an_answer_goes_on_where_its_worker_died() -> None:
    dies = Rule(text="One two three", fails=ErrorCode.WORKER_DIED, after_tokens=2, times=1)
    with simulating(dies, Rule(text="One two three")) as client:
        assert client.stream_text(prompt="Count").read().text == "One two three"


def test_an_answer_of_which_each_worker_dies_ends() -> None:
    with simulating(Rule(text="One two three", fails=ErrorCode.WORKER_DIED, after_tokens=2)) as client:
        stream = client.stream_text(prompt="Count")
        with pytest.raises(WorkerDied) as death:
            stream.read()
    assert (stream.text, death.value.retryable) == ("One two", False)


def test_another_text_than_the_one_that_was_begun_is_not_gone_on_with() -> None:
    with simulating(CUT_ONCE, Rule(text="One or three four")) as client:
        _, cursor = read(client.base_url)
        headers = {"last-event-id": cursor}
        answer = httpx.post(f"{client.base_url}/generate/stream", json={"prompt": "Count"}, headers=headers)
    assert answer.json()["code"] == "generation_failed"
    assert "another text" in answer.json()["detail"]


def test_a_stall_meets_the_caller_s_own_limit() -> None:
    with simulating(Rule(stalls=True)) as client, pytest.raises((TimedOut, TorchbridgeError)) as failure:
        client.generate_text(prompt="Once", timeout=0.5, max_retries=0)
    assert failure.value.code in {ErrorCode.DEADLINE_EXCEEDED, None}


def test_the_gateway_s_own_rules_hold() -> None:
    with simulating() as client, pytest.raises(TorchbridgeError) as failure:
        client.generate_text(prompt="")
    assert failure.value.code == ErrorCode.INVALID_REQUEST


def test_what_is_too_long_can_be_played() -> None:
    with simulating(Rule(fails=ErrorCode.PROMPT_TOO_LONG)) as client, pytest.raises(PromptTooLong):
        client.generate_text(prompt="Once", max_retries=0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("answers: [{fails: no_such_code}]", "answers.0.fails"),
        ("answers: [{cuts: true, stalls: true}]", "only one of"),
        ("answer: []", "answer"),
        ("answers: [{times: 0}]", "answers.0.times"),
        ("- a list", "file"),
        ("answers: [{text: One two, fails: internal, after_tokens: 3}]", "has 2 tokens"),
        ("answers: [{after_tokens: 1}]", "fails, stalls or cuts"),
        ("answers: [{retry_after: 1}]", "fails is needed"),
        ("answers: [{calls: [{name: a b}]}]", "answers.0.calls.0.name"),
        ("answers: [{calls: [{name: weather}], fails: internal, after_tokens: 1}]", "has 0 tokens"),
        ("answers: [{token_seconds: .inf}]", "answers.0.token_seconds"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_by_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "script.yaml").write_text(text)
    with pytest.raises(ScriptError, match=words):
        Script.read(tmp_path / "script.yaml")


def test_a_script_without_a_word_in_it_tells_the_story(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("# nothing yet\n")
    assert Script.read(tmp_path / "script.yaml") == Script()


def test_its_settings_are_those_of_serve_from_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('port = 8123\nallowed_hosts = ["llm.example.com"]\n')
    monkeypatch.setenv("TORCHBRIDGE_MAX_WAITING_REQUESTS", "3")
    settings = simulated_settings(file, host="127.0.0.2")
    assert (settings.host, settings.port, settings.max_waiting_requests) == ("127.0.0.2", 8123, 3)
    assert settings.allowed_hosts == ("llm.example.com",)


def test_nothing_is_cached_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert simulated_settings(None).cache_max_age == 0
    file = tmp_path / "gateway.toml"
    file.write_text("cache_max_age = 60\n")
    assert simulated_settings(file).cache_max_age == 60


def test_the_command_serves_a_script_without_java_and_torch(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("model: pretend\nanswers:\n  - {contains: fox, text: The quick brown fox.}\n")
    program = (
        "import sys; sys.argv = ['torchbridge', 'simulate', sys.argv[1], '--port', '0'];"
        "from adapter.cli import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules or 'transformers' in sys.modules, flush=True)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "script.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            [url] = re.findall(r"pretend 1\.0 at (http://127\.0\.0\.1:\d+) ", process.stdout.readline())
            chat = {"model": "pretend", "messages": [{"role": "user", "content": "A fox?"}]}
            answer = httpx.post(f"{url}/v1/chat/completions", json=chat)
        finally:
            process.terminate()
            printed = process.communicate(timeout=120)[0]
    assert answer.json()["choices"][0]["message"]["content"] == "The quick brown fox."
    assert process.returncode == 0
    assert "True" not in printed
