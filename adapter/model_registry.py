"""What TorchServe serves right now, and which of it a request means. Read only."""

from adapter.errors import InvalidRequest, ModelNotFound, ModelNotReady, TorchbridgeError, VersionNotFound
from adapter.management_client import ManagementClient
from adapter.refreshing import Refreshing
from adapter.schema import FieldError, Model, ModelVersion

_REFRESH_AFTER = 1.0  # seconds
_USABLE_FOR = 10.0  # seconds that we go on without hearing from TorchServe's management API

Models = dict[str, Model]


class ModelRegistry:
    def __init__(self, management: ManagementClient, default_model: str | None) -> None:
        self._management = management
        self._default_model = default_model
        self._models = Refreshing(self._load, _REFRESH_AFTER)

    async def models(self) -> tuple[Model, ...]:
        return tuple((await self._models.get(_USABLE_FOR)).values())

    async def model(self, name: str) -> Model:
        models = await self._models.get(_USABLE_FOR)
        return _find_model(models if name in models else await self._models.get(_REFRESH_AFTER), name)

    async def resolve(self, model: str | None = None, version: str | None = None) -> tuple[str, str]:
        """The model and version that a request means, with at least one worker that is ready.

        Raises ModelNotFound, VersionNotFound, ModelNotReady, or InvalidRequest where a model has to be named.
        """
        try:
            return self._resolve(await self._models.get(_USABLE_FOR), model, version)
        except TorchbridgeError:
            # What is refused must be refused by today's facts.
            return self._resolve(await self._models.get(_REFRESH_AFTER), model, version)

    async def check_ready(self, name: str, version: str) -> None:
        """Raises ModelNotReady where a description of the last second shows no ready worker."""
        self._resolve(await self._models.get(_REFRESH_AFTER), name, version)

    def _resolve(self, models: Models, name: str | None, version: str | None) -> tuple[str, str]:
        model = _find_model(models, name or self._default_model or _only_name(models))
        version = version or model.default_version
        for candidate in model.versions:
            if candidate.version == version:
                if candidate.ready_workers:
                    return model.name, version
                raise ModelNotReady(f"Version {version} of model {model.name} has no worker that is ready yet.")
        raise VersionNotFound(f"Model {model.name} has no version {version}. GET /models/{model.name} lists them.")

    def _load(self) -> Models:
        models = {}
        for name in self._management.model_names():
            try:
                models[name] = self._describe(name)
            except ModelNotFound:
                continue  # unregistered since it was listed
        return models

    def _describe(self, name: str) -> Model:
        default = self._management.default_version(name)
        versions = sorted(self._management.describe(name), key=lambda description: description.model_version)
        return Model(
            name=name,
            default_version=default,
            versions=tuple(
                ModelVersion(
                    version=description.model_version,
                    is_default=description.model_version == default,
                    ready_workers=description.ready_workers,
                )
                for description in versions
            ),
        )


def _find_model(models: Models, name: str) -> Model:
    if name not in models:
        # A name from a path was never validated: as a literal, and cut, it can neither break a log line nor fill it.
        raise ModelNotFound(f"There is no model {name!r:.130}. GET /models lists them.")
    return models[name]


def _only_name(models: Models) -> str:
    if not models:
        raise ModelNotReady("No model is registered yet.")
    if len(models) > 1:
        detail = f"There are several models, and no default: name one of {', '.join(sorted(models))}."
        raise InvalidRequest(detail, errors=(FieldError(field="model", message=detail),))
    return next(iter(models))
