"""Checks the header of a safetensors file without torch: what a loader would map is just what the file holds."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter, ValidationError

_MAX_HEADER_BYTES = 100_000_000  # as in safetensors itself
BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


class SafetensorsHeaderError(ValueError):
    """It is not the header of a whole safetensors file, and the message says why."""


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    parameters: Mapping[str, int]  # how many there are of each data type, by its name in the file: F32, BF16 ...


class _Tensor(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    dtype: str
    # torch has no more dimensions than this, and a product of thousands of large numbers would take for ever.
    shape: list[NonNegativeInt] = Field(max_length=64)
    data_offsets: list[NonNegativeInt] = Field(min_length=2, max_length=2)


_METADATA = TypeAdapter(dict[str, str], config=ConfigDict(strict=True))
_TENSORS = TypeAdapter(dict[str, _Tensor])


def read_safetensors_header(file: BinaryIO, size: int) -> SafetensorsHeader:
    """Reads the header of the safetensors file of `size` bytes that begins at the position of `file`."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _MAX_HEADER_BYTES):  # noqa: PLR2004 - the length's own length
        raise SafetensorsHeaderError("its header is longer than the file or than 100 MB")
    try:
        header = _parse(file.read(length))
        _METADATA.validate_python(header.pop("__metadata__", {}))
        tensors = _TENSORS.validate_python(header).values()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SafetensorsHeaderError(f"its header's member {str(first['loc'])[:80]}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise SafetensorsHeaderError(f"its header is not JSON: {error}") from error
    _check_layout(tensors, size - 8 - length)
    parameters: dict[str, int] = {}
    for tensor in tensors:
        parameters[tensor.dtype] = parameters.get(tensor.dtype, 0) + math.prod(tensor.shape)
    return SafetensorsHeader(parameters)


def _parse(header: bytes) -> dict[str, Any]:
    if not header.startswith(b"{"):
        raise ValueError("it does not begin with {")
    parsed: dict[str, Any] = json.loads(header.decode(), object_pairs_hook=_without_duplicates)
    return parsed


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is there twice")
    return members


def _check_layout(tensors: Iterable[_Tensor], data_bytes: int) -> None:
    """Every byte after the header belongs to one tensor, and each tensor has as many as its shape and type need."""
    end_of_last = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.data_offsets):
        begin, end = tensor.data_offsets
        if begin != end_of_last:
            raise SafetensorsHeaderError("its tensors overlap or leave a gap")
        if tensor.dtype not in BITS:
            raise SafetensorsHeaderError(f"it has a tensor of the unknown type {tensor.dtype[:20]!r}")
        if (end - begin) * 8 != math.prod(tensor.shape) * BITS[tensor.dtype]:
            raise SafetensorsHeaderError("a tensor's length is not what its shape and type need")
        end_of_last = end
    if end_of_last != data_bytes:
        raise SafetensorsHeaderError("its tensors do not end where the file ends")
