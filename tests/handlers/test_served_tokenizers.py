"""Models with tokenizers of every family, as the handler serves them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from adapter.schema import DeltaEvent, DoneEvent, ErrorCode, ErrorEvent, GenerationResponse
from handlers.model_loading import load_model
from handlers.probe_recording import record_probes
from handlers.settings import HandlerSettings
from tests.handlers.fake_frontend import Client, FakeFrontend
from tests.tokenizer_families import BYTE_FALLBACK_FAMILIES, TURN_END, save_random_model


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], FakeFrontend]]:
    frontends = []

    def start(family: str) -> FakeFrontend:
        save_random_model(tmp_path / "model", family)
        frontends.append(FakeFrontend(tmp_path, slots=32))
        return frontends[-1]

    yield start
    for frontend in frontends:
        frontend.close()


def response(client: Client) -> GenerationResponse:
    done = client.events[-1]
    assert isinstance(done, DoneEvent)
    assert "".join(event.text for event in client.events if isinstance(event, DeltaEvent)) == done.response.text
    return done.response


def hidden(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    return {token_id for token_id, token in tokenizer.added_tokens_decoder.items() if token.special}


@pytest.mark.parametrize("family", BYTE_FALLBACK_FAMILIES)
def test_answers_with_bytes_that_are_no_character_are_given(serve: Callable[[str], FakeFrontend], family: str) -> None:
    frontend = serve(family)
    clients = [frontend.send(prompt="the a", max_length=60, temperature=2, seed=seed) for seed in range(8)]
    frontend.run()

    texts = [response(client).text for client in clients]
    assert any("\ufffd" in text for text in texts)


@pytest.mark.parametrize("family", ["byte_level", "gemma"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_special_token_as_a_stop_string_ends_answers(
    serve: Callable[[str], FakeFrontend], family: str, *, stream: bool
) -> None:
    frontend = serve(family)

    def ask(**stop: str) -> list[GenerationResponse]:
        clients = [
            frontend.send(prompt="the", max_length=100, temperature=2, seed=seed, stream=stream, **stop)
            for seed in range(32)  # a few of them come to it
        ]
        frontend.run()
        return [response(client) for client in clients]

    stopped = [
        (whole, cut)
        for whole, cut in zip(ask(), ask(stop=TURN_END), strict=True)
        if cut.finish_reason == "stop_sequence"
    ]

    assert stopped
    for whole, cut in stopped:
        assert cut.tokens_generated <= whole.tokens_generated  # it may be the last one
        assert whole.text.startswith(cut.text.rstrip("\ufffd"))


def test_prompt_that_the_tokenizer_cannot_write_is_refused_and_fails_no_other(
    serve: Callable[[str], FakeFrontend],
) -> None:
    frontend = serve("unigram_without_unknown")
    running = frontend.send(prompt="the", max_length=50)
    frontend.call()
    refused = frontend.send(prompt="café", max_length=50)
    frontend.run()

    error = refused.events[-1]
    assert isinstance(error, ErrorEvent)
    assert error.problem.code == ErrorCode.INVALID_REQUEST
    assert "has no token for a character" in error.problem.detail
    assert response(running).tokens_generated > 0


@pytest.mark.parametrize("family", ["byte_level", "metaspace_bpe", "wordpiece", "end_of_word_bpe"])
def test_prompt_and_answer_together_are_the_models_own_text(
    serve: Callable[[str], FakeFrontend], tmp_path: Path, family: str
) -> None:
    frontend = serve(family)
    client = frontend.send(prompt="Once upon a", max_length=30, temperature=0)
    frontend.run()

    loaded = load_model(tmp_path / "model", HandlerSettings())
    prompt = loaded.tokenizer("Once upon a", return_tensors="pt")
    whole = loaded.model.generate(**prompt, do_sample=False, max_new_tokens=30)[0].tolist()
    shown = [token_id for token_id in whole if token_id not in hidden(loaded.tokenizer)]
    assert loaded.tokenizer.decode(prompt["input_ids"][0, 1:]) + response(client).text == loaded.tokenizer.decode(shown)


@pytest.mark.parametrize("family", ["byte_level", "llama2", "unigram_without_unknown", "wordpiece"])
def test_model_answers_as_it_was_recorded(serve: Callable[[str], FakeFrontend], tmp_path: Path, family: str) -> None:
    frontend = serve(family)
    probes = [
        probe
        for probe in record_probes(load_model(tmp_path / "model", HandlerSettings())).probes
        if probe.answer_tokens
    ]
    assert probes
    clients = [
        frontend.send(prompt=probe.prompt, max_length=len(probe.answer_tokens), temperature=0) for probe in probes
    ]
    frontend.run()

    for probe, client in zip(probes, clients, strict=True):
        answer = response(client)
        assert (answer.text, answer.finish_reason) == (probe.answer, probe.finish_reason)
