import copy
import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from adapter.openai.schema import ChatCompletionRequest
from adapter.openai.translation import from_chat
from adapter.schema import WorkerRequest
from handlers.prompt_encoding import encode_prompt
from handlers.tokenization import ChatTemplateError, Detokenizer, encode_request, stop_strings

TINY = Path(__file__).parents[2] / "models" / "tiny"
TEXTS = ["Once upon a time", "naïve café", "你好，世界。", "👩‍👩‍👧‍👦 and 🏳️‍🌈", "a\u2028b\r\n\tc", "עברית"]
PROMPT = WorkerRequest(id="1", prompt="Once")
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
CHAT = WorkerRequest(
    id="1", **dict(from_chat(ChatCompletionRequest.model_validate({"messages": MESSAGES, "stop": "!"})))
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(TINY)


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_add_up_to_the_text_and_hold_whole_characters(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.push(token_id) for token_id in tokenizer(text, add_special_tokens=False)["input_ids"]]

    assert "".join(pieces) + detokenizer.flush() == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_random_tokens_give_what_decoding_them_at_once_gives(tokenizer: PreTrainedTokenizerBase) -> None:
    generator = random.Random(0)
    for _ in range(300):
        ids = [generator.randrange(len(tokenizer)) for _ in range(24)]
        detokenizer = Detokenizer(tokenizer)

        text = "".join(map(detokenizer.push, ids)) + detokenizer.flush()

        assert text == tokenizer.decode(ids, skip_special_tokens=True)


def test_character_that_the_model_never_finishes_comes_out_as_a_replacement_character(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    first_byte = tokenizer("😀", add_special_tokens=False)["input_ids"][0]
    detokenizer = Detokenizer(tokenizer)

    assert detokenizer.push(first_byte) == ""
    assert detokenizer.flush() == "\ufffd"


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
