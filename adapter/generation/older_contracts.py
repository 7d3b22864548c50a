"""Requests for archives that were packed when the contract had less in it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from adapter.errors import InvalidRequest
from adapter.schema import CONTRACT_VERSION, FieldError, GenerationRequest
from adapter.torchserve.served_models import PinnedVersion
from adapter.worker_contract import worker_contract

if TYPE_CHECKING:
    from jsonschema import ValidationError


def refuse_what_the_archive_cannot_know(request: GenerationRequest, pinned: PinnedVersion) -> None:
    """Raises InvalidRequest, which names the fields. Fields that are absent or null are not looked at.

    Nothing is known of an archive with a later contract than this gateway's: its own worker has the last word.
    """
    contract = pinned.archive.contract
    if contract >= CONTRACT_VERSION:
        return
    said = request.model_dump(mode="json", exclude_unset=True, exclude_none=True) | {"id": ""}
    unknown = {field: None for error in worker_contract(contract).iter_errors(said) for field in _fields(error)}
    if unknown:
        message = (
            f"version {pinned.version} of model {pinned.model} does not know this: it was packed for version"
            f" {contract} of the contract, and this gateway has {CONTRACT_VERSION}. Leave it out, or pack it again"
        )
        errors = tuple(FieldError(field=field, message=message) for field in unknown)
        raise InvalidRequest(f"{', '.join(unknown)}: {message}.", errors=errors)


def _fields(error: "ValidationError") -> Iterator[str]:
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties":
        schema, instance = cast(dict[str, Any], error.schema), cast(dict[str, Any], error.instance)
        yield from (".".join([*path, name]) for name in instance if name not in schema["properties"])
    elif error.context:
        # One of several forms has to fit. The error deepest in the value is of the form that was meant.
        yield from _fields(max(error.context, key=lambda each: len(each.absolute_path)))
    else:
        yield ".".join(path)
