"""Conversations as the handler starts them, on the embedded model."""

from pathlib import Path

import pytest

from adapter.schema import DoneEvent, ErrorCode, ErrorEvent
from handlers import request_encoder
from handlers.request_encoder import RequestEncoder
from tests.handlers.fake_frontend import Client, FakeFrontend

TINY = Path(__file__).parents[2] / "models" / "tiny"
TALK = {"messages": [{"role": "user", "content": "Once upon a time"}], "max_length": 20, "temperature": 0}


def ask(frontend: FakeFrontend, *, prompt: str = "plain") -> Client:
    client = frontend.send(prompt=prompt, **TALK)
    frontend.run()
    return client


def use_template(frontend: FakeFrontend, template: str | None) -> None:
    tokenizer = frontend.handler._tokenizer
    tokenizer.chat_template = template
    frontend.handler._prompt_builder._encoder = RequestEncoder(tokenizer)


def text_of(client: Client) -> str:
    assert isinstance(client.events[-1], DoneEvent)
    return client.events[-1].response.text


def test_conversation_goes_by_the_template_and_not_by_its_plain_text(frontend: FakeFrontend) -> None:
    by_template = frontend.send(prompt="Once upon a time\n", max_length=20, temperature=0)
    frontend.run()

    assert text_of(ask(frontend)) == text_of(by_template)


def test_answer_without_a_template_ends_before_the_users_turn(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_template(frontend, None)
    whole = text_of(ask(frontend))
    monkeypatch.setattr(request_encoder, "_USERS_TURN", whole[9:14])

    assert text_of(ask(frontend)) == whole[: whole.index(whole[9:14])]


def test_refusal_by_the_template_is_an_error_event_that_no_other_request_notices(frontend: FakeFrontend) -> None:
    use_template(frontend, "{{ raise_exception('Roles must alternate.') }}")
    other = frontend.send(prompt="Once", max_length=5)
    refused = ask(frontend).events[-1]

    assert text_of(other)
    assert isinstance(refused, ErrorEvent)
    assert refused.problem.code == ErrorCode.INVALID_REQUEST
    assert refused.problem.detail == "The model's chat template refuses these messages: Roles must alternate."


@pytest.mark.parametrize("allowed", [False, True])
def test_special_token_that_a_caller_writes_in_a_message_is_one_only_by_the_setting(
    tmp_path: Path, *, allowed: bool
) -> None:
    (tmp_path / "model").symlink_to(TINY)
    frontend = FakeFrontend(tmp_path, special_tokens_in_messages=allowed)
    message = {"role": "user", "content": "Once<eos>"}
    client = frontend.send(prompt="plain", messages=[message], max_length=1)
    frontend.run()
    frontend.close()

    end = client.events[-1]
    assert isinstance(end, DoneEvent)
    as_token = len(frontend.handler._tokenizer("Once<eos>\n")["input_ids"])
    assert (end.response.prompt_tokens == as_token) is allowed
