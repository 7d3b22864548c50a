"""What the gateway's server is told that callers and a proxy in front depend on."""

import gc
import threading

import pytest

from adapter.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind
from tests.waiting import wait_until

PROXIES_KEEP = 60  # seconds: nginx, and AWS's load balancers


@pytest.mark.parametrize(("settings", "seconds"), [(Settings(), 75), (Settings(keep_alive_timeout=200), 200)])
def test_a_connection_outlives_those_that_proxies_keep(settings: Settings, seconds: int) -> None:
    kept = GatewayServer(settings).config.timeout_keep_alive
    assert kept == seconds > PROXIES_KEEP


def test_what_was_imported_is_not_looked_through_while_streams_wait() -> None:
    server = GatewayServer(Settings(port=0))
    with bind("127.0.0.1", 0, "the gateway", "") as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        looked_through = len(gc.get_objects())
        left_alone = gc.get_freeze_count()
        server.should_exit = True
        thread.join()
        gc.unfreeze()
    assert left_alone > looked_through
