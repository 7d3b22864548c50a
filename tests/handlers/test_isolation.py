"""What one request's own text, bytes or size can cause ends that request, and changes no other answer."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tokenizers.pre_tokenizers import FixedLength

from adapter.schema import DoneEvent, ErrorCode, WorkerRequest
from handlers.request_encoder import RequestEncoder
from handlers.stop_strings import StopStrings
from tests.handlers.fake_frontend import Client, FakeFrontend
from tests.tokenizer_families import FAMILIES, save_random_model
from tests.waiting import PATIENCE, wait_until

PROMPTS = ["Once upon", "the cat", "a dog"]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], FakeFrontend]]:
    """A frontend before a random model with a tokenizer of this family, which knows one token more than the model."""
    started: list[FakeFrontend] = []

    def start(family: str) -> FakeFrontend:
        tokenizer = save_random_model(tmp_path / "model", family)
        (larger := type(tokenizer).from_pretrained(tmp_path / "model")).add_tokens("<one_more>", special_tokens=True)
        larger.save_pretrained(tmp_path / "model")
        started.append(FakeFrontend(tmp_path))
        return started[-1]

    yield start
    for frontend in started:
        frontend.close()


def send_good(frontend: FakeFrontend) -> list[Client]:
    return [frontend.send(prompt=prompt, max_length=20, temperature=0) for prompt in PROMPTS]


def texts(clients: list[Client]) -> list[str]:
    ends = [client.events[-1] for client in clients]
    assert all(isinstance(end, DoneEvent) for end in ends)
    return [end.response.text for end in ends]


def undisturbed(frontend: FakeFrontend) -> list[str]:
    clients = send_good(frontend)
    frontend.run()
    return texts(clients)


def code_of(client: Client) -> ErrorCode:
    assert [event.type for event in client.events if event.type != "delta"] == ["start", "error"]
    return client.events[-1].problem.code


def test_token_that_the_model_does_not_know(serve: Callable[[str], FakeFrontend]) -> None:
    frontend = serve("byte_level")
    alone = undisturbed(frontend)
    good = send_good(frontend)
    frontend.call_until(lambda: all(client.events for client in good))
    bad = frontend.send(prompt="the <one_more> cat")
    frontend.run()

    assert code_of(bad) == ErrorCode.INVALID_REQUEST
    assert "<one_more>" in bad.events[-1].problem.detail
    assert texts(good) == alone


def test_prompt_that_the_tokenizer_fails_on(serve: Callable[[str], FakeFrontend]) -> None:
    frontend = serve("unigram_without_unknown")
    alone = undisturbed(frontend)
    good = send_good(frontend)
    frontend.call_until(lambda: all(client.events for client in good))
    bad = frontend.send(prompt="café")
    frontend.run()

    assert code_of(bad) == ErrorCode.INVALID_REQUEST
    assert texts(good) == alone


def fail() -> str:
    raise RuntimeError("these bytes")


def panic() -> str:
    tokenizer = FAMILIES["byte_level"]()
    tokenizer.pre_tokenizer = FixedLength(length=0)
    return tokenizer.encode("a true panic of Rust is no Exception").tokens[0]


def no_unicode() -> str:
    return "\ud800"  # which no event can hold


@pytest.mark.parametrize("text_of_the_bad_one", [fail, panic, no_unicode])
def test_text_of_an_answer_that_cannot_be_given(
    serve: Callable[[str], FakeFrontend], monkeypatch: pytest.MonkeyPatch, text_of_the_bad_one: Callable[[], str]
) -> None:
    frontend = serve("byte_level")
    alone = undisturbed(frontend)
    push = StopStrings.push
    monkeypatch.setattr(
        StopStrings,
        "push",
        lambda self, piece: text_of_the_bad_one() if "this one" in self._stop_strings else push(self, piece),
    )
    good = send_good(frontend)
    bad = frontend.send(prompt="Once upon", max_length=20, stop=["this one"])
    good += send_good(frontend)
    frontend.run()

    assert code_of(bad) == ErrorCode.GENERATION_FAILED
    assert texts(good) == [*alone, *alone]
    assert not frontend.handler._engine.has_work


def test_very_long_prompts_are_refused_in_the_call_that_brings_them(
    serve: Callable[[str], FakeFrontend], monkeypatch: pytest.MonkeyPatch
) -> None:
    frontend = serve("byte_level")
    alone = undisturbed(frontend)
    good = send_good(frontend)
    frontend.call_until(lambda: all(client.events for client in good))
    monkeypatch.delattr(RequestEncoder, "encode")  # nobody counts their tokens
    long = [frontend.send(prompt="a" * 1_000_000) for _ in range(5)]
    frontend.call()
    frontend.call()

    assert {code_of(client) for client in long} == {ErrorCode.PROMPT_TOO_LONG}
    frontend.run()
    assert texts(good) == alone


class SlowTokenizer:
    """Holds the prompts that begin with "slow" until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_begun, self.go_on = threading.Event(), threading.Event()
        encode = RequestEncoder.encode

        def encode_slowly(encoder: RequestEncoder, request: WorkerRequest, *arguments: object) -> list[int]:
            if request.prompt.startswith("slow"):
                self.has_begun.set()
                assert self.go_on.wait(PATIENCE)
            return encode(encoder, request, *arguments)

        monkeypatch.setattr(RequestEncoder, "encode", encode_slowly)


def test_others_begin_and_end_while_a_prompt_is_encoded(
    serve: Callable[[str], FakeFrontend], monkeypatch: pytest.MonkeyPatch
) -> None:
    frontend = serve("byte_level")
    [alone] = texts_of("slow", frontend)
    tokenizer = SlowTokenizer(monkeypatch)
    running = send_good(frontend)
    frontend.call_until(lambda: all(client.events for client in running))
    slow = frontend.send(prompt="slow", max_length=20, temperature=0)
    frontend.call_until(tokenizer.has_begun.is_set)
    frontend.call_until(lambda: not any(client.is_open for client in running))
    assert slow.events == []
    tokenizer.go_on.set()
    frontend.run()

    assert [slow.events[0].type, slow.events[-1].type] == ["start", "done"]
    assert texts([slow]) == [alone]


def texts_of(prompt: str, frontend: FakeFrontend) -> list[str]:
    client = frontend.send(prompt=prompt, max_length=20, temperature=0)
    frontend.run()
    return texts([client])


def test_who_leaves_while_the_prompt_is_encoded_is_never_decoded_for(
    serve: Callable[[str], FakeFrontend], monkeypatch: pytest.MonkeyPatch
) -> None:
    frontend = serve("byte_level")
    tokenizer = SlowTokenizer(monkeypatch)
    submitted: list[str] = []
    submit = frontend.handler._engine.submit

    def note(name: str, *rest: object, **further: object) -> None:
        submitted.append(name)
        submit(name, *rest, **further)

    monkeypatch.setattr(frontend.handler._engine, "submit", note)
    leaver = frontend.send(prompt="slow")
    frontend.call_until(tokenizer.has_begun.is_set)
    frontend.leave(leaver)
    follower = frontend.send(prompt="Once upon", max_length=5)
    frontend.call()
    tokenizer.go_on.set()
    frontend.run()

    assert isinstance(follower.events[-1], DoneEvent)
    assert submitted == ["torchserve-1"]


def test_failure_of_the_handler_itself_ends_all_with_their_own_ids(
    serve: Callable[[str], FakeFrontend], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    frontend = serve("byte_level")
    running = send_good(frontend)
    frontend.call_until(lambda: all(client.events for client in running))
    with monkeypatch.context() as patch:
        patch.setattr(frontend.handler._run_ahead, "collect", broken)
        new = send_good(frontend)
        frontend.call()
        frontend.call()
    clients = [*running, *new]

    assert {code_of(client) for client in clients} == {ErrorCode.GENERATION_FAILED}
    assert [client.events[0].id for client in clients] == [f"request-{number}" for number in range(6)]
    assert [client.events[-1].problem.request_id for client in clients] == [f"request-{number}" for number in range(6)]
    assert len(undisturbed(frontend)) == len(PROMPTS)
    wait_until(lambda: not frontend.handler._engine.has_work)
