"""The handler as TorchServe calls it, on the embedded model."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapter.schema import DeltaEvent, DoneEvent, ErrorCode, ErrorEvent, StartEvent
from handlers.answer_text import AnswerText
from handlers.engine_news import Step
from handlers.forward_pass import Piece
from handlers.int8_linear import Int8Linear
from handlers.row_groups import RowGroup
from handlers.text_generation import FULL_WAIT_SECONDS, WAIT_SECONDS
from tests.handlers.fake_frontend import FakeFrontend, response
from tests.waiting import wait_until

MODELS = Path(__file__).parents[2] / "models"
PROMPTS = [
    "Once upon a time",
    "The fox",
    "A",
    "In a small village by the sea there lived",
    "Hello",
    "One day the old clock stopped and",
    "Mia",
]


def greedy_texts(frontend: FakeFrontend, prompts: list[str]) -> list[str]:
    texts = []
    for prompt in prompts:
        client = frontend.send(prompt=prompt, max_length=20, temperature=0)
        frontend.run()
        texts.append(response(client).text)
    return texts


def test_answer_is_start_then_deltas_then_done(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once upon a time", max_length=30, temperature=0)
    frontend.run()
    start, *deltas, done = client.events

    assert start == StartEvent(
        id="request-0",
        model="tiny",
        model_version="1.0",
        model_digest=start.model_digest,
        prompt_tokens=start.prompt_tokens,
    )
    assert [type(delta) for delta in deltas] == [DeltaEvent] * len(deltas)
    assert [delta.index for delta in deltas] == list(range(len(deltas)))
    assert isinstance(done, DoneEvent)
    assert done.response.text == "".join(delta.text for delta in deltas) != ""
    assert done.response.tokens_generated == 30
    assert done.response.finish_reason == "length"


def test_request_that_ends_at_its_first_token_is_answered_in_two_steps(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once upon a time", max_length=1)
    frontend.run()

    assert client.events[0].type == "start"
    assert response(client).tokens_generated == 1
    assert client.chunks[0].count(b"data:") == 1


def test_answer_that_nobody_reads_before_its_end_says_the_same_in_fewer_pieces(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    [whole] = greedy_texts(frontend, PROMPTS[:1])
    # Then the piece after the first is the last, however slow this machine is.
    monkeypatch.setattr("handlers.answer_text._UNREAD_INTERVAL", 3_600.0)
    read = frontend.send(prompt=PROMPTS[0], max_length=20, temperature=0)
    unread = frontend.send(prompt=PROMPTS[0], max_length=20, temperature=0, stream=False)
    frontend.run()

    assert (response(read).text, response(unread).text) == (whole, whole)
    assert [event.type for event in unread.events] == ["start", "delta", "delta", "done"]


def test_only_streams_that_have_begun_slow_each_others_text_down(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    monkeypatch.setattr(AnswerText, "write_among", lambda _, count: counts.append(count))
    monkeypatch.setattr(frontend.handler._run_ahead, "collect", lambda *_: [])  # so that none of them ends
    streams = [frontend.send(prompt=prompt) for prompt in PROMPTS[:2]]
    wholes = [frontend.send(prompt=prompt, stream=False) for prompt in PROMPTS[2:5]]
    frontend.call_until(lambda: all(client.events for client in [*streams, *wholes]))
    monkeypatch.setattr(frontend.handler._prompt_encoder, "submit", lambda *_: None)
    pending = frontend.send(prompt=PROMPTS[5])

    counts.clear()
    frontend.call()
    assert counts == [2] * 5

    frontend.leave(streams[0])
    counts.clear()
    frontend.call()
    assert counts == [1] * 4
    assert not pending.events


def test_a_call_without_news_is_longer_while_no_other_request_can_come(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def collect(timeout: float, patience: float) -> list[Step]:
        assert patience == timeout
        waits.append(timeout)
        return []

    monkeypatch.setattr(frontend.handler._run_ahead, "collect", collect)
    for _ in range(7):
        frontend.send(prompt="Once", max_length=200)
    frontend.call()
    frontend.send(prompt="Once", max_length=200)
    frontend.call()

    assert waits == [WAIT_SECONDS, FULL_WAIT_SECONDS]


def test_a_request_whose_numbers_are_not_finite_fails_alone(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = greedy_texts(frontend, PROMPTS[:2])
    engine = frontend.handler._engine
    own_pass = engine.forward_pass
    bad_prompt = frontend.handler._tokenizer(PROMPTS[2])["input_ids"]

    def spoiled(pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        logits = own_pass(pieces, lengths, groups)
        if logits is not None:
            prompts = engine._rows.tokens[: len(logits), : len(bad_prompt)]
            logits[(prompts == torch.tensor(bad_prompt)).all(1)] = torch.nan
        return logits

    monkeypatch.setattr(engine, "forward_pass", spoiled)
    good = [frontend.send(prompt=prompt, max_length=20, temperature=0) for prompt in PROMPTS[:2]]
    bad = frontend.send(prompt=PROMPTS[2], max_length=20, temperature=0)
    frontend.run()

    assert [response(client).text for client in good] == alone
    start, failure = bad.events
    assert isinstance(failure, ErrorEvent)
    assert (start.type, failure.problem.code) == ("start", ErrorCode.GENERATION_FAILED)
    assert failure.problem.detail == "The model's numbers are not finite for this request."


def test_one_bad_request_among_eight_changes_no_other_answer(frontend: FakeFrontend) -> None:
    alone = greedy_texts(frontend, PROMPTS)
    good = [frontend.send(prompt=prompt, max_length=20, temperature=0) for prompt in PROMPTS[:4]]
    bad = frontend.send_body(b'{"id": "bad", "prompt": 7}')
    good += [frontend.send(prompt=prompt, max_length=20, temperature=0) for prompt in PROMPTS[4:]]
    frontend.run()

    assert [response(client).text for client in good] == alone
    assert [event.type for event in bad.events] == ["start", "error"]
    assert bad.events[1].problem.code == ErrorCode.INVALID_REQUEST


def test_prompt_longer_than_the_context_is_a_typed_error_and_not_cut(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once upon a time " * 500)
    frontend.run()
    start, error = client.events

    assert start.prompt_tokens > frontend.handler._engine.context_length
    assert error.problem.code == ErrorCode.PROMPT_TOO_LONG
    assert f"{start.prompt_tokens} tokens exceeds the context window" in error.problem.detail


def test_longest_prompt_that_leaves_room_for_a_token_is_answered(frontend: FakeFrontend) -> None:
    context_length = frontend.handler._engine.context_length
    # A control character is one token, and the tokenizer puts one token before the prompt.
    fits = frontend.send(prompt="\x01" * (context_length - 2))
    too_long = frontend.send(prompt="\x01" * (context_length - 1))
    frontend.run()

    assert response(fits).prompt_tokens == context_length - 1
    assert response(fits).tokens_generated == 1
    assert isinstance(too_long.events[-1], ErrorEvent)


def test_stop_string_ends_the_answer_and_is_not_in_it(frontend: FakeFrontend) -> None:
    [whole] = greedy_texts(frontend, ["Once upon a time"])
    stop = whole[9:14]
    client = frontend.send(prompt="Once upon a time", max_length=20, temperature=0, stop=[stop])
    frontend.run()

    assert response(client).text == whole[: whole.index(stop)]
    assert response(client).finish_reason == "stop_sequence"
    assert response(client).tokens_generated < 20


def test_client_that_leaves_is_not_decoded_for_beside_the_next(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = frontend.handler._engine
    together: list[tuple[str, ...]] = []
    step = engine.step

    def recorded_step() -> Step | None:
        done = step()
        together.append(done.ids if done else ())
        return done

    monkeypatch.setattr(engine, "step", recorded_step)
    leaver = frontend.send(prompt="Once upon a time", max_length=1_000, seed=1)
    frontend.call()
    frontend.leave(leaver)
    follower = frontend.send(prompt="The fox", max_length=5)
    frontend.run()

    assert response(follower).tokens_generated == 5
    assert set(together) <= {(), ("torchserve-0",), ("torchserve-1",)}
    assert not engine.has_work


def test_frontend_that_stalls_until_the_engine_pauses_gets_every_answer_unchanged(frontend: FakeFrontend) -> None:
    alone = greedy_texts(frontend, PROMPTS)
    run_ahead = frontend.handler._run_ahead
    run_ahead._max_uncollected = 4
    clients = [frontend.send(prompt=prompt, max_length=20, temperature=0) for prompt in PROMPTS]
    frontend.call_until(lambda: all(client.events for client in clients))
    wait_until(lambda: len(run_ahead._news) == 4)
    frontend.run()

    assert [response(client).text for client in clients] == alone


def test_failure_of_the_engine_is_an_error_event_and_the_next_request_works(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Step:
        raise RuntimeError("broken at /home/somebody")

    frontend.handler._run_ahead._max_uncollected = 4  # so that no answer ends before
    clients = [frontend.send(prompt=prompt, max_length=1_000) for prompt in PROMPTS]
    frontend.call_until(lambda: all(client.events for client in clients))
    with monkeypatch.context() as patch:
        patch.setattr(frontend.handler._engine, "step", fail)
        frontend.run()
    follower = frontend.send(prompt="The fox", max_length=5)
    frontend.run()

    assert {client.events[-1].problem.code for client in clients} == {ErrorCode.GENERATION_FAILED}
    assert "/home" not in clients[0].events[-1].problem.detail
    assert response(follower).tokens_generated == 5


def test_seed_gives_the_same_answer_alone_and_in_company(frontend: FakeFrontend) -> None:
    alone = frontend.send(prompt="Once upon a time", max_length=40, temperature=1.0, seed=5)
    frontend.run()
    company = [frontend.send(prompt=prompt, max_length=30, temperature=1.0) for prompt in PROMPTS]
    frontend.call()
    seeded = frontend.send(prompt="Once upon a time", max_length=40, temperature=1.0, seed=5)
    frontend.run()

    assert response(seeded).text == response(alone).text
    assert len({response(client).text for client in company}) == len(company)


def test_deltas_hold_whole_characters(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="好的", max_length=200, temperature=2.0, seed=3)
    frontend.run()

    assert "".join(event.text for event in client.events if isinstance(event, DeltaEvent)) == response(client).text


def test_weights_of_8_bits_are_served_like_others_and_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, used = Int8Linear.forward, set()
    monkeypatch.setattr(Int8Linear, "forward", lambda layer, states: used.add(layer) or forward(layer, states))
    for directory in (tmp_path / "int8", tmp_path / "exact"):
        directory.mkdir()
        (directory / "model").symlink_to(MODELS / "tiny")
    frontend = FakeFrontend(tmp_path / "int8", quantization="int8")
    exact = FakeFrontend(tmp_path / "exact", dtype="bfloat16")
    try:
        assert used  # by the self-check
        assert greedy_texts(frontend, PROMPTS[:1]) == greedy_texts(exact, PROMPTS[:1])
    finally:
        frontend.close()
        exact.close()
