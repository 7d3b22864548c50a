import threading
from types import SimpleNamespace

import pytest

from adapter.process.stop_signals import StopSignals
from adapter.serving.gateway_thread import wait_for_end


@pytest.mark.parametrize(("is_urgent", "longest_end"), [(False, 0.1), (True, 3_600)])
def test_a_gateway_that_hangs_is_not_waited_for_for_ever(
    longest_end: float, caplog: pytest.LogCaptureFixture, *, is_urgent: bool
) -> None:
    may_go_on = threading.Event()
    thread = threading.Thread(target=may_go_on.wait)
    thread.start()
    server = SimpleNamespace(longest_end=longest_end, hurry=lambda: 0.1)
    wait_for_end(server, thread, StopSignals(is_urgent))  # type: ignore[arg-type]
    assert thread.is_alive()
    assert caplog.messages == ["the gateway does not end, and is left as it is"]
    may_go_on.set()
    thread.join()
