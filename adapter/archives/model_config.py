"""The rules for handlers/model-config.yaml. TorchServe silently drops a key or a value that it does not know."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from adapter.handler_section import HandlerSection, Slots
from adapter.strict_yaml import YamlError, read_yaml
from adapter.validation.file_errors import file_errors


class ModelConfigError(ValueError):
    """The file is not a model configuration that would work."""


class ModelConfig(BaseModel):
    """The keys of org.pytorch.serve.archive.model.ModelConfig that fit our one way of serving."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    # Of two workers the idle one holds the lock that the other one needs for its next step (Model.java, pollInferJob).
    minWorkers: Literal[1]  # noqa: N815 - TorchServe's names
    maxWorkers: Literal[1]  # noqa: N815
    continuousBatching: Literal[True]  # noqa: N815
    batchSize: Slots  # noqa: N815
    maxBatchDelay: PositiveInt  # noqa: N815
    jobQueueSize: PositiveInt  # noqa: N815
    responseTimeout: PositiveInt  # noqa: N815
    startupTimeout: PositiveInt  # noqa: N815
    maxRetryTimeoutInSec: PositiveInt = 300  # noqa: N815
    clientTimeoutInMills: PositiveInt | None = None  # noqa: N815 - of older archives: see check_model_config
    deviceType: Literal["cpu", "gpu"] | None = None  # noqa: N815
    deviceIds: list[int] | None = None  # noqa: N815
    handler: HandlerSection = HandlerSection()


def check_model_config(path: Path) -> ModelConfig:
    """Raises ModelConfigError."""
    config = _read(path)
    if config.clientTimeoutInMills:  # the rest of a stream, too (ContinuousBatching.java, sendResponse)
        reason = "clientTimeoutInMills: TorchServe would drop what comes later without a word: leave it out"
        raise ModelConfigError(f"{path}: {reason}")
    return config


def _read(path: Path) -> ModelConfig:
    try:
        return ModelConfig.model_validate(read_yaml(path))
    except OSError as error:
        raise ModelConfigError(f"{path}: {error.strerror}") from error
    except YamlError as error:
        raise ModelConfigError(str(error)) from error
    except ValidationError as error:
        raise ModelConfigError(f"{path}: {file_errors(error)}") from error
