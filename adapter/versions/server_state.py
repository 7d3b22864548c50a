"""Which versions a server serves, in our own words: TorchServe forgets them when it ends, and its snapshots lie."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from adapter.archives.archive_names import Sha256
from adapter.durable.record import DurableRecord
from adapter.names import Name
from adapter.versions.errors import ChangeRefused, VersionError

# Of two workers of one version in continuous batching the idle one holds the lock that the other one needs for its
# next step, until a further request comes (Model.java, pollInferJob: seen with 8 clients, all of them hung).
Workers = Annotated[int, Field(ge=0, le=1)]


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re", defer_build=True)


class VersionState(_State):
    archive: str = Field(description="The name of its file in the store.")
    digest: str = Field(description="The digest of its record, which is `model_digest` of its answers.")
    sha256: Sha256 = Field(description="The SHA-256 of the file that was verified. No other is loaded in its place.")
    workers: Workers = 1
    deployed_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))


class ModelState(_State):
    default: Name
    previous: tuple[Name, ...] = Field(default=(), description="What was the default before, the latest first.")
    versions: dict[Name, VersionState]

    def default_first(self) -> list[tuple[str, VersionState]]:
        """The versions. TorchServe makes the one default that it is given first."""
        return sorted(self.versions.items(), key=lambda item: item[0] != self.default)

    def with_default(self, version: str) -> Self:
        earlier = (self.default, *self.previous)
        previous = tuple(dict.fromkeys(each for each in earlier if each != version))
        return self.model_copy(update={"default": version, "previous": previous})

    def with_version(self, version: str, state: VersionState) -> Self:
        return self.model_copy(update={"versions": {**self.versions, version: state}})

    def without(self, version: str) -> Self:
        return self.model_copy(
            update={
                "previous": tuple(each for each in self.previous if each != version),
                "versions": {name: state for name, state in self.versions.items() if name != version},
            }
        )


class ServerState(DurableRecord, _State):
    """`is_changed`: by a command since `torchbridge serve` started with a model of its own choice."""

    models: dict[Name, ModelState] = {}
    default_model: Name | None = Field(
        default=None, description="It answers requests that name none. It may not be served any more."
    )
    is_changed: bool = False

    @model_validator(mode="before")
    @classmethod
    def _the_first_is_the_default_unless_another_one_is(cls, state: object) -> object:
        # Also in files of the time when it was not written down: then a server started with the first one.
        if isinstance(state, dict) and state.get("models") and state.get("default_model") is None:
            return {**state, "default_model": next(iter(state["models"]))}
        return state

    @classmethod
    def damaged(cls, path: Path) -> VersionError:
        return VersionError(f"{path} is damaged: torchbridge serve --model writes it anew.")

    def model(self, name: str | None) -> tuple[str, ModelState]:
        """The named model, or the only one."""
        if not self.models:
            raise ChangeRefused("Nothing is deployed here: torchbridge deploy FILE.mar.")
        if name is None and len(self.models) == 1:
            return next(iter(self.models.items()))
        known = ", ".join(sorted(self.models))
        if name is None:
            raise ChangeRefused(f"There are several models: name one with --model ({known}).")
        if name not in self.models:
            raise ChangeRefused(f"There is no model {name!r} here. Served: {known}.")
        return name, self.models[name]

    def with_model(self, name: str, model: ModelState | None) -> Self:
        """The state with this model in this state, or without it."""
        models = {each: state for each, state in {**self.models, name: model}.items() if state is not None}
        default_model = self.default_model or name
        return self.model_copy(update={"models": models, "default_model": default_model, "is_changed": True})

    def with_default_model(self, name: str) -> Self:
        return self.model_copy(update={"default_model": name, "is_changed": True})
