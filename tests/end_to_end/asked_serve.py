"""A `torchbridge serve` of a test's own that is asked while something in it dies or stands still."""

import re

import psutil
import requests

from tests.end_to_end.gateway_calls import TIMEOUT
from tests.end_to_end.own_serve import Served
from tests.waiting import wait_until


class Server(Served):
    def post(self, timeout: float | None = None, **body: object) -> requests.Response:
        headers = {} if timeout is None else {"x-request-timeout": str(timeout)}
        return requests.post(f"{self.url}/generate", json=body, headers=headers, timeout=TIMEOUT)

    def is_served(self, within: float = 3) -> bool:
        return self.post(timeout=within, prompt="Once", max_length=1).status_code == 200

    def readiness(self) -> requests.Response:
        return requests.get(f"{self.url}/readyz", timeout=TIMEOUT)

    def is_ready(self) -> bool:
        return self.readiness().status_code == 200

    def has_lost(self, worker: psutil.Process) -> bool:
        """Whether TorchServe knows that it is dead: the next one may be there by now."""
        description = self.describe()
        return not description.ready_workers or description.workers[0].pid != worker.pid

    def metric(self, name: str) -> float:
        [value] = re.findall(
            rf"^torchbridge_{name} (\S+)$", requests.get(f"{self.url}/metrics", timeout=60).text, re.MULTILINE
        )
        return float(value)

    def wait_until_it_serves(self) -> None:
        wait_until(self.is_served)
        wait_until(self.is_ready)
