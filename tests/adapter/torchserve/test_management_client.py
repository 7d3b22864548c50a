"""What the management client makes of TorchServe's recorded answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.errors import ModelNotFound, UpstreamProtocol, UpstreamUnavailable
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
