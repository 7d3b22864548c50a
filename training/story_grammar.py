"""Writes stories: draws a cast, picks a shape, fills its beats. The same seed gives the same stories."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any
from zlib import crc32

from training.story_cast import STORIES, draw_cast

ALTERNATIVES = re.compile(r"\(([^()]*)\)")
SENTENCE_START = re.compile(r"(^|\n|[.!?] |\.\" )([a-z])")
SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z\"])")
HELD_OUT_ONE_IN = 20
KEEP_OPTIONAL_BEATS = [0.1, 0.5, 0.9]
ADDED_CLOSING = 0.2
THE_END = 0.15
ONE_PARAGRAPH = 0.5
PROMPT_WITH_SEPARATOR = 0.3
# How a training document starts, in percent. Most are plain; the others make the model robust to foreign prompts.
BEGINNINGS = {
    "plain": 70,
    "question": 8,
    "foreign": 4,
    "request": 8,
    "title": 4,
    "middle": 3,
    "lower case": 5,
}


@dataclass(frozen=True, slots=True)
class Story:
    """`prompt` is what a user would have typed: context that the model reads but does not learn to write."""

    prompt: str
    text: str
    hero: str
    combination: str

    @property
    def is_held_out(self) -> bool:
        return crc32(self.combination.encode()) % HELD_OUT_ONE_IN == 0


@dataclass(frozen=True, slots=True)
class Beat:
    """One step of a shape: any one of `sentences` will do."""

    sentences: tuple[str, ...]
    is_optional: bool


@cache
def load_sentences(name: str) -> tuple[str, ...]:
    return tuple((STORIES / f"{name}.txt").read_text(encoding="utf-8").splitlines())


@cache
def load_shapes() -> dict[str, tuple[Beat, ...]]:
    """A shape is a file of beats, parted by empty lines; a first line `?` marks a beat that may be left out."""
    shapes = {}
    for path in sorted((STORIES / "shapes").glob("*.txt")):
        beats = [block.splitlines() for block in path.read_text(encoding="utf-8").strip().split("\n\n")]
        shapes[path.stem] = tuple(Beat(tuple(beat[beat[0] == "?" :]), beat[0] == "?") for beat in beats)
    return shapes


def fill(random: Random, template: str, cast: dict[str, Any]) -> str:
    while "(" in template:
        template = ALTERNATIVES.sub(lambda found: random.choice(found[1].split("|")), template)
    return SENTENCE_START.sub(lambda found: found[1] + found[2].upper(), template.format_map(cast))


def write_paragraphs(random: Random, shape: tuple[Beat, ...], cast: dict[str, Any], *, has_opening: bool) -> str:
    # One chance for the whole story, not one for each beat, makes some stories short and others long.
    keep_optional = random.choice(KEEP_OPTIONAL_BEATS)
    opening = [random.choice(load_sentences("openings"))] if has_opening else []
    if has_opening and random.random() < keep_optional:
        opening.append(random.choice(load_sentences("habits")))
    beats = [beat for beat in shape if not beat.is_optional or random.random() < keep_optional]
    templates = opening + [random.choice(beat.sentences) for beat in beats]
    if beats[-1] is not shape[-1] or random.random() < ADDED_CLOSING:
        templates.append(random.choice(load_sentences("closings")))
    sentences = [fill(random, template, cast) for template in templates]
    if random.random() < THE_END:
        sentences.append("The end.")
    if random.random() < ONE_PARAGRAPH:
        return " ".join(sentences)
    middle = len(opening) + len(beats) // 2
    return "\n\n".join(" ".join(part) for part in (sentences[:middle], sentences[middle:]))


def ask(random: Random, prompt: str, text: str, separators: list[str]) -> tuple[str, str]:
    """Parts prompt and text by a separator that sometimes the user has written and sometimes the model must write."""
    separator = random.choice(separators)
    return (prompt + separator, text) if random.random() < PROMPT_WITH_SEPARATOR else (prompt, separator + text)


def begin(random: Random, beginning: str, text: str, cast: dict[str, Any]) -> tuple[str, str]:
    """Returns the prompt and what follows it."""
    match beginning:
        case "question" | "foreign":
            prompt = fill(random, random.choice(load_sentences("prompts")), cast)
            return ask(random, prompt, text, [" ", "\n", "\n\n"])
        case "request":
            request = "(Tell me|Write|I want) a( short|) story about {hero.a}(| and {thing.a}| named {hero})(.||!)"
            return ask(random, fill(random, request, cast), text, [" ", "\n", "\n\n"])
        case "title":
            title = fill(random, "{hero} and the ({thing}|{friend.kind}|{weather.day} day)", cast)
            return "", f"{title}\n\n{text}"
        case "middle":
            # Teaches the model to go on from a sentence that is no opening.
            sentences = SENTENCE_END.split(text)
            return "", " ".join(sentences[random.randint(1, 4) % len(sentences) :])
        case "lower case":
            words = text.split(" ")
            cut = random.randint(2, 6)
            return ask(random, " ".join(words[:cut]).lower(), " ".join(words[cut:]), [" "])
        case _:
            return "", text


def write_story(random: Random) -> Story:
    shapes = load_shapes()
    cast = draw_cast(random)
    beginning = random.choices(list(BEGINNINGS), list(BEGINNINGS.values()))[0]
    # The one shape that takes up whatever was asked before it.
    is_question = beginning == "question"
    name = "curious_question" if is_question else random.choice([name for name in shapes if name != "curious_question"])
    text = write_paragraphs(random, shapes[name], cast, has_opening=not is_question)
    prompt, text = begin(random, beginning, text, cast)
    return Story(prompt, text, str(cast["hero"]), f"{name}/{cast['hero'].kind}/{cast['place'].name}")


def write_stories(seed: int, count: int, *, held_out: bool) -> Iterator[Story]:
    """Shape, kind of hero and place together decide the side of the split, so no held-out combination is trained on."""
    random = Random(f"{seed}/{held_out}")  # noqa: S311 - to be predictable is its purpose
    while count > 0:
        story = write_story(random)
        if story.is_held_out == held_out:
            count -= 1
            yield story
