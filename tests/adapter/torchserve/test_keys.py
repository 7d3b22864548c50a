"""The keys are always the ones that TorchServe takes, and no one sees them."""

import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapter.errors import UpstreamUnavailable
from adapter.torchserve.keys import KeyFile
from tests.adapter.torchserve.fake_management import FakeManagementServer, serving


@pytest.fixture
def torchserve(tmp_path: Path) -> Iterator[FakeManagementServer]:
    with serving(FakeManagementServer(tmp_path / "key_file.json")) as fake:
        yield fake


@pytest.fixture
def keys(torchserve: FakeManagementServer) -> KeyFile:
    return KeyFile(torchserve.key_file, torchserve.url)


def test_reads_both_keys_without_a_request(torchserve: FakeManagementServer, keys: KeyFile) -> None:
    assert keys.inference_key() == torchserve.key("inference")
    assert keys.management_key() == torchserve.key("management")
    assert torchserve.requests == []


def test_sees_a_key_that_another_process_renewed(torchserve: FakeManagementServer, keys: KeyFile) -> None:
    keys.inference_key()
    torchserve.renew("inference")

    assert keys.inference_key() == torchserve.key("inference")


@pytest.mark.parametrize("in_time", [timedelta(seconds=30), timedelta(hours=-1)], ids=["about to expire", "expired"])
def test_renews_a_key_that_expires(torchserve: FakeManagementServer, keys: KeyFile, in_time: timedelta) -> None:
    old = torchserve.key("inference")
    torchserve.expire("inference", in_time)

    assert keys.inference_key() == torchserve.key("inference") != old
    assert torchserve.requests == ["/token?type=inference"]


def test_a_short_life_does_not_make_every_call_a_renewal(torchserve: FakeManagementServer, keys: KeyFile) -> None:
    torchserve.lifetime = timedelta(seconds=20)
    torchserve.expire("inference")
    for _ in range(5):
        keys.inference_key()

    assert torchserve.num_renewals == 1


def test_threads_and_processes_that_find_an_expired_key_renew_it_once(torchserve: FakeManagementServer) -> None:
    torchserve.expire("management")
    key_files = [KeyFile(torchserve.key_file, torchserve.url) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        seen = set(threads.map(KeyFile.management_key, key_files * 4))

    assert seen == {torchserve.key("management")}
    assert torchserve.num_renewals == 1


def test_renewal_on_demand_replaces_the_key(torchserve: FakeManagementServer, keys: KeyFile) -> None:
    old = keys.management_key()
    keys.renew("management")

    assert keys.management_key() == torchserve.key("management") != old


def test_a_refused_key_that_was_replaced_meanwhile_is_not_replaced_again(
    torchserve: FakeManagementServer, keys: KeyFile
) -> None:
    refused = keys.inference_key()
    torchserve.renew("inference")
    keys.renew("inference", refused=refused)

    assert torchserve.num_renewals == 1


def test_a_valid_key_is_used_while_the_renewal_fails(torchserve: FakeManagementServer) -> None:
    torchserve.expire("inference", timedelta(seconds=30))
    keys = KeyFile(torchserve.key_file, "http://127.0.0.1:1")

    assert keys.inference_key() == torchserve.key("inference")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", None], ids=["TorchServe is gone", "TorchServe was restarted"])
def test_an_expired_key_that_cannot_be_renewed_is_a_typed_error(
    torchserve: FakeManagementServer, url: str | None
) -> None:
    torchserve.expire("inference")
    torchserve.api_key = "of another start"
    with pytest.raises(UpstreamUnavailable):
        KeyFile(torchserve.key_file, url or torchserve.url).inference_key()


def test_a_missing_file_is_a_typed_error_that_says_what_to_look_at(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key_file.json", "http://127.0.0.1:1")
    with pytest.raises(UpstreamUnavailable, match="Is it running") as caught:
        keys.inference_key()

    assert str(keys.path) in (caught.value.cause or "")


def test_a_file_that_was_lost_is_written_anew(torchserve: FakeManagementServer, keys: KeyFile) -> None:
    key = keys.inference_key()
    torchserve.key_file.unlink()

    assert keys.inference_key() == key
    assert keys.management_key() == torchserve.key("management")
    assert torchserve.num_renewals == 1


def test_waits_for_a_file_that_is_being_written(
    torchserve: FakeManagementServer, keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchserve.key_file.write_text('{"management": {')
    written_meanwhile = SimpleNamespace(sleep=lambda _: torchserve.write_keys())
    monkeypatch.setattr("adapter.torchserve.keys.time", written_meanwhile)

    assert keys.inference_key() == torchserve.key("inference")


def test_no_key_is_shown(torchserve: FakeManagementServer, keys: KeyFile) -> None:
    torchserve.expire("inference")
    secrets = {torchserve.api_key, torchserve.key("inference"), torchserve.key("management")}
    torchserve.api_key = "of another start"
    with pytest.raises(UpstreamUnavailable) as caught:
        keys.inference_key()
    shown = [repr(keys), caught.value.cause, *traceback.format_exception(caught.value), repr(keys._read())]

    assert [secret for secret in secrets if secret in str(shown)] == []
