"""Answers that are objects: the schema that goes out for a type, and the instance that comes back."""

from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from adapter.client.errors import ObjectInvalid, ObjectTruncated

Value = TypeVar("Value")


class _ClosedObjects(GenerateJsonSchema):
    """Objects have the fields that are named, and no other: Pydantic drops others, after the model has spent tokens.

    A type that keeps them (`extra="allow"`) says so in its schema, and gets them.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _closed(super().model_schema(schema))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _closed(super().dataclass_schema(schema))

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        return _closed(super().typed_dict_schema(schema))


def _closed(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"additionalProperties": False, **schema} if schema.get("type") == "object" else schema


class ObjectForm(Generic[Value]):
    """The form of a type's objects. `schema`: the one that the gateway keeps an answer to."""

    def __init__(self, of: type[Value]) -> None:
        self._adapter = TypeAdapter(of)
        self.schema: dict[str, Any] = self._adapter.json_schema(schema_generator=_ClosedObjects)

    def read(self, text: str, finish_reason: str) -> Value:
        """The instance that `text` stands for. Raises ObjectTruncated and ObjectInvalid."""
        if finish_reason == "length":  # the text may be a whole object, and yet not the one that was to come
            raise ObjectTruncated("The answer ended before its object did: max_length is too small for it.", text=text)
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            raise ObjectInvalid.because(error, text) from error
