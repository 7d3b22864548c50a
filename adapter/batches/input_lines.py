"""The lines of an input file, one after the other, however large it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from pydantic import Field, ValidationError

from adapter.errors import MalformedJson
from adapter.http.json_body import read_json
from adapter.openai.lenient import Lenient
from adapter.validation.request_errors import invalid_request

_READ_AHEAD = 2**20  # bytes, in each turn of a thread
_MAX_CUSTOM_ID = 512  # characters
_END = b"\r\n"


class RequestLine(Lenient):
    custom_id: str = Field(min_length=1, max_length=_MAX_CUSTOM_ID)
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


class InputLine(NamedTuple):
    """number: from 1. content: None if the line has more bytes than it may have."""

    number: int
    position: int
    length: int
    content: bytes | None


async def input_lines(path: Path, max_bytes: int) -> AsyncIterator[InputLine]:
    """The lines that are not blank. Other tasks have their turn after each. Raises OSError."""
    with await asyncio.to_thread(path.open, "rb") as file:
        number = 0
        while read := await asyncio.to_thread(_read_some, file, number, max_bytes):
            for line in read:
                if line.content is None or line.content.strip():
                    yield line
                    await asyncio.sleep(0)
            number = read[-1].number


async def read_line(path: Path, position: int, length: int) -> RequestLine:
    """A line that was valid when its batch began. Raises what `parse` raises, and OSError."""
    return await parse(await asyncio.to_thread(_read_at, path, position, length))


async def parse(content: bytes) -> RequestLine:
    """Raises MalformedJson or InvalidRequest."""
    read = await read_json(content)
    if not isinstance(read, dict):
        raise MalformedJson("The line is not a JSON object.")
    try:
        return RequestLine.model_validate(read)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False, include_input=False), whole="line") from None


def _read_some(file: BinaryIO, number: int, max_bytes: int) -> list[InputLine]:
    """The next lines; `number` of them came before."""
    lines: list[InputLine] = []
    end = file.tell() + _READ_AHEAD
    while (position := file.tell()) < end and (content := file.readline(max_bytes + len(_END))):
        number += 1
        is_whole = not _skips_to_end(file, content) and len(_without_end(content)) <= max_bytes
        lines.append(InputLine(number, position, len(content), content if is_whole else None))
    return lines


def _skips_to_end(file: BinaryIO, read: bytes) -> bool:
    """Skips the rest of the line that begins with `read`. Returns whether there was any."""
    has_more = False
    while not read.endswith(b"\n") and (read := file.readline(_READ_AHEAD)):
        has_more = True
    return has_more


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _read_at(path: Path, position: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(position)
        return file.read(length)
