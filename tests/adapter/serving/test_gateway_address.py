import pytest

from adapter.serving.gateway_address import url_of
from adapter.settings import Settings
from adapter.torchserve.ports import bind


@pytest.mark.parametrize(
    ("host", "callable_at"),
    [
        ("127.0.0.1", "http://127.0.0.1"),
        ("localhost", "http://127.0.0.1"),
        ("0.0.0.0", "http://127.0.0.1"),
        ("::1", "http://[::1]"),
        ("::", "http://[::1]"),
    ],
)
def test_the_address_that_is_shown_can_be_called_wherever_the_gateway_listens(host: str, callable_at: str) -> None:
    with bind(host, 0, "the gateway", "") as listener:
        assert url_of(listener, Settings()) == f"{callable_at}:{listener.getsockname()[1]}"
