"""What the management client makes of TorchServe's recorded answers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapter.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    ModelNotFound,
    TorchbridgeError,
    UpstreamProtocol,
    UpstreamUnavailable,
    VersionNotFound,
)
from adapter.torchserve import management_client
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient
from tests.adapter.torchserve import fake_management
from tests.adapter.torchserve.fake_management import FakeManagementServer, serving


@pytest.fixture
def torchserve(tmp_path: Path) -> Iterator[FakeManagementServer]:
    with serving(FakeManagementServer(tmp_path / "key_file.json")) as fake:
        yield fake


@pytest.fixture
def client(torchserve: FakeManagementServer) -> ManagementClient:
    return ManagementClient(torchserve.url, KeyFile(torchserve.key_file, torchserve.url))


def test_lists_the_models_of_all_pages(client: ManagementClient) -> None:
    assert client.model_names() == ["continuous", "plain"]


def test_describes_every_version(client: ManagementClient) -> None:
    first, second = client.describe("plain")

    assert (first.model_version, second.model_version) == ("1.0", "2.0")
    assert (first.ready_workers, second.ready_workers) == (1, 0)
    assert second.job_queue_status.remaining_capacity == 100


def test_a_worker_that_loads_is_not_ready(client: ManagementClient) -> None:
    description = client.describe("plain")[0]
    loading = description.workers[0].model_copy(update={"status": "UNLOADING"})

    assert description.model_copy(update={"workers": (loading,)}).ready_workers == 0


def test_knows_the_default_version(client: ManagementClient) -> None:
    assert client.default_version("plain") == "1.0"


def test_an_unknown_model_is_a_typed_error(client: ManagementClient) -> None:
    with pytest.raises(ModelNotFound):
        client.describe("absent")


@pytest.mark.parametrize("name", ["../models", "a/b", "a?customized=true", "", "token", "plain\n", "%2e%2e"])
def test_a_name_that_could_mean_another_address_is_never_sent(
    client: ManagementClient, torchserve: FakeManagementServer, name: str
) -> None:
    with pytest.raises(ModelNotFound):
        client.describe(name)

    assert torchserve.requests == []


def test_a_refused_key_is_renewed_and_the_request_repeated(
    client: ManagementClient, torchserve: FakeManagementServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file says that the key lives on, but TorchServe says otherwise.
    accepts, stale = torchserve.accepts, f"Bearer {torchserve.key('management')}"
    monkeypatch.setattr(torchserve, "accepts", lambda kind, key: key != stale and accepts(kind, key))

    assert client.default_version("plain") == "1.0"
    assert torchserve.requests == ["/models/plain", "/token?type=management", "/models/plain"]


def test_a_key_that_is_refused_again_is_a_typed_error(
    client: ManagementClient, torchserve: FakeManagementServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchserve, "accepts", lambda *_: False)
    with pytest.raises(UpstreamUnavailable):
        client.model_names()

    assert torchserve.num_renewals == 1


def test_an_answer_of_another_shape_is_a_typed_error(client: ManagementClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fake_management.DESCRIPTIONS, "/models/plain", "list_first_page")
    with pytest.raises(UpstreamProtocol):
        client.default_version("plain")


def test_a_torchserve_that_is_gone_is_a_typed_error(torchserve: FakeManagementServer) -> None:
    client = ManagementClient("http://127.0.0.1:1", KeyFile(torchserve.key_file, torchserve.url))
    with pytest.raises(UpstreamUnavailable):
        client.model_names()


def test_a_proxy_in_the_environment_is_not_used(client: ManagementClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert client.default_version("plain") == "1.0"


# Changes


def change(name: str, *arguments: object) -> Callable[[ManagementClient], None]:
    return lambda client: getattr(client, name)(*arguments)


@pytest.mark.parametrize(
    ("make", "sent"),
    [
        pytest.param(
            change("register", "plain-2.0.mar"),
            "POST /models?url=plain-2.0.mar&synchronous=false",
            id="register",
        ),
        pytest.param(change("set_default", "plain", "1.0"), "PUT /models/plain/1.0/set-default", id="set default"),
        pytest.param(
            change("scale", "plain", "2.0", 0),
            "PUT /models/plain/2.0?min_worker=0&max_worker=0&synchronous=false",
            id="scale",
        ),
        pytest.param(change("unregister", "plain", "2.0"), "DELETE /models/plain/2.0", id="unregister"),
    ],
)
def test_a_change_is_one_request_for_one_version(
    client: ManagementClient, torchserve: FakeManagementServer, make: Callable[[ManagementClient], None], sent: str
) -> None:
    make(client)

    assert torchserve.changes == [sent]


@pytest.mark.parametrize(
    ("make", "error"),
    [
        pytest.param(change("register", "plain-1.0.mar"), Conflict, id="register what is registered"),
        pytest.param(change("register", "absent.mar"), InvalidRequest, id="register what is not in the store"),
        pytest.param(change("register", "no_archive.mar"), InvalidRequest, id="register what is no archive"),
        pytest.param(change("set_default", "absent", "1.0"), ModelNotFound, id="default of no model"),
        pytest.param(change("set_default", "plain", "9.9"), VersionNotFound, id="no version for a default"),
        pytest.param(change("scale", "absent", "1.0", 1), ModelNotFound, id="scale no model"),
        pytest.param(change("scale", "plain", "9.9", 1), VersionNotFound, id="scale no version"),
        pytest.param(change("unregister", "absent", "1.0"), ModelNotFound, id="unregister no model"),
        pytest.param(change("unregister", "plain", "9.9"), VersionNotFound, id="unregister no version"),
        pytest.param(change("unregister", "plain", "1.0"), Forbidden, id="unregister the default"),
    ],
)
def test_a_change_that_torchserve_refuses_is_a_typed_error(
    client: ManagementClient,
    torchserve: FakeManagementServer,
    make: Callable[[ManagementClient], None],
    error: type[TorchbridgeError],
) -> None:
    with pytest.raises(error):
        make(client)

    assert len(torchserve.changes) == 1


@pytest.mark.parametrize(
    "archive",
    [
        "../plain-2.0.mar",
        "a/b.mar",
        "http://host/a.mar",
        "file:///a.mar",
        ".mar",
        "a..mar",
        "a.zip",
        "a.mar\n",
        "é.mar",
    ],
)
def test_what_is_no_bare_name_of_an_archive_is_never_sent(
    client: ManagementClient, torchserve: FakeManagementServer, archive: str
) -> None:
    with pytest.raises(InvalidRequest):
        client.register(archive)

    assert torchserve.requests == []


@pytest.mark.parametrize("name", ["..", "a/b", "2.0?x=1", "", "token", "2.0\n"])
@pytest.mark.parametrize("method", ["set_default", "unregister", "scale"])
def test_a_change_is_never_sent_to_another_address(
    client: ManagementClient, torchserve: FakeManagementServer, method: str, name: str
) -> None:
    arguments = (1,) if method == "scale" else ()
    for model, version in ((name, "2.0"), ("plain", name)):
        with pytest.raises(ModelNotFound):
            change(method, model, version, *arguments)(client)

    assert torchserve.requests == []


def test_a_change_with_a_refused_key_is_made_once_with_a_new_one(
    client: ManagementClient, torchserve: FakeManagementServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepts, stale = torchserve.accepts, f"Bearer {torchserve.key('management')}"
    monkeypatch.setattr(torchserve, "accepts", lambda kind, key: key != stale and accepts(kind, key))
    client.unregister("plain", "2.0")

    assert torchserve.requests == ["/models/plain/2.0", "/token?type=management", "/models/plain/2.0"]
    assert torchserve.changes == ["DELETE /models/plain/2.0"]


def test_torchserve_is_given_longer_for_a_change_than_for_a_look(
    client: ManagementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float | None]] = []
    send = management_client.send_with_key

    def watched(method: str, url: str, key: str, query: dict[str, str] | None, timeout: float | None) -> object:
        asked.append((method, timeout))
        return send(method, url, key, query, timeout)

    monkeypatch.setattr(management_client, "send_with_key", watched)
    client.describe("plain")
    client.unregister("plain", "2.0")

    assert asked == [("GET", None), ("DELETE", 600)]
