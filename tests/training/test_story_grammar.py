"""The grammar is predictable, keeps its split, and keeps a story together."""

import re
from collections import Counter

import pytest

from training.story_batches import IGNORED, encode_story, make_batches
from training.story_cast import WORDS
from training.story_grammar import Story, load_sentences, load_shapes, write_stories
from training.train_tokenizer import train_tokenizer

NUM_STORIES = 1500


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return list(write_stories(1, NUM_STORIES, held_out=False))


@pytest.fixture(scope="module")
def held_out() -> list[Story]:
    return list(write_stories(1, 100, held_out=True))


def test_same_seed_writes_the_same_stories(stories: list[Story]) -> None:
    assert list(write_stories(1, 200, held_out=False)) == stories[:200]
    assert list(write_stories(2, 200, held_out=False)) != stories[:200]


def test_held_out_combinations_are_never_trained_on(stories: list[Story], held_out: list[Story]) -> None:
    assert not {story.combination for story in stories} & {story.combination for story in held_out}
    assert not {story.text for story in stories} & {story.text for story in held_out}


def test_stories_differ(stories: list[Story]) -> None:
    assert len({story.text for story in stories}) == NUM_STORIES
    assert max(Counter(story.text.strip()[:40] for story in stories).values()) < NUM_STORIES / 20


def test_no_story_has_two_heroes(stories: list[Story]) -> None:
    names = {name for names in WORDS["names"]["hero"].values() for name in names}
    for story in stories:
        # A story that begins in its middle may know its hero by a pronoun only.
        assert names & set(re.findall(r"\w+", story.prompt + story.text)) <= {story.hero}, story


def test_nearly_every_story_names_its_hero(stories: list[Story]) -> None:
    assert sum(story.hero in story.prompt + story.text for story in stories) > 0.98 * NUM_STORIES


def test_every_slot_and_choice_is_filled(stories: list[Story]) -> None:
    for story in stories:
        assert not re.search(r"[{}|]|\(\w", story.text), story.text
        assert "  " not in story.text
        assert story.text.rstrip('"')[-1] in ".!?"


def test_sentences_begin_with_capitals(stories: list[Story]) -> None:
    for story in stories:
        assert not re.search(r"\.\"? [a-z]", story.text), story.text


def test_articles_fit_their_nouns(stories: list[Story]) -> None:
    for story in stories:
        assert not re.search(r"\b[Aa] [aeio]\w+|\b[Aa]n [bcdfgjklmnpqrstvwxyz]\w+", story.text), story.text


def test_every_shape_is_told(stories: list[Story]) -> None:
    assert {story.combination.split("/")[0] for story in stories} == set(load_shapes())
    assert len(load_sentences("openings")) > 30


def test_tokenizer_is_the_same_for_the_same_stories(stories: list[Story]) -> None:
    first, second = (train_tokenizer((story.text for story in stories[:300]), 512, 1024) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


def test_batches_hold_whole_stories_and_no_prompt_is_learnt(stories: list[Story]) -> None:
    tokenizer = train_tokenizer((story.text for story in stories[:300]), 512, 1024)
    asked = next(story for story in stories if story.prompt)
    encoded = encode_story(tokenizer, asked)
    num_prompt_tokens = len(tokenizer(asked.prompt).input_ids)
    assert encoded.tokens[0] == tokenizer.bos_token_id
    assert encoded.tokens[-1] == tokenizer.eos_token_id
    assert encoded.labels[:num_prompt_tokens] == [IGNORED] * num_prompt_tokens
    assert encoded.labels[num_prompt_tokens:] == encoded.tokens[num_prompt_tokens:]

    batches = make_batches(tokenizer, stories[:50], 8)
    assert [len(batch.tokens) for batch in batches] == [8] * 6 + [2]
    assert all((batch.tokens[:, 0] == tokenizer.bos_token_id).all() for batch in batches)
    assert sum(int((batch.tokens == tokenizer.eos_token_id).sum()) for batch in batches) == 50
    lengths = [batch.tokens.shape[1] for batch in batches]
    assert lengths == sorted(lengths)
