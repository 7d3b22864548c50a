"""Logprobs in the two forms of OpenAI's answers, whole and streamed."""

import json
from typing import Any

from adapter.openai.answers import CHAT, TEXT, Chunks, Kind, completion
from adapter.openai.logprobs import of_completion
from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    StartEvent,
    StreamEvent,
    TokenLogprob,
    TopLogprob,
    WorkerRequest,
)
from tests.fakes import answer_to


def told(token: str, logprob: float, *others: tuple[str, float]) -> TokenLogprob:
    def one(text: str, value: float) -> dict[str, Any]:
        return {"id": 1, "token": text, "bytes": tuple(text.encode()), "logprob": value}

    return TokenLogprob(**one(token, logprob), top=tuple(TopLogprob(**one(*other)) for other in others))


TOLD = (told("Hé", -0.5, ("Hé", -0.5), ("Ho", -1.0)), told(" you", -3.0, (" me", -0.1), (" us", -2.0)))
DELTAS = [("Hé", TOLD[:1]), (" you", TOLD[1:])]


def events() -> list[StreamEvent]:
    start, *_, done = answer_to(WorkerRequest(prompt="Once", id="1", model="tiny", model_version="1.0"), "Hé you")
    assert isinstance(start, StartEvent)
    assert isinstance(done, DoneEvent)
    deltas = [DeltaEvent(index=index, text=text, logprobs=of) for index, (text, of) in enumerate(DELTAS)]
    return [start, *deltas, DoneEvent(response=done.response.model_copy(update={"logprobs": TOLD}))]


def whole(kind: Kind) -> dict[str, Any]:
    done = events()[-1]
    assert isinstance(done, DoneEvent)
    answer: dict[str, Any] = completion(kind, [done.response])["choices"][0]["logprobs"]
    return answer


def streamed(kind: Kind) -> list[dict[str, Any] | None]:
    lines = Chunks(kind, include_usage=False).encode(events()).decode().split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    return [chunk["choices"][0]["logprobs"] for chunk in chunks]


def test_a_chat_has_one_object_a_token() -> None:
    first, second = whole(CHAT)["content"]

    assert (first["token"], first["logprob"], first["bytes"]) == ("Hé", -0.5, [72, 195, 169])
    assert [(top["token"], top["logprob"]) for top in second["top_logprobs"]] == [(" me", -0.1), (" us", -2.0)]


def test_a_completion_has_a_list_for_each_fact() -> None:
    assert whole(TEXT) == {
        "tokens": ["Hé", " you"],
        "token_logprobs": [-0.5, -3.0],
        "top_logprobs": [{"Hé": -0.5, "Ho": -1.0}, {" me": -0.1, " us": -2.0, " you": -3.0}],
        "text_offset": [0, 2],
    }


def test_places_in_the_text_count_its_characters_whatever_tokens_make_them_up() -> None:
    def piece(token: str, content: bytes) -> TokenLogprob:
        return TokenLogprob(id=1, token=token, bytes=tuple(content), logprob=-1, top=())

    snowman = "\N{SNOWMAN}".encode()
    tokens = [piece("\ufffd", snowman[:1]), piece("\ufffd", snowman[1:]), piece("<end>", b""), piece("a", b"a")]
    assert of_completion(tokens, 5)["text_offset"] == [5, 5, 6, 6]


def test_streamed_they_come_with_the_text_and_add_up_to_the_same() -> None:
    chat = [each for each in streamed(CHAT) if each is not None]
    text = [each for each in streamed(TEXT) if each is not None]

    assert [token for each in chat for token in each["content"]] == whole(CHAT)["content"]
    for fact, values in whole(TEXT).items():
        assert [value for each in text for value in each[fact]] == values


def test_who_does_not_ask_has_none() -> None:
    request = WorkerRequest(prompt="Once", id="1", model="tiny", model_version="1.0")
    lines = Chunks(CHAT, include_usage=False).encode(answer_to(request, "Hi")).decode()

    assert lines.count('"logprobs":null') == lines.count('"choices"') == 3
