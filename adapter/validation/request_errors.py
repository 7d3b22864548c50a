"""Pydantic's errors, for the sender of a request: which fields are wrong and how, never what was in them."""

from collections.abc import Sequence
from typing import Any

from adapter.errors import InvalidRequest
from adapter.output import TAGS
from adapter.schema import FieldError

_MAX_FIELD_ERRORS = 20
_MAX_FIELDS_IN_DETAIL = 3
_MAX_FIELD_CHARACTERS = 100

# By the type of Pydantic's error: if its own words are of Python, or do not say what to do.
_WORDS = {
    "extra_forbidden": "there is no such field",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} item",  # no list of ours has to have two
    "too_long": "must have at most {max_length} items",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
}
# Other names of the limit of tokens.
_MEANT = {"max_tokens": "max_length", "max_new_tokens": "max_length"}


def invalid_request(details: Sequence[Any], whole: str = "body", *, skip: int = 0) -> InvalidRequest:
    """The error for `details` (pydantic_core.ErrorDetails) without the first `skip` parts of their locations.

    `whole` is the name of the field where no part is left.
    """
    errors = tuple(
        FieldError(field=_path(detail["loc"][skip:]) or whole, message=_message(detail))
        for detail in details[:_MAX_FIELD_ERRORS]
    )
    return InvalidRequest("; ".join(f"{e.field}: {e.message}" for e in errors[:_MAX_FIELDS_IN_DETAIL]), errors=errors)


def refused_field(field: str, message: str) -> InvalidRequest:
    """The error for one field, of which something else than its type is wrong."""
    return InvalidRequest(f"{field}: {message}.", errors=(FieldError(field=field, message=message),))


def _message(detail: Any) -> str:
    words = _WORDS.get(detail["type"], "").format_map(detail.get("ctx", {})) or str(detail["msg"])
    meant = _MEANT.get(detail["loc"][-1]) if detail["type"] == "extra_forbidden" else None
    return f"{words}: is {meant} meant?" if meant else words


def _path(location: Sequence[str | int]) -> str:
    # An unknown field's name is the caller's own text, which must neither fill a log line nor break it.
    path = ".".join(str(part) for part in location if part not in TAGS)[:_MAX_FIELD_CHARACTERS]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in path)
