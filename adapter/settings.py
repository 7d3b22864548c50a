"""The gateway's settings: one frozen object, each default in sight, each changed by TORCHBRIDGE_<NAME>."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from adapter.schema import Name

# Nothing after the port: a path would come in front of the model's name, and credentials do not belong here.
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@\s]+\Z")]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TORCHBRIDGE_", frozen=True, regex_engine="python-re")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)

    torchserve_url: Origin = "http://127.0.0.1:8080"
    management_url: Origin = "http://127.0.0.1:8081"
    key_file: Path = Field(default=Path(".torchbridge/key_file.json"), description="Written by TorchServe.")

    default_model: Name | None = Field(default=None, description="None: the only model there is.")
    max_body_bytes: PositiveInt = Field(
        default=4 * 2**20, description="JSON escapes may triple them on the way to TorchServe."
    )
    max_live_requests: PositiveInt = Field(default=256, description="More than these are refused as overloaded.")
    silence_timeout: PositiveFloat = Field(default=60, description="Seconds without any event that end a request.")
