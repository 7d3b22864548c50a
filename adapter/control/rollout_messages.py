"""Messages between `torchbridge rollout` and each host, over the gateway's public port, with a rollout key."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from adapter.names import Name
from adapter.received import Received
from adapter.sent import Sent

_MOST_CHARACTERS = 4_096  # of a path, or a reference

Digest: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\Z")]


class OrderedVersion(Received):
    archive: str = Field(min_length=1, max_length=_MOST_CHARACTERS)
    workers: int = Field(default=1, ge=0, le=1)
    digest: Digest | None = None


class OrderedModel(Received):
    default: Name
    versions: dict[Name, OrderedVersion] = Field(max_length=100)


class RolloutOrder(Received):
    """What a host is to serve. The same one again is no other one: what is done already is not done again."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,64}\Z")]
    models: dict[Name, OrderedModel] = Field(min_length=1, max_length=100)
    default_model: Name | None = None
    keeps_others: bool = Field(description="What it does not name goes on; else it is taken away.")


class ServedVersion(Sent):
    archive: str = Field(description="The path of the host's own copy of the archive.")
    digest: str = Field(description="The digest of its content.")
    workers: int = Field(description="The number of workers that it is to have.")
    ready_workers: int = Field(description="The number of workers that are ready.")


class ServedModel(Sent):
    default: str = Field(description="The model's default version.")
    versions: dict[str, ServedVersion] = Field(description="The versions of the model.")


class OrderReport(Sent):
    id: str = Field(description="The id of the order.")
    state: Literal["working", "done", "failed"] = Field(description="What has become of it.")
    step: str = Field(description="What the host is at, or was at last.")
    reason: str | None = Field(default=None, description="Why it has failed; null if it has not.")


class HostReport(Sent):
    """What a host serves, by TorchServe's own word, and the last order that it was given since it runs."""

    models: dict[str, ServedModel] = Field(description="The models that the host serves.")
    default_model: str | None = Field(
        default=None, description="The model of requests that name none; null if there is no such."
    )
    order: OrderReport | None = Field(
        default=None, description="The last order that the host was given; null if it has had none since it runs."
    )
