"""TorchServe forgets a request that it has taken from its queue, and not sent yet, when the worker dies.

It waits for more of the batch meanwhile (Model.java, pollInferJob), and after an interrupt it answers only the batch
before (WorkerThread.java). That is a millisecond as we pack archives, and here as long as a kill takes.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.end_to_end.asked_serve import Server
from tests.end_to_end.own_serve import serving_light_model
from tests.end_to_end.versions.light_archives import CONFIG
from tests.end_to_end.versions.light_handler import LETTER
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

SILENCE_TIMEOUT = 6  # seconds
WAITS_FOR_COMPANY = CONFIG.replace("maxBatchDelay: 1\n", "maxBatchDelay: 2000\n")  # milliseconds
TRIES = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"TORCHBRIDGE_SILENCE_TIMEOUT": str(SILENCE_TIMEOUT), "TORCHBRIDGE_CACHE_MAX_AGE": "0"}
    with serving_light_model(tmp_path_factory.mktemp("serve"), environment, WAITS_FOR_COMPANY) as served:
        yield Server(**vars(served))


def test_a_request_that_torchserve_has_forgotten_is_sent_again(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(TRIES):
            server.wait_until_it_serves()
            num_retries = server.metric("retries_total")
            worker = server.worker()
            answer = pool.submit(server.post, prompt="Once", max_length=3)
            wait_until(lambda: server.metric("running_requests") == 1)
            worker.kill()
            assert (answer.result().status_code, answer.result().json()["text"]) == (200, LETTER * 3)
            if server.metric("retries_total") == num_retries + 1:  # else it came to the queue after the kill
                return
    pytest.fail("TorchServe never had it from its queue before the kill")
