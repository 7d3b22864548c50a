"""The image is what Python's zipfile writes, also in zip64, which no archive of another test is large enough for."""

import io
from zipfile import ZIP64_LIMIT, ZipFile, ZipInfo

import pytest

from adapter.archives.zip_image import ZipEntry, central_directory, local_header

BLOCK = bytes(2**26)
WITHOUT_ZIP64 = int(ZIP64_LIMIT / 1.05)


class Hollow(io.RawIOBase):
    """A file that keeps what is written in small pieces, which is all but the contents."""

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self._position = 0

    def write(self, data: bytes) -> int:
        if len(data) < 1_000:
            self.pieces[self._position] = bytes(data)
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        assert whence == io.SEEK_SET
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True


def zeros(size: int) -> list[bytes]:
    return [BLOCK] * (size // len(BLOCK)) + [BLOCK[: size % len(BLOCK)]]


def quick_checksum(data: bytes, before: int = 0) -> int:
    """In place of crc32, which would take gigabytes of zeros ten seconds."""
    return (before + 3 * len(data)) % 2**32


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([5, 0], id="small files"),
        pytest.param([WITHOUT_ZIP64, 5], id="the longest file without zip64"),
        pytest.param([WITHOUT_ZIP64 + 1_000, 5], id="zip64 in the local header alone"),
        pytest.param([ZIP64_LIMIT, 5], id="the longest file that is not in a zip64 field of the directory"),
        pytest.param([ZIP64_LIMIT + 1_000, 2_000, 5], id="zip64 for a size and for places"),
        pytest.param([5, 2**32 + 1_000, ZIP64_LIMIT + 1_000], id="zip64 for both in one file"),
    ],
)
def test_image_is_that_of_zipfile(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipfile.crc32", quick_checksum)
    hollow = Hollow()
    entries: list[ZipEntry] = []
    with ZipFile(hollow, "w") as archive:
        for index, size in enumerate(sizes):
            entry = ZipInfo(f"{index}.safetensors")
            entry.external_attr, entry.create_system, entry.file_size = 0o100644 << 16, 3, size
            with archive.open(entry, "w") as target:
                for block in zeros(size):
                    target.write(block)
            entries.append(ZipEntry(entry.filename, size, 3 * size % 2**32, entries[-1].end if entries else 0))
    offset = entries[-1].end
    directory = [piece for position, piece in sorted(hollow.pieces.items()) if position >= offset]

    assert [hollow.pieces[entry.offset] for entry in entries] == [local_header(entry) for entry in entries]
    assert b"".join(directory) == central_directory(entries, offset)
