"""TorchServe's management API: which model versions there are, whether their workers are ready, and changes of that."""

import re
from typing import Literal, TypeVar

import requests
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from adapter.errors import InvalidRequest, KeyRefused, ModelNotFound, UpstreamProtocol
from adapter.names import NAME_PATTERN
from adapter.torchserve.error_answers import error_from_answer
from adapter.torchserve.keys import KeyFile, send_with_key

_ARCHIVE = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]*\.mar", re.ASCII)
_MAX_PAGES = 1_000
_CHANGE_TIMEOUT = 600  # seconds: TorchServe unpacks an archive, or waits for workers to end, before it answers

_Answer = TypeVar("_Answer")


class _Described(BaseModel):
    """The fields that we use of an answer; TorchServe sends more."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, protected_namespaces=())


class WorkerDescription(_Described):
    id: str
    status: Literal["READY", "UNLOADING"]
    start_time: str
    pid: int

    @property
    def is_ready(self) -> bool:
        return self.status == "READY"


class JobQueue(_Described):
    remaining_capacity: int
    pending_requests: int


class ModelDescription(_Described):
    model_name: str
    model_version: str
    model_url: str  # the archive's name in the model store
    min_workers: int
    max_workers: int
    batch_size: int
    response_timeout: int
    startup_timeout: int  # seconds
    max_retry_timeout_in_sec: int  # from the first failure of a worker on; after it TorchServe starts it no more
    workers: tuple[WorkerDescription, ...]
    job_queue_status: JobQueue

    @property
    def ready_workers(self) -> int:
        return sum(worker.is_ready for worker in self.workers)


class _ListedModel(_Described):
    model_name: str


class _ModelPage(_Described):
    models: tuple[_ListedModel, ...]
    next_page_token: str | None = None


# 202: it is done in the background.
_SUCCESSES = (requests.codes.ok, requests.codes.accepted)

_DESCRIPTIONS = TypeAdapter(list[ModelDescription])
_MODEL_PAGE = TypeAdapter(_ModelPage)


class ManagementClient:
    """One TorchServe's management API. Every failure is one of adapter.errors. Safe to share between threads."""

    def __init__(self, url: str, keys: KeyFile) -> None:
        self._url = url.rstrip("/")
        self._keys = keys

    def model_names(self) -> list[str]:
        names: list[str] = []
        page = None
        for _ in range(_MAX_PAGES):
            answer = self._get("/models", _MODEL_PAGE, {"limit": "100"} | ({"next_page_token": page} if page else {}))
            names += (model.model_name for model in answer.models)
            page = answer.next_page_token
            if page is None:
                return names
        raise UpstreamProtocol("TorchServe's list of models has no end.", cause=f"more than {_MAX_PAGES} pages")

    def describe(self, name: str) -> list[ModelDescription]:
        """Every version of the model."""
        return self._get(f"{_path(name)}/all", _DESCRIPTIONS)

    def default_version(self, name: str) -> str:
        """The version that answers where none is asked for: no description says so, but asking without one shows it."""
        versions = [description.model_version for description in self._get(_path(name), _DESCRIPTIONS)]
        if len(versions) != 1:
            raise UpstreamProtocol("TorchServe did not name one default version.", cause=f"{name}: {versions}")
        return versions[0]

    def register(self, archive: str) -> None:
        """Makes TorchServe unpack a file of its store and start workers; it does not wait until they are ready.

        `archive` is a bare name: of an archive that came by a URL TorchServe deletes the file when it unregisters it
        (ModelArchive.java, removeModel). In the query: of a JSON body it takes a nonsensical maxBatchDelay
        (ModelManager.java:423).
        """
        if not _ARCHIVE.fullmatch(archive):
            raise InvalidRequest("The archive's name is not one that can be registered.", cause=repr(archive))
        self._change("POST", "/models", {"url": archive, "synchronous": "false"})

    def set_default(self, name: str, version: str) -> None:
        """Makes `version` the one of requests that name none. TorchServe does not ask whether it has a worker."""
        self._change("PUT", f"{_path(name, version)}/set-default")

    def scale(self, name: str, version: str, workers: int) -> None:
        """Starts workers, or kills some: what they generate, and with none left what is queued, is lost."""
        count = str(workers)
        self._change("PUT", _path(name, version), {"min_worker": count, "max_worker": count, "synchronous": "false"})

    def unregister(self, name: str, version: str) -> None:
        """Kills the version's workers: what they generate is lost, and what is queued never answered."""
        self._change("DELETE", _path(name, version))

    def _get(self, path: str, answer: TypeAdapter[_Answer], query: dict[str, str] | None = None) -> _Answer:
        content = self._send("GET", path, query)
        try:
            return answer.validate_json(content)
        except ValidationError as error:
            reason = error.errors(include_input=False, include_url=False)[0]
            cause = f"GET {path}: {reason['msg']} at {reason['loc']}"
            raise UpstreamProtocol("TorchServe's answer is not what its API promises.", cause=cause) from None

    def _change(self, method: str, path: str, query: dict[str, str] | None = None) -> None:
        self._send(method, path, query, _CHANGE_TIMEOUT)

    def _send(self, method: str, path: str, query: dict[str, str] | None, timeout: float | None = None) -> bytes:
        key = self._keys.management_key()
        try:
            return self._send_once(method, path, key, query, timeout)
        except KeyRefused:
            self._keys.renew("management", refused=key)
            return self._send_once(method, path, self._keys.management_key(), query, timeout)

    def _send_once(
        self, method: str, path: str, key: str, query: dict[str, str] | None, timeout: float | None
    ) -> bytes:
        response = send_with_key(method, self._url + path, key, query, timeout)
        if response.status_code not in _SUCCESSES:
            raise error_from_answer(response.status_code, response.content)
        return response.content


def _path(*names: str) -> str:
    # A name outside the rule could leave /models (a dot segment) or look like the token API (names.NAME_PATTERN).
    for name in names:
        if not re.fullmatch(NAME_PATTERN, name):
            raise ModelNotFound("There is no model of this name.", cause=f"{name!r} cannot be a name")
    return "/models/" + "/".join(names)
