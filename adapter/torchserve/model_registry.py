"""The models that TorchServe serves right now, and which of them a request means. Read only."""

import asyncio
from contextlib import suppress
from pathlib import Path

from adapter.errors import (
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    TorchbridgeError,
    UpstreamUnavailable,
    VersionNotFound,
)
from adapter.schema import FieldError, Model, SamplingDefaults
from adapter.settings import RESTART_TIMEOUT
from adapter.torchserve.comebacks import Comebacks, VersionKey
from adapter.torchserve.management_client import ManagementClient, ModelDescription
from adapter.torchserve.refreshing import Refreshing
from adapter.torchserve.served_models import Models, PinnedVersion, ServedModel, served_models

# Seconds. A change in TorchServe is noticed within one second, if TorchServe answers in time.
_REFRESH_AFTER = 0.5
_WAIT_FROM, _PATIENCE = 1.0, 0.25
_USABLE_FOR = 10.0  # without hearing from TorchServe's management API
_LONGEST_LOOK = 2.0  # after which requests that know what there was do not wait for an answer any more

_SECONDS_BETWEEN_LOOKS = 0.25

# And not their names: pages show what an error says to those for whom they ask, who may not see /models.
_WHERE_TO_LOOK = "GET /models lists what there is."  # below /v1 as well


class ModelRegistry:
    def __init__(
        self,
        management: ManagementClient,
        default_model: str | None,
        model_store: Path | None = None,
        *,
        restart_timeout: float = RESTART_TIMEOUT,
    ) -> None:
        """Without `model_store` its archives are taken for what this installation packs.

        A worker that was ready and is started again is waited for, for `restart_timeout` seconds.
        """
        self._management = management
        self._model_store = model_store
        self.default_model = default_model  # of requests that name none; it may change at any time
        self._models = Refreshing(self._load, _REFRESH_AFTER)
        self._seen_ready: dict[VersionKey, PinnedVersion] = {}  # each as it was last
        self._comebacks = Comebacks(restart_timeout)

    @property
    def is_answered(self) -> bool:
        """Whether TorchServe has answered the last time that it was asked."""
        return self._models.latest is not None and not self._models.is_failing

    def latest(self) -> tuple[ServedModel, ...]:
        """The models as TorchServe described them last, however long ago; it asks for a newer one meanwhile."""
        self._models.refresh()
        return tuple((self._models.latest or {}).values())

    async def models(self) -> tuple[Model, ...]:
        return tuple(served.model for served in (await self._current()).values())

    async def served_anew(self) -> tuple[ServedModel, ...]:
        """The models as TorchServe describes them after this call, and as every later request will find them."""
        return tuple((await self._models.get_newer()).values())

    async def defaults(self) -> tuple[PinnedVersion, ...]:
        """The default version of each model, ready or not."""
        served = (await self._current()).values()
        defaults = ((each.pinned, each.model.default_version) for each in served)
        return tuple(pinned[version] for pinned, version in defaults if version in pinned)

    async def model(self, name: str) -> Model:
        models = await self._current()
        return _find_model(models if name in models else await self._models.get(_WAIT_FROM), name).model

    async def default_of(self, model: str | None = None) -> tuple[str, str]:
        """The model that is meant where a request names `model`, and its default version, ready or not.

        Raises ModelNotFound, ModelNotReady where there is no model at all, or InvalidRequest.
        """
        models = await self._current()
        described = self._find_meant(models, model).model
        return described.name, described.default_version

    def sampling_defaults(self, model: str, version: str) -> SamplingDefaults:
        """The defaults of a version that has just answered, as heard last; if it is gone by now, those of none."""
        served = (self._models.latest or {}).get(model)
        pinned = served.pinned.get(version) if served else None
        return pinned.archive.sampling_defaults if pinned else SamplingDefaults()

    def has_workers(self, model: str, version: str) -> bool:
        """Whether a worker of this version was ready, as heard last."""
        described = self._latest_description(model, version)
        return described is not None and described.ready_workers > 0

    def is_queue_empty(self, model: str, version: str) -> bool:
        """Whether no request waits in TorchServe's queue for a worker of this version, as heard last."""
        described = self._latest_description(model, version)
        return described is not None and described.job_queue_status.pending_requests == 0

    def _latest_description(self, model: str, version: str) -> ModelDescription | None:
        served = (self._models.latest or {}).get(model)
        return served.described.get(version) if served else None

    async def resolve(self, model: str | None = None, version: str | None = None) -> PinnedVersion:
        """The model and version that a request means, with at least one worker that is ready, or is expected back.

        What cannot be sent, as a worker or TorchServe is started again, waits in `wait_for_comeback`.
        Raises ModelNotFound, VersionNotFound, ModelNotReady, UpstreamUnavailable, or InvalidRequest if a model has to
        be named.
        """
        models = await self._current_or_latest()
        with suppress(TorchbridgeError):
            return self._resolve(models, model, version, expected_will_do=True)
        # What is refused must be refused by today's facts.
        return self._resolve(await self._models.get(_WAIT_FROM), model, version, expected_will_do=True)

    async def resolve_anew(self, model: str | None = None, version: str | None = None) -> PinnedVersion:
        """Resolves by a description that is asked for after this call, and only if a worker is ready now."""
        return self._resolve(await self._models.get_newer(), model, version)

    async def resolve_any(self) -> PinnedVersion:
        """Resolves anew the default model, or if that is not served any one that can answer.

        Raises ModelNotReady where none can.
        """
        models = await self._models.get_newer()
        if self.default_model in models:
            return self._resolve(models, self.default_model, None)
        for name in models:
            with suppress(TorchbridgeError):
                return self._resolve(models, name, None)
        raise ModelNotReady("No model that is served has a worker that is ready yet.")

    def _find_meant(self, models: Models, name: str | None) -> ServedModel:
        if name is None and self.default_model is not None and self.default_model not in models:
            raise ModelNotFound(f"The default model is not served: name another one. {_WHERE_TO_LOOK}")
        return _find_model(models, name or self.default_model or _only_name(models))

    async def wait_for_comeback(self, model: str, version: str) -> PinnedVersion:
        """Resolves anew, but waits for workers that are expected back."""
        while True:
            try:
                return await self.resolve_anew(model, version)
            except (UpstreamUnavailable, ModelNotReady, ModelNotFound, VersionNotFound):
                if not self._comebacks.expects((model, version)):
                    raise
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def _current_or_latest(self) -> Models:
        """The models, or those from before TorchServe went, as long as it is expected back."""
        latest = self._models.latest
        if latest is None:
            return await self._current()
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                return await self._current()
        except TimeoutError:
            error = UpstreamUnavailable("TorchServe does not answer. Is it running?")
        except UpstreamUnavailable as failure:
            error = failure
        if self._comebacks.has_given_up():
            raise error
        return latest

    async def _current(self) -> Models:
        return await self._models.get(_USABLE_FOR, wait_from=_WAIT_FROM, patience=_PATIENCE)

    def _resolve(
        self, models: Models, name: str | None, version: str | None, *, expected_will_do: bool = False
    ) -> PinnedVersion:
        model, pinned, *_ = self._find_meant(models, name)
        version = version or model.default_version
        if version in pinned and pinned[version].workers:
            return pinned[version]
        if expected_will_do and self._comebacks.expects((model.name, version)):
            return self._seen_ready[model.name, version]
        if version not in pinned:
            raise VersionNotFound(f"Model {model.name} has no version {version}. {_WHERE_TO_LOOK}")
        raise ModelNotReady(f"Version {version} of model {model.name} has no worker that is ready yet.")

    def _load(self) -> Models:
        try:
            models = served_models(self._management, self._model_store)
        except UpstreamUnavailable:
            self._comebacks.note_outage()
            raise
        ready = {(each.model, each.version): each for served in models.values() for each in served.ready}
        self._seen_ready |= ready
        self._comebacks.note(
            ready.keys(), {(name, version) for name, served in models.items() for version in served.restarting}
        )
        return models


def _find_model(models: Models, name: str) -> ServedModel:
    if name not in models:
        # A name from a path was never validated: as a literal, and cut, it can neither break a log line nor fill it.
        raise ModelNotFound(f"There is no model {name!r:.130}. {_WHERE_TO_LOOK}")
    return models[name]


def _only_name(models: Models) -> str:
    if not models:
        raise ModelNotReady("No model is registered yet.")
    if len(models) > 1:
        detail = f"There are several models, and no default: name one. {_WHERE_TO_LOOK}"
        raise InvalidRequest(detail, errors=(FieldError(field="model", message=detail),))
    return next(iter(models))
