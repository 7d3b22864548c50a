import copy
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from adapter.openai.schema import ChatCompletionRequest
from adapter.openai.translation import from_chat
from adapter.schema import WorkerRequest
from handlers.prompt_encoding import encode_prompt
from handlers.tokenization import ChatTemplateError, encode_request, stop_strings

TINY = Path(__file__).parents[2] / "models" / "tiny"
PROMPT = WorkerRequest(id="1", prompt="Once")
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
CHAT = WorkerRequest(
    id="1", **dict(from_chat(ChatCompletionRequest.model_validate({"messages": MESSAGES, "stop": "!"})))
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(TINY)


def with_template(tokenizer: PreTrainedTokenizerBase, template: str | None) -> PreTrainedTokenizerBase:
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def test_conversation_is_what_the_template_makes_of_it_and_begins_once(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.decode(encode_request(tokenizer, CHAT)) == "<bos>Be brief.\nHi\n"


def test_conversation_without_a_template_is_its_plain_text(tokenizer: PreTrainedTokenizerBase) -> None:
    plain = with_template(tokenizer, None)

    assert plain.decode(encode_request(plain, CHAT)) == "<bos>Be brief.\n\nUser: Hi\nAssistant:"


def test_prompt_goes_round_the_template(tokenizer: PreTrainedTokenizerBase) -> None:
    assert encode_request(tokenizer, PROMPT) == encode_prompt(tokenizer, "Once")


def test_only_a_plain_conversation_ends_at_the_users_turn(tokenizer: PreTrainedTokenizerBase) -> None:
    plain = with_template(tokenizer, None)

    assert stop_strings(plain, CHAT) == ("!", "\nUser:")
    assert stop_strings(tokenizer, CHAT) == ("!",)
    assert stop_strings(plain, PROMPT) == ()


def test_template_that_refuses_says_why_in_few_words(tokenizer: PreTrainedTokenizerBase) -> None:
    refusing = with_template(tokenizer, "{{ raise_exception('Roles must\n alternate. ' + 'x' * 500) }}")

    with pytest.raises(ChatTemplateError, match=r"refuses these messages: Roles must alternate\. x+$") as refusal:
        encode_request(refusing, CHAT)
    assert len(str(refusal.value)) < 300


def test_template_that_fails_says_nothing_of_its_inside(tokenizer: PreTrainedTokenizerBase) -> None:
    failing = with_template(tokenizer, "{{ messages[0]['content'] + 1 }}")

    with pytest.raises(ChatTemplateError, match=r"^The model's chat template fails on these messages\.$"):
        encode_request(failing, CHAT)
