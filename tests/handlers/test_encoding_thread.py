"""The thread that encodes prompts: in which order, for whom, and what it survives."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from tokenizers.pre_tokenizers import FixedLength

from adapter.schema import WorkerRequest
from handlers.encoding_thread import EncodingThread
from tests.handlers.ended_worker import EndedWorker
from tests.tokenizer_families import FAMILIES
from tests.waiting import PATIENCE, wait_until


@dataclass
class SlowTokenizer:
    """Holds what begins with "slow" until it is let go, and notes what it has begun."""

    begun: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def encode(self, request: WorkerRequest) -> Sequence[int]:
        self.begun.append(request.id)
        if request.prompt.startswith("slow"):
            assert self.go_on.wait(PATIENCE)
        return list(request.prompt.encode())


def request(name: str, prompt: str) -> WorkerRequest:
    return WorkerRequest(id=name, prompt=prompt)


@pytest.fixture
def tokenizer() -> SlowTokenizer:
    return SlowTokenizer()


@pytest.fixture
def ended() -> EndedWorker:
    return EndedWorker()


@pytest.fixture
def encoding(tokenizer: SlowTokenizer, ended: EndedWorker) -> Iterator[Callable[..., EncodingThread]]:
    made: list[EncodingThread] = []

    def make(
        encode: Callable[[WorkerRequest], Sequence[int]] = tokenizer.encode,
        on_encoded: Callable[[], None] = lambda: None,
        longest: float = PATIENCE,
    ) -> EncodingThread:
        made.append(EncodingThread(encode, on_encoded, longest=longest, end_worker=ended))
        return made[-1]

    yield make
    tokenizer.go_on.set()
    for encoder in made:
        encoder.close()


def take_all(encoder: EncodingThread, number: int) -> dict[str, object]:
    taken: dict[str, object] = {}

    def is_all() -> bool:
        taken.update({encoded.request_id: encoded.prompt for encoded in encoder.take()})
        return len(taken) == number

    wait_until(is_all)
    return taken


def test_each_prompt_is_given_once_with_its_request(encoding: Callable[..., EncodingThread]) -> None:
    encoder = encoding()
    encoder.submit("a", request("a", "AB"))
    encoder.submit("b", request("b", "C"))

    assert take_all(encoder, 2) == {"a": [65, 66], "b": [67]}
    assert encoder.take() == []


def test_the_shortest_of_those_that_wait_is_the_next(
    encoding: Callable[..., EncodingThread], tokenizer: SlowTokenizer
) -> None:
    encoder = encoding()
    encoder.submit("first", request("first", "slow"))
    wait_until(lambda: tokenizer.begun == ["first"])
    for name, length in {"long": 900, "short": 2, "medium": 30}.items():
        encoder.submit(name, request(name, "x" * length))
    tokenizer.go_on.set()
    take_all(encoder, 4)

    assert tokenizer.begun == ["first", "short", "medium", "long"]


def test_nothing_is_done_and_nothing_kept_for_who_left_the_line(
    encoding: Callable[..., EncodingThread], tokenizer: SlowTokenizer
) -> None:
    encoder = encoding()
    encoder.submit("first", request("first", "slow"))
    wait_until(lambda: tokenizer.begun == ["first"])
    encoder.submit("gone", request("gone", "x"))
    encoder.submit("stays", request("stays", "yy"))
    encoder.keep_only({"first", "stays"})
    assert list(encoder._waiting) == ["stays"]
    tokenizer.go_on.set()

    assert take_all(encoder, 2).keys() == {"first", "stays"}
    assert tokenizer.begun == ["first", "stays"]


def test_prompt_whose_request_leaves_while_it_is_encoded_is_dropped(
    encoding: Callable[..., EncodingThread], tokenizer: SlowTokenizer
) -> None:
    encoder = encoding()
    encoder.submit("gone", request("gone", "slow"))
    wait_until(lambda: tokenizer.begun == ["gone"])
    encoder.keep_only(set())
    encoder.submit("next", request("next", "x"))
    tokenizer.go_on.set()

    assert take_all(encoder, 1).keys() == {"next"}


def test_prompt_that_nobody_has_taken_goes_with_its_request(encoding: Callable[..., EncodingThread]) -> None:
    is_encoded = threading.Event()
    encoder = encoding(on_encoded=is_encoded.set)
    encoder.submit("gone", request("gone", "x"))
    assert is_encoded.wait(PATIENCE)
    encoder.keep_only({"another"})

    assert encoder.take() == []


def panic(_request: WorkerRequest) -> Sequence[int]:
    """A true panic of Rust, which is no Exception."""
    tokenizer = FAMILIES["byte_level"]()
    tokenizer.pre_tokenizer = FixedLength(length=0)
    return list(tokenizer.encode("Once").ids)


def refuse(_request: WorkerRequest) -> Sequence[int]:
    raise ValueError("not this one")


@pytest.mark.parametrize(("failing", "kind"), [(panic, "PanicException"), (refuse, "ValueError")])
def test_failure_is_of_its_own_request_and_the_next_one_is_encoded(
    encoding: Callable[..., EncodingThread],
    tokenizer: SlowTokenizer,
    ended: EndedWorker,
    failing: Callable[[WorkerRequest], Sequence[int]],
    kind: str,
) -> None:
    encoder = encoding(lambda request: (failing if request.id == "bad" else tokenizer.encode)(request))
    encoder.submit("bad", request("bad", "x"))
    failure = take_all(encoder, 1)["bad"]
    encoder.submit("good", request("good", "A"))

    assert type(failure).__name__ == kind
    assert take_all(encoder, 1) == {"good": [65]}
    assert ended.reasons == []


def test_thread_that_cannot_go_on_ends_the_worker(encoding: Callable[..., EncodingThread], ended: EndedWorker) -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    encoder = encoding(on_encoded=fail)
    encoder.submit("a", request("a", "A"))
    encoder._thread.join(PATIENCE)

    assert ended.reasons == ["the thread that encodes prompts cannot go on: RuntimeError('broken')"]


def test_prompt_whose_encoding_does_not_end_ends_the_worker(
    encoding: Callable[..., EncodingThread], tokenizer: SlowTokenizer, ended: EndedWorker
) -> None:
    encoder = encoding(longest=0.0)
    encoder.submit("a", request("a", "slow"))
    wait_until(lambda: tokenizer.begun == ["a"])
    encoder.take()

    assert ended.reasons == ["the encoding of a prompt has not ended in 0 seconds"]
