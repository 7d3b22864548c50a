"""A multipart form with one file, which goes to the disk as it comes."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from adapter.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from adapter.validation.request_errors import refused_field

_MAX_HEADERS = 8 * 2**10  # bytes, of one part
_MAX_FIELD = 2**10  # bytes
_MAX_PARTS = 16


class FormUpload:
    """The parts of a form: `fields` and, if `has_file`, the file's name."""

    def __init__(self, content_type: str, file: BinaryIO, max_bytes: int) -> None:
        """The file's content, of at most `max_bytes`, goes to `file`. Raises UnsupportedMediaType."""
        kind, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary")
        if kind.lower() != b"multipart/form-data" or not boundary:
            raise UnsupportedMediaType("The content type must be multipart/form-data, with a boundary.")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._file = file
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._num_parts = 0
        self._is_complete = False
        self._pieces: list[bytes] = []  # of the file, not written yet
        self._begin_part()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._read_header_name,
                "on_header_value": self._read_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._read_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    async def read(self, body: AsyncIterator[bytes]) -> None:
        """Raises InvalidRequest, PayloadTooLarge, or OSError."""
        try:
            async for piece in body:
                self._parser.write(piece)
                if self._pieces:
                    await asyncio.to_thread(self._write)
        except FormParserError:
            raise InvalidRequest("The body is not a multipart form.") from None
        if not self._is_complete:
            raise InvalidRequest("The multipart form has no end.")

    def _write(self) -> None:
        self._file.writelines(self._pieces)
        self._pieces.clear()

    def _begin_part(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._header_name, self._header_value, self._num_header_bytes = b"", b"", 0
        self._name, self._is_file, self._value = "", False, b""

    def _read_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += self._of_headers(data[start:end])

    def _read_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += self._of_headers(data[start:end])

    def _of_headers(self, piece: bytes) -> bytes:
        self._num_header_bytes += len(piece)
        if self._num_header_bytes > _MAX_HEADERS:
            raise InvalidRequest(f"A part of the form has more than {_MAX_HEADERS} bytes of headers.")
        return piece

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        self._num_parts += 1
        if self._num_parts > _MAX_PARTS:
            raise InvalidRequest(f"The form has more than {_MAX_PARTS} parts.")
        _, parameters = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = parameters.get(b"name", b"").decode(errors="replace")
        self._is_file = self._name == "file"
        if self._name in self.fields or (self._is_file and self.filename is not None):
            raise InvalidRequest("The form has a field twice.")
        if self._is_file:
            self.filename = _plain(parameters.get(b"filename", b"").decode(errors="replace"))

    def _read_content(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._num_bytes += end - start
            if self._num_bytes > self._max_bytes:
                raise PayloadTooLarge(f"The file has more than the {self._max_bytes} bytes that this gateway takes.")
            self._pieces.append(data[start:end])
        else:
            self._value += data[start:end]
            if len(self._value) > _MAX_FIELD:
                raise refused_field("form", f"a field has more than {_MAX_FIELD} bytes")

    def _end_part(self) -> None:
        if not self._is_file:
            self.fields[self._name] = self._value.decode(errors="replace")

    def _end(self) -> None:
        self._is_complete = True


def _plain(filename: str) -> str:
    """A file's name for lists and headers: one line, without the caller's directories."""
    name = filename.replace("\\", "/").rpartition("/")[2][:255]
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name) or "file"
