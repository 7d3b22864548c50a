"""HAProxy's other way to choose a gateway: by the user, whose chats begin with what that gateway has computed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.deploy.fake_gateways import FakeGateway, fake_gateway
from tests.end_to_end.load_balancer import haproxy as haproxy_of_tests
from tests.end_to_end.load_balancer.haproxy import CONFIG, HAProxy, haproxy_program, running_haproxy
from tests.free_ports import free_ports
from tests.waiting import PATIENCE, wait_until

NUM_GATEWAYS, USERS = 4, [f"user-{number}" for number in range(40)]

pytestmark = pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it")


@pytest.fixture
def gateways() -> Iterator[list[FakeGateway]]:
    with ExitStack() as until_the_end:
        yield [until_the_end.enter_context(fake_gateway()) for _ in range(NUM_GATEWAYS)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """With the lines that are behind `#:` in the place of leastconn's."""
    text = CONFIG.read_text().replace("    balance leastconn\n", "").replace("    #: ", "    ")
    changed = tmp_path / "by-user.cfg"
    changed.write_text(text)
    return changed


@contextmanager
def running(directory: Path, config: Path, ports: list[int]) -> Iterator[HAProxy]:
    port, statistics_port = free_ports(2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(haproxy_of_tests, "CONFIG", config)
        with running_haproxy(directory, ports, ports=(port, statistics_port)) as balancer:
            yield balancer


@pytest.fixture
def haproxy(tmp_path: Path, config: Path, gateways: list[FakeGateway]) -> Iterator[HAProxy]:
    with running(tmp_path, config, [gateway.port for gateway in gateways]) as balancer:
        yield balancer


def answering(gateways: list[FakeGateway], url: str, *, header: str | None = None, **body: object) -> int:
    """The number of the gateway that got the request."""
    before = [gateway.num_answered for gateway in gateways]
    headers = {"x-user": header} if header else {}
    answer = requests.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200
    [place] = [number for number, gateway in enumerate(gateways) if gateway.num_answered > before[number]]
    return place


def places_of_all(gateways: list[FakeGateway], url: str) -> list[int]:
    return [answering(gateways, url, header=user) for user in USERS]


def test_a_user_stays_with_one_gateway_and_users_are_spread(haproxy: HAProxy, gateways: list[FakeGateway]) -> None:
    first = places_of_all(gateways, haproxy.url)
    assert places_of_all(gateways, haproxy.url) == first
    assert set(first) == set(range(NUM_GATEWAYS))


def test_a_body_that_names_the_user_goes_where_the_header_would(haproxy: HAProxy, gateways: list[FakeGateway]) -> None:
    by_header = places_of_all(gateways, haproxy.url)
    assert [answering(gateways, haproxy.url, model="tiny", user=user, messages=[]) for user in USERS] == by_header


def test_who_names_no_user_is_spread(haproxy: HAProxy, gateways: list[FakeGateway]) -> None:
    assert {answering(gateways, haproxy.url, messages=[]) for _ in range(2 * NUM_GATEWAYS)} == set(range(NUM_GATEWAYS))


def test_what_the_users_gateway_refuses_another_one_answers(haproxy: HAProxy, gateways: list[FakeGateway]) -> None:
    place = answering(gateways, haproxy.url, header="ann")
    gateways[place].refuses = True
    assert answering(gateways, haproxy.url, header="ann") != place


def test_only_the_users_of_a_gateway_that_is_gone_move(
    tmp_path: Path, config: Path, gateways: list[FakeGateway]
) -> None:
    ports = [gateway.port for gateway in gateways]
    with ExitStack() as until_it_leaves:
        last = until_it_leaves.enter_context(fake_gateway())
        with running(tmp_path, config, [*ports, last.port]) as haproxy:
            before = places_of_all([*gateways, last], haproxy.url)
            until_it_leaves.close()
            wait_until(lambda: not haproxy.is_up(f"gateway-{NUM_GATEWAYS}"))
            after = places_of_all(gateways, haproxy.url)
    assert NUM_GATEWAYS in before
    assert [new for old, new in zip(before, after, strict=True) if old != NUM_GATEWAYS] == [
        old for old in before if old != NUM_GATEWAYS
    ]
