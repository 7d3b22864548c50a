"""Who and what one story is about: characters, a place, the weather, things. Knows nothing about sentences."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

STORIES = Path(__file__).parent / "stories"
WORDS: dict[str, Any] = tomllib.loads((STORIES / "cast.toml").read_text(encoding="utf-8"))

WITH_ADJECTIVE = 0.7
DIFFERENT_PRONOUNS = 0.75

PRONOUNS = {"she": ("her", "her", "herself"), "he": ("him", "his", "himself")}


def with_article(noun: str) -> str:
    return f"{'an' if noun[0].lower() in 'aeiou' and not noun.startswith('uni') else 'a'} {noun}"


@dataclass(frozen=True, slots=True)
class Noun:
    """Something without a name; `noun` is its last, shortest form."""

    text: str
    noun: str

    def __str__(self) -> str:
        return self.text

    @property
    def a(self) -> str:
        return with_article(self.text)


@dataclass(frozen=True, slots=True)
class Character:
    name: str
    adjective: str
    kind: str
    he: str

    def __str__(self) -> str:
        return self.name

    @property
    def description(self) -> str:
        return f"{self.adjective} {self.kind}".strip()

    @property
    def a(self) -> str:
        return with_article(self.description)

    @property
    def the(self) -> str:
        return f"the {self.description}"

    @property
    def He(self) -> str:  # noqa: N802 - the templates write it as the word it stands for
        return self.he.capitalize()

    @property
    def him(self) -> str:
        return PRONOUNS[self.he][0]

    @property
    def his(self) -> str:
        return PRONOUNS[self.he][1]

    @property
    def himself(self) -> str:
        return PRONOUNS[self.he][2]


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    at: str
    here: str
    path: str
    sight: str
    spots: list[str]


@dataclass(frozen=True, slots=True)
class Weather:
    day: str
    sign: str
    after: str


def draw_character(random: Random, role: str, he: str, groups: list[str], weights: list[int]) -> Character:
    group = random.choices(groups, weights)[0]
    kinds: list[str] = WORDS["kinds"][group] + (WORDS["kinds"][he] if group == "people" else [])
    adjectives: list[str] = WORDS["adjectives"]["hero"]
    if group == "people":
        adjectives = adjectives + WORDS["adjectives"]["elder"]
    adjective = random.choice(adjectives) if random.random() < WITH_ADJECTIVE else ""
    kind = random.choice(kinds)
    if kind.startswith("grand"):
        adjective = ""
    return Character(random.choice(WORDS["names"][role][he]), adjective, kind, he)


def draw_cast(random: Random) -> dict[str, Any]:
    """Returns one value for every slot that a template may name."""
    he = random.choice(["she", "he"])
    hero = draw_character(random, "hero", he, ["animals", "people", "wonders", "things"], [50, 38, 6, 6])
    # Two pronouns make most sentences unambiguous; one pronoun for both must work too.
    friend_he = ("he" if he == "she" else "she") if random.random() < DIFFERENT_PRONOUNS else he
    friend = draw_character(random, "friend", friend_he, ["animals", "people", "wonders"], [60, 32, 8])
    while friend.kind == hero.kind:
        friend = draw_character(random, "friend", friend_he, ["animals", "people", "wonders"], [60, 32, 8])
    elder_he = random.choice(["she", "he"])
    elder = Character(random.choice(WORDS["elders"][elder_he]), "", "elder", elder_he)
    place = Place(**random.choice(WORDS["places"]))
    spots = random.sample(place.spots, 3)
    thing = random.choice(WORDS["things"]["list"])
    food = random.choice(WORDS["foods"]["list"])
    question, answer = random.choice(WORDS["questions"]["list"])
    return {
        "hero": hero,
        "he": hero.he,
        "him": hero.him,
        "his": hero.his,
        "himself": hero.himself,
        "friend": friend,
        "elder": elder,
        "place": place,
        "spot": spots[0],
        "spot2": spots[1],
        "spot3": spots[2],
        "weather": Weather(**random.choice(WORDS["weathers"])),
        "thing": Noun(thing, thing.split()[-1]),
        "food": Noun(food, food),
        "question": question,
        "answer": answer,
        "baby": random.choice(WORDS["misc"]["babies"]),
        "fear": random.choice(WORDS["misc"]["fears"]),
        "contest": random.choice(WORDS["misc"]["contests"]),
        "treat": random.choice(WORDS["misc"]["treats"]),
        "topic": random.choice(WORDS["topics"]["nouns"] + WORDS["kinds"]["things"]),
        "verb": random.choice(WORDS["topics"]["verbs"]),
        "adjective": random.choice(WORDS["topics"]["adjectives"]),
    }
