"""A prompt's logprobs are those of the model's own pass over the whole of it, however many pieces it is computed in."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from adapter.schema import ErrorCode, ErrorEvent, PromptLogprob
from handlers import prompt_logprobs as module
from handlers.logprobs import Logprobs
from handlers.prompt_logprobs import prompt_logprobs
from tests.handlers.fake_frontend import Client, FakeFrontend, response
from tests.project import PROJECT

TINY = PROJECT / "models" / "tiny"
PROMPT = "Once upon a time there was a little dog"


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32).eval()


def answer(frontend: FakeFrontend, **body: Any) -> Client:
    client = frontend.send(**{"prompt": PROMPT, "max_length": 1, "temperature": 0} | body)
    frontend.run()
    return client


def token_logprob(frontend: FakeFrontend, **body: Any) -> tuple[PromptLogprob, ...]:
    return response(answer(frontend, prompt_logprobs=2, **body)).prompt_logprobs or ()


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 20])
def test_they_are_those_of_one_pass_over_all(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(module, "_TOKENS_AT_ONCE", 8)
    ids = torch.randint(0, model.config.vocab_size, (length,), generator=torch.Generator().manual_seed(1)).tolist()
    found: list[Logprobs] = []
    num_pieces = sum(1 for _ in prompt_logprobs(model, ids, 2, model.config.vocab_size, found.extend))

    with torch.inference_mode():
        expected = model(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
    top = expected.topk(2)
    assert num_pieces == -(-length // 8)
    assert [each.taken for each in found] == pytest.approx(expected[range(length - 1), ids[1:]].tolist(), abs=1e-4)
    assert [list(each.top_ids) for each in found] == top.indices[:-1].tolist()


def test_each_token_of_the_prompt_is_told_of(frontend: FakeFrontend) -> None:
    first, *rest = token_logprob(frontend)

    assert first.logprob is None
    assert all(each.logprob is not None and each.logprob < 0 and len(each.top) == 2 for each in rest)
    text = b"".join(bytes(each.bytes) for each in (first, *rest)).decode()
    assert text == PROMPT


def test_a_prompt_may_be_the_model_s_own_tokens(frontend: FakeFrontend) -> None:
    by_text = token_logprob(frontend)
    ids = [each.id for each in by_text]

    by_ids = response(answer(frontend, prompt=" ", prompt_ids=ids, prompt_logprobs=2))
    assert by_ids.prompt_tokens == len(ids)
    assert by_ids.prompt_logprobs == by_text
    assert by_ids.text == response(answer(frontend)).text


@pytest.mark.parametrize("ids", [[-1], [1, 2**20], [2**70]])
def test_tokens_that_the_model_does_not_have_are_refused(frontend: FakeFrontend, ids: list[int]) -> None:
    failure = answer(frontend, prompt_ids=ids).events[-1]

    assert isinstance(failure, ErrorEvent)
    assert failure.problem.code == ErrorCode.INVALID_REQUEST


def test_they_are_found_while_others_go_on_and_change_nothing_of_them(frontend: FakeFrontend) -> None:
    alone = response(answer(frontend, max_length=20)).text
    client = frontend.send(prompt=PROMPT, max_length=20, temperature=0)
    scored = [frontend.send(prompt=PROMPT * 8, max_length=1, prompt_logprobs=0) for _ in range(3)]
    frontend.run()

    assert response(client).text == alone
    assert [len(response(each).prompt_logprobs or ()) for each in scored] == [response(scored[0]).prompt_tokens] * 3


def test_a_request_that_left_is_not_begun(frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[str] = []
    begun: list[str] = []
    submit = frontend.handler._engine.submit

    def for_ever(*_: object) -> Iterator[None]:
        while True:
            pieces.append("one more")
            yield

    def note(request_id: str, *rest: Any, **further: Any) -> None:
        begun.append(request_id)
        submit(request_id, *rest, **further)

    monkeypatch.setattr("handlers.text_generation.prompt_logprobs", for_ever)
    monkeypatch.setattr(frontend.handler._engine, "submit", note)
    client = frontend.send(prompt=PROMPT, max_length=1, prompt_logprobs=0)
    frontend.call_until(lambda: pieces)
    frontend.leave(client)
    answer(frontend)
    num_pieces = len(pieces)
    answer(frontend)

    assert begun == ["torchserve-1", "torchserve-2"]
    assert len(pieces) == num_pieces


def test_a_failure_to_find_them_ends_that_request_alone(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[None]:
        yield
        raise RuntimeError("broken")

    monkeypatch.setattr("handlers.text_generation.prompt_logprobs", fail)
    client = frontend.send(prompt=PROMPT, max_length=1, prompt_logprobs=0)
    other = frontend.send(prompt=PROMPT, max_length=3)
    frontend.run()

    assert client.events[-1].type == "error"
    assert response(other).tokens_generated == 3
