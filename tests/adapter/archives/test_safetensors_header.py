"""A header that promises another layout than the file has is refused; none passes that safetensors itself refuses."""

import io
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from safetensors import SafetensorError, deserialize

from adapter.archives.safetensors_header import SafetensorsHeader, SafetensorsHeaderError, read_safetensors_header

TENSORS = {
    "__metadata__": {"format": "pt"},
    "embedding": {"dtype": "BF16", "shape": [3, 4], "data_offsets": [0, 24]},
    "norm": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
    "scalar": {"dtype": "F32", "shape": [], "data_offsets": [32, 36]},
    "nothing": {"dtype": "I64", "shape": [0, 5], "data_offsets": [36, 36]},
    "small": {"dtype": "F4", "shape": [6], "data_offsets": [36, 39]},
}
DATA = bytes(39)


def file_of(header: bytes, data: bytes = DATA) -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def read(content: bytes) -> SafetensorsHeader:
    return read_safetensors_header(io.BytesIO(content), len(content))


def test_counts_the_parameters_of_each_type() -> None:
    assert read(file_of(json.dumps(TENSORS).encode())).parameters == {"BF16": 12, "F32": 3, "I64": 0, "F4": 6}


def test_reads_from_where_the_file_is() -> None:
    content = file_of(json.dumps(TENSORS).encode() + b"   ")
    archive = io.BytesIO(b"before" + content + b"after")
    archive.seek(6)

    assert read_safetensors_header(archive, len(content)).parameters["BF16"] == 12


def with_tensor(**changes: Any) -> bytes:
    return file_of(json.dumps(TENSORS | {"norm": TENSORS["norm"] | changes}).encode())


def without(key: str) -> bytes:
    norm = {name: value for name, value in TENSORS["norm"].items() if name != key}
    return file_of(json.dumps(TENSORS | {"norm": norm}).encode())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "longer than the file", id="an empty file"),
        pytest.param(b"\x80\x04\x95pickle, and so on", "longer than the file", id="a pickle"),
        pytest.param((2**64 - 1).to_bytes(8, "little") + b"{}", "longer than the file", id="the longest header"),
        pytest.param(file_of(b" " + json.dumps(TENSORS).encode()), "does not begin with {", id="a space before"),
        pytest.param(file_of(b"[]"), "does not begin with {", id="a list"),
        pytest.param(file_of(b'{"a":'), "not JSON", id="half of a header"),
        pytest.param(file_of(b'{"a": "\xff"}'), "not JSON", id="not UTF-8"),
        pytest.param(file_of(b'{"a":' * 100_000), "not JSON", id="deep nesting"),
        pytest.param(file_of(json.dumps(TENSORS).encode()[:-1] + b',"norm":{}}'), "a key is there twice", id="twice"),
        pytest.param(file_of(json.dumps(TENSORS).encode() + b"\0"), "not JSON", id="more than JSON"),
        pytest.param(file_of(json.dumps(TENSORS | {"__metadata__": {"a": 1}}).encode()), "valid string", id="metadata"),
        pytest.param(with_tensor(dtype="F31"), "unknown type 'F31'", id="an unknown type"),
        pytest.param(with_tensor(dtype="F64"), "what its shape and type need", id="a wider type"),
        pytest.param(with_tensor(shape=[3]), "what its shape and type need", id="a larger shape"),
        pytest.param(with_tensor(shape=[2**62, 4]), "what its shape and type need", id="a shape that overflows"),
        pytest.param(with_tensor(shape=[-2, -1]), "greater than or equal to 0", id="a negative shape"),
        pytest.param(with_tensor(shape=[2.0]), "valid integer", id="a shape of fractions"),
        pytest.param(with_tensor(shape=[True]), "valid integer", id="a shape of truth values"),
        pytest.param(with_tensor(shape=[1] * 65), "at most 64", id="a shape of many dimensions"),
        pytest.param(with_tensor(data_offsets=[20, 28]), "overlap or leave a gap", id="an overlap"),
        pytest.param(with_tensor(shape=[1], data_offsets=[28, 32]), "overlap or leave a gap", id="a gap"),
        pytest.param(with_tensor(data_offsets=[32, 24]), "overlap or leave a gap|shape and type", id="backwards"),
        pytest.param(with_tensor(data_offsets=[24]), "at least 2", id="one offset"),
        pytest.param(with_tensor(code="x"), "not permitted", id="another member"),
        pytest.param(without("dtype"), "required", id="no type"),
        pytest.param(without("shape"), "required", id="no shape"),
        pytest.param(file_of(json.dumps(TENSORS).encode(), DATA + b"\0"), "where the file ends", id="a byte more"),
        pytest.param(file_of(json.dumps(TENSORS).encode(), DATA[1:]), "where the file ends", id="a byte less"),
    ],
)
def test_refuses(content: bytes, reason: str) -> None:
    with pytest.raises(SafetensorsHeaderError, match=reason):
        read(content)


def test_refuses_a_header_that_no_file_needs() -> None:
    beginning = io.BytesIO((100_000_001).to_bytes(8, "little"))

    with pytest.raises(SafetensorsHeaderError, match="longer than the file or than 100 MB"):
        read_safetensors_header(beginning, 2**40)


def other(rng: random.Random, value: int) -> int:
    return rng.choice([number for number in (value + 1, value + 2**32, 2**63, -1 - value) if number != value])


def _another_offset(rng: random.Random, tensor: dict[str, Any]) -> None:
    side = rng.randrange(2)
    tensor["data_offsets"][side] = other(rng, tensor["data_offsets"][side])


def _another_length(rng: random.Random, tensor: dict[str, Any]) -> None:
    tensor["shape"] = [*tensor["shape"], rng.randint(2, 2**40)] if 0 not in tensor["shape"] else [rng.randint(1, 9)]


def _another_type(rng: random.Random, tensor: dict[str, Any]) -> None:
    tensor["dtype"] = rng.choice(["", "f32", "F128", "OBJECT", None, 1, ["F32"]])


def _no_member(rng: random.Random, tensor: dict[str, Any]) -> None:
    del tensor[rng.choice(list(tensor))]


def _another_member(rng: random.Random, tensor: dict[str, Any]) -> None:
    tensor[rng.choice("abc")] = rng.random()


MUTATIONS: list[Callable[[random.Random, dict[str, Any]], None]] = [
    _another_offset,
    _another_length,
    _another_type,
    _no_member,
    _another_member,
]


def test_a_thousand_lies_are_refused() -> None:
    rng = random.Random(7)
    accepted = []
    for _ in range(1_000):
        header: dict[str, Any] = json.loads(json.dumps(TENSORS))
        tensor = rng.choice([name for name in TENSORS if name != "__metadata__"])
        rng.choice(MUTATIONS)(rng, header[tensor])
        try:
            read(file_of(json.dumps(header).encode()))
        except SafetensorsHeaderError:
            continue
        accepted.append(header)

    assert accepted == []


def test_a_flipped_byte_passes_only_where_safetensors_agrees() -> None:
    rng = random.Random(7)
    content = file_of(json.dumps(TENSORS).encode())
    disputed, num_accepted = [], 0
    for _ in range(3_000):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content) - len(DATA))] = rng.randrange(256)
        try:
            read(bytes(flipped))
        except SafetensorsHeaderError:
            continue
        num_accepted += 1
        try:
            deserialize(bytes(flipped))
        except SafetensorError as error:
            disputed.append((bytes(flipped), error))

    assert disputed == []
    assert num_accepted > 100  # a tensor may have any name
