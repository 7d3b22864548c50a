"""The answers of a gateway about itself: which models it serves, and that it is there."""

from typing import Literal

from pydantic import Field

from adapter.sent import Sent


class SamplingDefaults(Sent):
    """What /v1 takes where a request is silent: what the model's authors recommend in generation_config.json."""

    temperature: float = Field(default=1.0, description="1, the model's own distribution, where they say nothing.")
    top_p: float | None = Field(default=None, description="null: no such filter, as with the others.")
    top_k: int | None = None
    repetition_penalty: float | None = None


class ModelVersion(Sent):
    version: str
    is_default: bool
    ready_workers: int
    sampling_defaults: SamplingDefaults = SamplingDefaults()


class Model(Sent):
    name: str
    default_version: str
    versions: tuple[ModelVersion, ...]


class ModelList(Sent):
    models: tuple[Model, ...]


class Health(Sent):
    status: Literal["ok"] = "ok"
