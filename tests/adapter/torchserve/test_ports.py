"""A port that is in use is said in one line before anything is started."""

import socket
from pathlib import Path

import pytest

from adapter.torchserve.ports import (
    AddressUnusable,
    PortInUse,
    bind,
    check_torchserve_ports,
    free_addresses,
    share_address,
)
from adapter.torchserve.properties import PropertiesError, read_properties
from adapter.torchserve.server_process import CONFIG_FILE
from tests.free_ports import free_port


@pytest.fixture
def used_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_says_which_port_is_in_use_what_for_and_what_to_do(used_port: int) -> None:
    with pytest.raises(PortInUse, match=rf"Port {used_port} .*the gateway.*in use.*or choose another"):
        bind("127.0.0.1", used_port, "the gateway", "choose another one with --port")


@pytest.mark.parametrize("key", ["inference_address", "management_address", "metrics_address"])
def test_checks_torchserves_http_ports(used_port: int, key: str) -> None:
    properties = free_properties() | {key: f"http://127.0.0.1:{used_port}"}
    with pytest.raises(PortInUse, match=f"change {key} in config.properties"):
        check_torchserve_ports(properties)


@pytest.mark.parametrize("key", ["grpc_inference_port", "grpc_management_port"])
def test_checks_torchserves_grpc_ports(used_port: int, key: str) -> None:
    with pytest.raises(PortInUse, match=f"change {key} in config.properties"):
        check_torchserve_ports(free_properties() | {key: str(used_port)})


def test_free_ports_pass() -> None:
    check_torchserve_ports(free_properties())


def test_chosen_addresses_are_free_and_no_two_are_the_same() -> None:
    chosen = free_addresses()
    check_torchserve_ports(read_properties(CONFIG_FILE) | chosen)

    assert len({address.rpartition(":")[2] for address in chosen.values()}) == 5


def test_a_port_that_was_just_left_is_free() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
        server.accept()[0].close()

    bind("127.0.0.1", port, "a test", "do nothing").close()


def test_a_port_that_is_held_for_the_gateway_is_not_given_to_torchserve() -> None:
    with bind("127.0.0.1", 0, "the gateway", "") as listener:
        properties = free_properties() | {"inference_address": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        with pytest.raises(PortInUse, match=r"change inference_address in config\.properties"):
            check_torchserve_ports(properties)


def test_a_gateway_that_was_stopped_under_a_caller_starts_again_at_its_port() -> None:
    port = free_port()
    with bind("127.0.0.1", port, "the gateway", "") as listener:
        share_address(listener)
        listener.listen()
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()  # closed first: its address stays in TIME_WAIT

    bind("127.0.0.1", port, "the gateway", "").close()


def test_chosen_ports_are_none_that_an_outgoing_connection_may_take() -> None:
    first_of_the_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert all(int(address.rpartition(":")[2]) < first_of_the_kernel for address in free_addresses().values())


def test_torchserve_listens_on_this_machine_only() -> None:
    properties = read_properties(CONFIG_FILE)
    addresses = [value for key, value in properties.items() if key.endswith("_address")]

    assert len(addresses) == 5
    assert {address.removeprefix("http://").partition(":")[0] for address in addresses} == {"127.0.0.1"}


def test_torchserve_asks_for_keys_and_takes_no_url() -> None:
    properties = read_properties(CONFIG_FILE)

    assert properties["disable_token_authorization"] == "false"
    assert properties["allowed_urls"] == "none"


def free_properties() -> dict[str, str]:
    http = ("inference_address", "management_address", "metrics_address")
    grpc = ("grpc_inference_port", "grpc_management_port")
    any_port = dict.fromkeys(http, "http://127.0.0.1:0") | dict.fromkeys(grpc, "0")
    return read_properties(CONFIG_FILE) | any_port


def test_what_is_accepted_sends_small_answers_at_once() -> None:
    # asyncio sets TCP_NODELAY on what it accepts from a socket of this protocol (base_events._set_nodelay).
    with bind("127.0.0.1", 0, "the gateway", "") as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no.such.host.invalid", r"'no\.such\.host\.invalid', for the gateway, is no name that this machine knows"),
        ("ä..b", r"'ä\.\.b', for the gateway, cannot be the name of a machine"),
        ("192.0.2.1", r"192\.0\.2\.1 is not an address of this machine"),
    ],
)
def test_a_host_that_is_none_of_this_machine_is_said_to_be_that(host: str, words: str) -> None:
    with pytest.raises(AddressUnusable, match=words) as refusal:
        bind(host, 0, "the gateway", "choose another one with --port")
    assert "Stop what listens there" not in str(refusal.value)


@pytest.mark.parametrize(
    "key",
    [
        *("inference_address", "management_address", "metrics_address", "grpc_inference_port", "grpc_management_port"),
        *("grpc_inference_address", "grpc_management_address"),
    ],
)
def test_a_line_that_is_missing_is_named(key: str) -> None:
    properties = {name: value for name, value in free_properties().items() if name != key}
    with pytest.raises(PropertiesError, match=f"has no {key}: take that of config.properties"):
        check_torchserve_ports(properties)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("inference_address", value) for value in ("127.0.0.1:8080", "unix:/tmp/ts", "http://:8080", "http://h:x")],
        ("grpc_inference_port", "seven"),
    ],
)
def test_an_address_that_is_none_is_shown(key: str, value: str) -> None:
    with pytest.raises(PropertiesError, match=f"has '{value}' as {key}: it must be "):
        check_torchserve_ports(free_properties() | {key: value})
