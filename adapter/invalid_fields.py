"""What Pydantic says of a request, for its sender: which fields are wrong and how, never what was in them."""

from collections.abc import Sequence
from typing import Any

from adapter.errors import InvalidRequest
from adapter.schema import FieldError

_MAX_FIELD_ERRORS = 20
_MAX_FIELDS_IN_DETAIL = 3
_MAX_FIELD_CHARACTERS = 100


def invalid_request(details: Sequence[Any], whole: str = "body", *, skip: int = 0) -> InvalidRequest:
    """The error for `details` (pydantic_core.ErrorDetails) without the first `skip` parts of their locations.

    `whole` is the name of the field where no part is left.
    """
    errors = tuple(
        FieldError(field=_path(detail["loc"][skip:]) or whole, message=detail["msg"])
        for detail in details[:_MAX_FIELD_ERRORS]
    )
    return InvalidRequest("; ".join(f"{e.field}: {e.message}" for e in errors[:_MAX_FIELDS_IN_DETAIL]), errors=errors)


def _path(location: Sequence[str | int]) -> str:
    # Of an unknown field it is the caller's own text, which must neither fill a log line nor break it.
    path = ".".join(map(str, location))[:_MAX_FIELD_CHARACTERS]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in path)
