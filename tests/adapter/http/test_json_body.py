import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import InvalidRequest, MalformedJson
from adapter.http.json_body import read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda members: st.lists(members) | st.dictionaries(st.text(), members),
    max_leaves=20,
)


@given(JSON, st.booleans())
async def test_reads_what_any_reader_reads(value: Any, is_ascii: bool) -> None:
    assert await read_json(json.dumps(value, ensure_ascii=is_ascii).encode()) == value


@pytest.mark.parametrize(("literal", "number"), [(b"5.0", 5), (b"1e2", 100), (b"-0.0", 0), (b"5.5", 5.5)])
async def test_a_whole_number_is_an_integer_however_it_is_written(literal: bytes, number: float) -> None:
    read = await read_json(literal)
    assert (read, type(read)) == (number, type(number))


async def test_a_byte_order_mark_is_ignored() -> None:
    assert await read_json('\ufeff[1, "\ufeff"]'.encode()) == [1, "\ufeff"]


@pytest.mark.parametrize("number", [b"9" * 5_000, b"-1" + b"0" * 5_000, b"[1%s]" % (b"0" * 5_000)])
async def test_digits_have_an_end(number: bytes) -> None:
    with pytest.raises(InvalidRequest, match="too many digits"):
        await read_json(number)


async def test_what_is_beyond_a_limit_is_a_fault_of_the_body_as_a_whole() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await read_json(b"[" * 34 + b"]" * 34)
    assert [error.field for error in caught.value.errors] == ["body"]


async def test_a_number_beyond_all_doubles_is_left_to_the_schema() -> None:
    assert await read_json(b"[1e999, -1e999]") == [float("inf"), float("-inf")]


@pytest.mark.parametrize("name", [b'"a"', b'"\\u0061"', '"é"'.encode()])
async def test_a_name_may_not_come_twice(name: bytes) -> None:
    with pytest.raises(MalformedJson, match="twice"):
        await read_json(b'[{"x": {%s: 1, "b": 2, %s: 1}}]' % (name, name))


@pytest.mark.parametrize("text", [r"\ud83d", r"\ud83dx", r"\ud83d\n", r"\ude00", r"\ud83d\ud83d"])
async def test_half_of_a_character_is_called_so(text: str) -> None:
    for body in (f'["{text}"]', f'{{"{text}": 1}}'):
        with pytest.raises(MalformedJson, match=r"half of a character.* at line 1 column \d+\.$"):
            await read_json(body.encode())


async def test_a_hostile_name_does_not_break_the_message() -> None:
    name = json.dumps("\n\x1b\u2028" + "x" * 500)
    with pytest.raises(MalformedJson) as caught:
        await read_json(f"{{{name}: 1, {name}: 2}}".encode())
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
async def test_nesting_has_an_end(opening: bytes) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    await read_json(opening * 32 + b"1" + closing * 32)
    for depth in (33, 150, 250, 100_000):  # the reader's own limit is between the second and the third
        with pytest.raises(InvalidRequest, match="deeper than 32 levels"):
            await read_json(opening * depth + b"1" + closing * depth)


@pytest.mark.parametrize("opening", ["[", '[{"a": ['])
async def test_the_number_of_values_has_an_end(opening: str) -> None:
    closing = {"[": "]", '[{"a": [': "]}]"}[opening]
    await read_json(f"{opening}{'0, ' * 19_990}0{closing}".encode())
    with pytest.raises(InvalidRequest, match="more than 20000 values"):
        await read_json(f"{opening}{'0, ' * 20_000}0{closing}".encode())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a": ', id="cut short"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16"),
        pytest.param(b'{"a": "\xe9"}', id="Latin-1"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbf{}", id="two byte order marks"),
        pytest.param(b"{}\xef\xbb\xbf", id="byte order mark at the end"),
        pytest.param(b'["\\ud800"]', id="lone surrogate"),
        pytest.param(b'{"\\udc00": 1}', id="lone surrogate in a name"),
        pytest.param(b"[NaN]", id="NaN"),
        pytest.param(b"[-Infinity]", id="infinity"),
        pytest.param(b"[01]", id="leading zero"),
        pytest.param(b"[1,]", id="trailing comma"),
        pytest.param(b'["\n"]', id="control character"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b"// a\n1", id="comment"),
    ],
)
async def test_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        await read_json(body)


async def test_an_error_says_where_and_never_what() -> None:
    with pytest.raises(MalformedJson) as caught:
        await read_json(b'{"prompt": "my secret" "secret"}')
    assert "line 1 column 24" in caught.value.detail
    assert "secret" not in caught.value.detail


async def test_others_have_their_turn_while_large_bodies_are_read() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    body = json.dumps(",\n\\" * 100_000).encode()
    others = asyncio.create_task(take_turns())
    read = await asyncio.gather(*(read_json(body) for _ in range(10)))
    others.cancel()
    assert [len(text) for text in read] == [300_000] * 10
    assert turns > 10 * len(body) / 64 / 2**10


async def test_what_has_too_many_values_is_not_read() -> None:
    with pytest.raises(InvalidRequest, match="more than 20000 values"):
        await read_json(b"[" + b"{}," * 1_000_000 + b"and then no JSON")
