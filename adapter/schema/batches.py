"""Requests that are asked together, each of which fails alone."""

from typing import Annotated, NamedTuple

from pydantic import ConfigDict, Field, GetPydanticSchema, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import core_schema

from adapter.received import Received
from adapter.schema.generation_request import GenerationRequest
from adapter.schema.generation_response import GenerationResponse
from adapter.schema.problems import Problem
from adapter.sent import Sent

MAX_BATCH_REQUESTS = 256


class InvalidItem(NamedTuple):
    """One request of a batch that is not valid: the others do not suffer from it."""

    error: ValidationError


def _or_invalid(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError as error:
        return InvalidItem(error)


# For the document a GenerationRequest and nothing else.
BatchItem = Annotated[
    GenerationRequest | InvalidItem,
    GetPydanticSchema(
        lambda _, handler: core_schema.no_info_wrap_validator_function(
            _or_invalid, handler.generate_schema(GenerationRequest)
        )
    ),
]


class BatchRequest(Received):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"requests": [{"prompt": "Once upon a time", "max_length": 100}, {"prompt": "The fox"}]}]
        }
    )

    requests: tuple[BatchItem, ...] = Field(min_length=1, max_length=MAX_BATCH_REQUESTS, strict=False)


class BatchResponse(Sent):
    results: tuple[GenerationResponse | Problem, ...] = Field(
        description="One for each request, in the same order: an answer, or why there is none."
    )
