"""A gateway that uvicorn serves from a thread, with both of its sockets."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapter.control.app import TwoSockets, listen
from adapter.control.messages import control_socket
from adapter.gateway import create_app
from adapter.serving.gateway_server import server_config
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.ports import bind
from tests.fakes import FakeInference, FakeManagement, LeavingNothing


@contextmanager
def running_gateway(
    directory: Path, management: FakeManagement, inference: FakeInference, settings: Settings | None = None
) -> Iterator[str]:
    """Its address; its control socket is in `directory`."""
    app = create_app(settings or Settings(), inference=inference, registry=ModelRegistry(management, None))
    with bind("127.0.0.1", 0, "the gateway", "") as tcp, listen(control_socket(directory)) as control:
        server = LeavingNothing(server_config(TwoSockets(app, app.state.control), timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [tcp, control]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{tcp.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
