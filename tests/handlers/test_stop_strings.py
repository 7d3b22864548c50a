import itertools

import pytest

from handlers.stop_strings import StopStrings


def push_all(stop: list[str], pieces: list[str]) -> tuple[str, bool]:
    stop_strings = StopStrings(stop)
    given = ""
    for piece in pieces:
        given += stop_strings.push(piece)
        if stop_strings.is_found:
            return given, True
    return given + stop_strings.flush(), False


def cuts(text: str) -> list[list[str]]:
    """Every way to cut a text into pieces."""
    places = range(1, len(text))
    return [
        [text[begin:end] for begin, end in itertools.pairwise([0, *chosen, len(text)])]
        for count in range(len(text))
        for chosen in itertools.combinations(places, count)
    ]


@pytest.mark.parametrize(
    ("stop", "text", "expected"),
    [
        (["END"], "ab END c", ("ab ", True)),
        (["aab"], "aaaab", ("aa", True)),
        (["END"], "ab EN", ("ab EN", False)),
        (["xyz", "b"], "abxyz", ("a", True)),
        ([], "abc", ("abc", False)),
        (["。\n"], "好。\n的", ("好", True)),
    ],
    ids=["in the middle", "overlaps itself", "only its beginning", "first of two", "none", "other script"],
)
def test_text_ends_before_the_stop_string_wherever_the_pieces_are_cut(
    stop: list[str], text: str, expected: tuple[str, bool]
) -> None:
    assert {push_all(stop, pieces) for pieces in cuts(text)} == {expected}


def test_text_that_cannot_begin_a_stop_string_is_not_held_back() -> None:
    stop_strings = StopStrings(["END"])

    assert stop_strings.push("hello E") == "hello "
    assert stop_strings.push("x") == "Ex"
