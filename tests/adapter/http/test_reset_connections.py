"""What is left of a connection that its caller has reset."""

import gc
import socket
import struct
import threading

from adapter.gateway import create_app
from adapter.http.protocol import HttpProtocol
from adapter.serving.gateway_server import server_config
from adapter.settings import Settings
from adapter.torchserve.ports import bind
from tests.fakes import LeavingNothing
from tests.waiting import wait_until

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def num_protocols(port: int) -> int:
    """Of this server: other tests may have left some of theirs."""
    gc.collect()
    return sum(type(each) is HttpProtocol and each.server == ("127.0.0.1", port) for each in gc.get_objects())


def test_a_connection_that_was_reset_is_not_kept_alive() -> None:
    server = LeavingNothing(server_config(create_app(Settings()), timeout_keep_alive=3_600))
    with bind("127.0.0.1", 0, "the gateway", "") as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        with socket.create_connection(listener.getsockname()) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            connection.sendall(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            assert connection.recv(2**16).startswith(b"HTTP/1.1 200")
            assert num_protocols(port) == 1
        try:
            wait_until(lambda: num_protocols(port) == 0)
        finally:
            server.should_exit = True
            thread.join()
