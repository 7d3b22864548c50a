import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.batches import input_lines as module
from adapter.batches.input_lines import InputLine, input_lines, read_line
from tests.adapter.batches.batch_calls import json_lines, line

MOST = 8


async def lines_in(path: Path, content: bytes) -> list[InputLine]:
    path.write_bytes(content)  # noqa: ASYNC240 - a few bytes
    return [each async for each in input_lines(path, MOST)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"one\ntwo\n", [(1, b"one\n"), (2, b"two\n")]),
        (b"one\r\n\r\n \ntwo", [(1, b"one\r\n"), (4, b"two")]),
        (b"12345678\r\nx", [(1, b"12345678\r\n"), (2, b"x")]),
        (b"123456789\nx", [(1, None), (2, b"x")]),
        (b"1234567890123\r\nx", [(1, None), (2, b"x")]),
        (b"1234567890123", [(1, None)]),
        (b"", []),
    ],
)
async def test_lines_have_their_numbers_and_at_most_their_length(
    tmp_path: Path, content: bytes, expected: list[tuple[int, bytes | None]]
) -> None:
    assert [(each.number, each.content) for each in await lines_in(tmp_path / "input", content)] == expected


@given(content=st.lists(st.sampled_from([b"\n", b"\r", b" ", b"ab", b"abcdefgh"])).map(b"".join))
async def test_wherever_it_is_read_in_pieces_the_lines_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "input"
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for read_ahead in (1, 7, 1_000):
            patch.setattr(module, "_READ_AHEAD", read_ahead)
            found.append(await lines_in(path, content))
    assert all(first == second for first, second in itertools.pairwise(found))
    whole = [each for each in content.split(b"\n") if each.strip()]
    assert [each.content and each.content.strip() for each in found[0]] == [
        each.strip() if len(each.removesuffix(b"\r")) <= MOST else None for each in whole
    ]


async def test_a_line_is_found_again_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"\n" + json_lines(line(1), line(2)))
    _, second = [each async for each in input_lines(path, 1_000)]
    assert (await read_line(path, second.position, second.length)).custom_id == "request-2"
