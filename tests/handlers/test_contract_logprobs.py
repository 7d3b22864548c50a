"""The tokens that an answer tells of are those of its text."""

from adapter.schema import GenerationResponse
from tests.handlers.fake_frontend import FakeFrontend, response

PROMPT = "Once upon a time"


def joined(told: GenerationResponse) -> str:
    return b"".join(bytes(each.bytes) for each in told.logprobs or ()).decode()


def test_together_they_are_the_text(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt=PROMPT, max_length=30, temperature=0, logprobs=0)
    frontend.run()

    told = response(client)
    assert joined(told) == told.text
    assert len(told.logprobs or ()) == told.tokens_generated == 30


def test_what_a_stop_string_cuts_off_is_not_told_of(frontend: FakeFrontend) -> None:
    whole = frontend.send(prompt=PROMPT, max_length=30, temperature=0)
    frontend.run()
    words = response(whole).text.split(" ")
    client = frontend.send(prompt=PROMPT, max_length=30, temperature=0, logprobs=0, stop=[f" {words[5]} {words[6]}"])
    frontend.run()

    told = response(client)
    assert told.finish_reason == "stop_sequence"
    assert joined(told) == told.text == " ".join(words[:5])


def test_a_special_token_has_a_name_and_adds_nothing(frontend: FakeFrontend) -> None:
    special = frontend.handler._token_decoder.special_tokens
    token_id = next(each for each in special if each != frontend.handler._tokenizer.eos_token_id)
    client = frontend.send(
        prompt=PROMPT, max_length=3, temperature=0, logprobs=0, ignore_eos=True, logit_bias={str(token_id): 100}
    )
    frontend.run()

    told = response(client)
    assert [(each.token, each.bytes) for each in told.logprobs or ()] == [(special[token_id], ())] * 3
    assert told.text == ""
