import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psutil
import pytest

from adapter.client import AsyncGatewayClient, GatewayClient
from adapter.client.wire import KEPT_FOR, Connections
from adapter.settings import Settings
from tests.adapter.client.conftest import Connect
from tests.adapter.wire import REQUEST

# Asks once, then in a child, then again: which local ports are connected to the gateway after each.
FORKED = """
import os, sys, psutil
from urllib.parse import urlsplit
from adapter.client import GatewayClient

address = sys.argv[1]

def ports():
    every = psutil.Process().net_connections("tcp")
    return {each.laddr.port for each in every if each.raddr and each.raddr.port == urlsplit(address).port}

client = GatewayClient(address)
client.models()
before = ports()
child = os.fork()
if child == 0:
    client.models()
    os._exit(0 if len(ports()) > 0 and ports() != before else 1)
_, status = os.waitpid(child, 0)
assert status == 0, "the child used its parent's connection"
client.models()
assert ports() == before, "the parent lost its connection"
"""


def ports_to(address: str) -> set[int]:
    """Local ports of this process that are connected to the gateway."""
    port = urlsplit(address).port
    return {
        each.laddr.port
        for each in psutil.Process().net_connections("tcp")
        if each.raddr and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED
    }


def test_calls_of_every_kind_go_over_one_connection(address: str, connect: Connect) -> None:
    client = connect(address)
    seen = set()
    for _ in range(3):
        client.models()
        seen |= ports_to(address)
        client.generate_text(**REQUEST)
        seen |= ports_to(address)
        with client.stream_text(**REQUEST) as stream:
            list(stream)
        seen |= ports_to(address)
        with pytest.raises(Exception, match="prompt"):
            client.generate_text(prompt="")
        seen |= ports_to(address)
    assert len(seen) == 1


def test_calls_at_once_have_a_connection_each(address: str) -> None:
    with GatewayClient(address) as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.generate_text(**REQUEST).text, range(40)))
        assert answers == ["Hello world"] * 40
        assert 1 <= len(ports_to(address)) <= 4


def test_a_client_that_is_closed_keeps_no_connection_and_can_be_used_again(address: str, connect: Connect) -> None:
    client = connect(address)
    client.models()
    client.close()
    assert ports_to(address) == set()
    client.models()


def test_a_client_that_is_lost_keeps_no_connection(address: str) -> None:
    GatewayClient(address).models()
    assert ports_to(address) == set()


def test_a_connection_that_was_ended_meanwhile_is_not_used(address: str) -> None:
    with GatewayClient(address, max_retries=0) as client:
        client.models()
        before = ports_to(address)
        client._connections._free[0].shut_down()
        client.models()
        assert before.isdisjoint(ports_to(address))


def test_a_process_that_was_forked_has_its_own(address: str) -> None:
    subprocess.run([sys.executable, "-c", FORKED, address], check=True)


@pytest.mark.parametrize("kind", [GatewayClient, AsyncGatewayClient])
def test_a_client_goes_to_another_process_as_it_is(kind: type[GatewayClient] | type[AsyncGatewayClient]) -> None:
    client = kind("http://gateway", api_key="secret", max_retries=7)
    copy = pickle.loads(pickle.dumps(client))
    assert (type(copy), copy._calls, repr(copy)) == (kind, client._calls, f"{kind.__name__}('http://gateway')")


def test_a_connection_is_kept_for_less_than_the_gateway_keeps_it() -> None:
    assert Settings().keep_alive_timeout > KEPT_FOR


def test_no_more_connections_are_kept_than_are_good_for_anything() -> None:
    connections: Connections[int] = Connections(iter(range(1_000)).__next__, lambda: None)
    taken = [connections.take() for _ in range(100)]
    closed = [each.pool for each in map(connections.keep, taken) if each is not None]
    assert closed == list(range(68))
    assert connections.take().pool == 99


def test_a_connection_of_another_owner_is_not_given() -> None:
    owners = ["parent"]
    connections: Connections[int] = Connections(iter(range(10)).__next__, lambda: owners[-1])
    of_the_parent = connections.take()
    connections.keep(of_the_parent)
    owners.append("child")
    assert connections.take().pool != of_the_parent.pool
    connections.keep(of_the_parent)  # as of a call that ends in a thread with another event loop
    assert list(connections.take_all()) == []
