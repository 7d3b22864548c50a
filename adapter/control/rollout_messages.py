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
    archive: str = Field(description="The path of the host's own copy.")
    digest: str
    workers: int
    ready_workers: int


class ServedModel(Sent):
    default: str
    versions: dict[str, ServedVersion]


class OrderReport(Sent):
    id: str
    state: Literal["working", "done", "failed"]
    step: str = Field(description="What it is at, or was at last.")
    reason: str | None = Field(default=None, description="Why it has failed.")


class HostReport(Sent):
    """What a host serves, by TorchServe's own word, and the last order that it was given since it runs."""

    models: dict[str, ServedModel]
    default_model: str | None = None
    order: OrderReport | None = None
