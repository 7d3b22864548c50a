"""What we answer: the base of every answer of the contract (adapter/schema)."""

from pydantic import BaseModel, ConfigDict


class Sent(BaseModel):
    """What we answer: every field is always present."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True, protected_namespaces=())
