"""What a caller sends, validated: the base of every request of the contract (adapter/schema)."""

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

MAX_FIELDS = 100  # some 20 have a name; an error is made of each unknown one, 2 µs while the event loop waits


class Received(BaseModel):
    """What a caller sends: strict types, closed ranges, unknown keys refused."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, regex_engine="python-re", protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _check_number_of_fields(cls, data: object) -> object:
        if isinstance(data, dict) and len(data) > MAX_FIELDS:
            raise PydanticCustomError("too_many_fields", "must have at most {most} fields", {"most": MAX_FIELDS})
        return data
