"""One host of a rollout, spoken to through its gateway."""

import re
from dataclasses import dataclass, field

import requests
from pydantic import BaseModel, ValidationError

from adapter.control.rollout_messages import HostReport, RolloutOrder
from adapter.errors import NotFound, TorchbridgeError, from_problem
from adapter.http.authentication import ROLLOUT_PATH
from adapter.rollout.errors import RolloutError, RolloutRefused
from adapter.schema import Problem

_TIMEOUT = (5, 60)  # seconds, to connect and for an answer: TorchServe has to answer within it, too
_ADDRESS = re.compile(r"(https?://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[^?#\s@]*)?")


class HostAway(Exception):
    """The host does not answer, or cannot right now."""


@dataclass(frozen=True)
class Host:
    """`name`: as its operator has written it. Failures are HostAway, or RolloutError with the host's own words."""

    name: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.name):
            raise RolloutRefused(f"{self.name!r} is no address of a gateway: HOST:PORT or https://HOST is one.")

    @property
    def url(self) -> str:
        return self.name.rstrip("/") if "://" in self.name else f"http://{self.name.rstrip('/')}"

    def report(self) -> HostReport:
        return self._ask("GET")

    def order(self, order: RolloutOrder) -> HostReport:
        return self._ask("PUT", order)

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=_TIMEOUT, allow_redirects=False).ok
        except requests.RequestException:
            return False

    def _ask(self, method: str, body: BaseModel | None = None) -> HostReport:
        headers = {"authorization": f"Bearer {self.key}"} | ({"content-type": "application/json"} if body else {})
        try:
            answer = requests.request(
                method,
                f"{self.url}{ROLLOUT_PATH}",
                data=body.model_dump_json() if body else None,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,  # the key is for this host
            )
        except requests.RequestException as error:
            raise HostAway(f"{self.name} does not answer ({type(error).__name__}).") from error
        return self._read(answer)

    def _read(self, answer: requests.Response) -> HostReport:
        try:
            if answer.status_code == requests.codes.ok:
                return HostReport.model_validate_json(answer.content)
            error = from_problem(Problem.model_validate_json(answer.content))
        except ValidationError as unreadable:
            reason = f"{self.name} answers {answer.status_code} and nothing of a gateway's: is it one?"
            raise RolloutError(reason) from unreadable
        raise self._failure(error) from error

    def _failure(self, error: TorchbridgeError) -> Exception:
        if error.retryable:
            return HostAway(f"{self.name} cannot say it right now: {error.detail}")
        if isinstance(error, NotFound):
            return RolloutError(f"{self.name} takes no rollouts: TORCHBRIDGE_ROLLOUT_KEYS opens them there.")
        return RolloutError(f"{self.name}: {error.detail}")
