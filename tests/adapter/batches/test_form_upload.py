import io
from collections.abc import AsyncIterator
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from adapter.batches.form_upload import FormUpload
from adapter.errors import InvalidRequest, PayloadTooLarge

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="C:\\dir/in\x07put.jsonl"\r\n'
    b"Content-Type: application/jsonl\r\n\r\none\r\n--two\r\n-\r\n--b--\r\n"
)
CUTS = st.lists(st.integers(0, len(FORM)), max_size=8).map(sorted)


async def pieces_of(content: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        yield content[begin:end]


async def read(content: bytes, cuts: list[int]) -> tuple[FormUpload, bytes]:
    file = io.BytesIO()
    form = FormUpload("multipart/form-data; boundary=b", file, 1_000)
    await form.read(pieces_of(content, cuts))
    return form, file.getvalue()


@given(cuts=CUTS)
async def test_wherever_the_network_cuts_it_the_form_is_the_same(cuts: list[int]) -> None:
    form, content = await read(FORM, cuts)
    assert content == b"one\r\n--two\r\n-"
    assert form.fields == {"purpose": "batch"}
    assert form.filename == "in\N{REPLACEMENT CHARACTER}put.jsonl"


@given(cuts=CUTS, at=st.integers(0, len(FORM) - 1), byte=st.integers(0, 255))
async def test_a_damaged_form_is_read_or_refused(cuts: list[int], at: int, byte: int) -> None:
    damaged = FORM[:at] + bytes([byte]) + FORM[at + 1 :]
    with suppress(InvalidRequest, PayloadTooLarge):  # and nothing else
        await read(damaged, cuts)
