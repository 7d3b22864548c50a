"""What the gateway's server is told that a proxy in front depends on."""

import pytest

from adapter.gateway_server import GatewayServer
from adapter.settings import Settings

PROXIES_KEEP = 60  # seconds: nginx, and AWS's load balancers


@pytest.mark.parametrize(("settings", "seconds"), [(Settings(), 75), (Settings(keep_alive_timeout=200), 200)])
def test_a_connection_outlives_those_that_proxies_keep(settings: Settings, seconds: int) -> None:
    kept = GatewayServer(settings).config.timeout_keep_alive
    assert kept == seconds > PROXIES_KEEP
