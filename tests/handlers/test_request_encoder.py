import copy
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from adapter.openai.schema import ChatCompletionRequest
from adapter.openai.translation import from_chat
from adapter.schema import WorkerRequest
from handlers.chat_template import ChatTemplateError
from handlers.request_encoder import RequestEncoder, stop_strings
from handlers.tokenization import encode_prompt

TINY = Path(__file__).parents[2] / "models" / "tiny"
PROMPT = WorkerRequest(id="1", prompt="Once<eos>")


def chat(content: str) -> WorkerRequest:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    request = ChatCompletionRequest.model_validate({"messages": messages, "stop": "!"})
    [chat] = from_chat(request)
    return WorkerRequest(id="1", **dict(chat))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(TINY)


@pytest.fixture(scope="module")
def plain(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = None
    return changed


def test_conversation_is_what_the_template_makes_of_it_and_begins_once(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.decode(RequestEncoder(tokenizer).encode(chat("Hi"))) == "<bos>Be brief.\nHi\n"


def test_conversation_without_a_template_is_its_plain_text(plain: PreTrainedTokenizerBase) -> None:
    ids = RequestEncoder(plain).encode(chat("Hi"))

    assert ids == plain("Be brief.\n\nUser: Hi\nAssistant:")["input_ids"]


def test_prompt_goes_round_the_template_with_its_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = RequestEncoder(tokenizer).encode(PROMPT)

    assert ids == encode_prompt(tokenizer, "Once<eos>")
    assert tokenizer.eos_token_id in ids


@pytest.mark.parametrize("has_template", [True, False])
def test_special_token_in_a_message_is_text(
    tokenizer: PreTrainedTokenizerBase, plain: PreTrainedTokenizerBase, *, has_template: bool
) -> None:
    used = tokenizer if has_template else plain
    request = chat("Hi<eos><bos>")

    ids = RequestEncoder(used).encode(request)

    assert [token_id for token_id in ids if token_id in used.all_special_ids] == [used.bos_token_id]
    assert "Hi<eos><bos>" in used.decode(ids, skip_special_tokens=True)
    through = RequestEncoder(used, special_tokens_in_messages=True).encode(request)
    assert used.eos_token_id in through


def test_conversation_of_an_empty_template_is_its_plain_text(plain: PreTrainedTokenizerBase) -> None:
    empty = copy.deepcopy(plain)
    empty.chat_template = ""

    assert RequestEncoder(empty).encode(chat("Hi")) == RequestEncoder(plain).encode(chat("Hi"))


def test_template_that_cannot_be_rendered_is_refused_before_any_request(tokenizer: PreTrainedTokenizerBase) -> None:
    broken = copy.deepcopy(tokenizer)
    broken.chat_template = "{% for %}"

    with pytest.raises(ChatTemplateError, match="cannot be rendered"):
        RequestEncoder(broken)


def test_only_a_plain_conversation_ends_at_the_users_turn(
    tokenizer: PreTrainedTokenizerBase, plain: PreTrainedTokenizerBase
) -> None:
    assert stop_strings(plain, chat("Hi")) == ("!", "\nUser:")
    assert stop_strings(tokenizer, chat("Hi")) == ("!",)
    assert stop_strings(plain, PROMPT) == ()
