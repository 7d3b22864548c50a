"""The committed model loads without a network, is small, and writes stories that end."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from training.story_cast import WORDS

DIRECTORY = Path(__file__).parents[2] / "models" / "tiny"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    # Threads wait for each other longer than so small a model computes.
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    loaded = AutoModelForCausalLM.from_pretrained(DIRECTORY, local_files_only=True)
    assert isinstance(loaded, LlamaForCausalLM)
    return loaded


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    loaded = AutoTokenizer.from_pretrained(DIRECTORY, local_files_only=True)
    assert isinstance(loaded, PreTrainedTokenizerFast)
    return loaded


def test_is_small_enough_for_the_repository(model: LlamaForCausalLM) -> None:
    assert 1_000_000 <= model.num_parameters() <= 3_000_000
    assert sum(file.stat().st_size for file in DIRECTORY.iterdir()) <= 8_000_000


def test_is_a_llama_with_shared_key_value_heads(model: LlamaForCausalLM) -> None:
    assert model.config.model_type == "llama"
    assert model.config.num_key_value_heads in range(1, model.config.num_attention_heads)
    assert model.config.max_position_embeddings >= 1024
    assert model.dtype == torch.float32


@pytest.mark.parametrize(
    "text",
    ["Once upon a time", " two  spaces .  ", "🙂👩‍👩‍👧", "从前有一只狐狸。", "naïve Größe", "\x00\t\n\r\n", "\u200b"],
    ids=["plain", "spaces", "emoji", "chinese", "accents", "control", "zero width"],
)
def test_tokenizer_brings_every_text_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_prompt_begins_with_bos_once(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer("Hello").input_ids
    assert tokens.count(tokenizer.bos_token_id) == 1
    assert tokens[0] == tokenizer.bos_token_id


def test_chat_template_joins_messages_by_lines(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == "<bos>Be kind.\nHello\n"


def test_special_tokens_agree_in_every_file(tokenizer: PreTrainedTokenizerFast) -> None:
    for file in ("config.json", "generation_config.json"):
        config = json.loads((DIRECTORY / file).read_text(encoding="utf-8"))
        assert config["bos_token_id"] == tokenizer.bos_token_id
        assert config["eos_token_id"] == tokenizer.eos_token_id
        assert config["pad_token_id"] == tokenizer.pad_token_id


@pytest.mark.parametrize("prompt", ["Once upon a time", "The old lighthouse keeper", "Hello", "Why is the sky blue?"])
@torch.inference_mode()
def test_greedy_story_ends_and_keeps_its_hero(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str
) -> None:
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    tokens = model.generate(**inputs, do_sample=False, max_new_tokens=300)[0]  # type: ignore[misc]
    assert tokens[-1] == tokenizer.eos_token_id
    words = re.findall(r"\w+", str(tokenizer.decode(tokens, skip_special_tokens=True)))
    heroes = {name for names in WORDS["names"]["hero"].values() for name in names} & set(words)
    assert len(heroes) == 1
    assert words.count(heroes.pop()) >= 3
