"""The form of an answer as OpenAI's clients ask for it: text, any JSON object, or JSON of a schema."""

from typing import Annotated, Any, Literal

from pydantic import Field

from adapter.openai.lenient import Lenient
from adapter.output import JsonOutput, Output

_ANY_OBJECT = {"type": "object"}


class TextFormat(Lenient):
    type: Literal["text"]

    @property
    def output(self) -> Output | None:
        return None


class JsonObjectFormat(Lenient):
    """With a schema as llama.cpp has it."""

    type: Literal["json_object"]
    json_schema: dict[str, Any] = Field(default=_ANY_OBJECT, alias="schema")

    @property
    def output(self) -> Output | None:
        return JsonOutput(schema=self.json_schema)


class NamedSchema(Lenient):
    """Its schema is kept whatever `strict` says: half of a promise is of no use to anybody."""

    name: str = ""
    json_schema: dict[str, Any] = Field(default=_ANY_OBJECT, alias="schema")


class JsonSchemaFormat(Lenient):
    type: Literal["json_schema"]
    json_schema: NamedSchema

    @property
    def output(self) -> Output | None:
        return JsonOutput(schema=self.json_schema.json_schema)


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]
