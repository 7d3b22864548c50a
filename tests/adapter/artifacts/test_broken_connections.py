"""A pull whose connection breaks, and the one after it, which goes on."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.artifacts.errors import ArtifactError, Unreachable
from adapter.artifacts.reference import ArtifactReference
from tests.adapter.artifacts.fake_registry import FakeRegistry, running_fake_registry
from tests.adapter.artifacts.transfers import pull_from, push_to
from tests.adapter.versions.fake_server import make_archive
from tests.cutting_proxy import CuttingProxy, cutting_proxy
from tests.registry_server import RegistryServer


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "release", "1.0", weight_bytes=1_500_000)


@pytest.fixture
def proxy(registry: RegistryServer) -> Iterator[CuttingProxy]:
    with cutting_proxy(registry.host) as proxy:
        yield proxy


def through(proxy: CuttingProxy, pushed: ArtifactReference) -> str:
    return str(pushed).replace(pushed.host, proxy.host)


def hidden(directory: Path) -> Path:
    (path,) = directory.iterdir()
    assert path.name.startswith(".tiny-1.0.mar.")
    return path


def test_a_connection_that_breaks_now_and_then_is_made_again_where_it_ended(
    registry: RegistryServer, proxy: CuttingProxy, archive: Path, tmp_path: Path
) -> None:
    pushed = push_to(registry.reference("breaking:1.0"), archive)
    proxy.limit = 600_000
    assert pull_from(through(proxy, pushed), tmp_path / "pulled").read_bytes() == archive.read_bytes()
    assert sum(proxy.carried) < 1.5 * archive.stat().st_size


def test_a_pull_that_was_broken_off_goes_on_where_it_ended(
    registry: RegistryServer, proxy: CuttingProxy, archive: Path, tmp_path: Path
) -> None:
    pushed = push_to(registry.reference("broken:1.0"), archive)
    proxy.limit = 200_000
    with pytest.raises(Unreachable, match=f"The connection to {proxy.host} broke"):
        pull_from(through(proxy, pushed), tmp_path / "pulled")
    left = hidden(tmp_path / "pulled").stat().st_size
    proxy.limit = None
    before = sum(proxy.carried)
    assert pull_from(through(proxy, pushed), tmp_path / "pulled").read_bytes() == archive.read_bytes()
    assert 0 < left < archive.stat().st_size
    assert sum(proxy.carried) - before < archive.stat().st_size
    assert [path.name for path in (tmp_path / "pulled").iterdir()] == ["tiny-1.0.mar"]


def test_what_was_left_and_is_wrong_is_not_gone_on_with(
    registry: RegistryServer, proxy: CuttingProxy, archive: Path, tmp_path: Path
) -> None:
    pushed = push_to(registry.reference("wrong:1.0"), archive)
    proxy.limit = 200_000
    with pytest.raises(Unreachable):
        pull_from(through(proxy, pushed), tmp_path / "pulled")
    left = hidden(tmp_path / "pulled")
    left.write_bytes(bytes(left.stat().st_size))
    assert pull_from(pushed, tmp_path / "pulled").read_bytes() == archive.read_bytes()


def test_more_than_there_is_was_left(
    registry: RegistryServer, proxy: CuttingProxy, archive: Path, tmp_path: Path
) -> None:
    pushed = push_to(registry.reference("more:1.0"), archive)
    proxy.limit = 200_000
    with pytest.raises(Unreachable):
        pull_from(through(proxy, pushed), tmp_path / "pulled")
    hidden(tmp_path / "pulled").write_bytes(archive.read_bytes() + b"more")
    assert pull_from(pushed, tmp_path / "pulled").read_bytes() == archive.read_bytes()


@pytest.mark.parametrize("gives_parts", [True, False])
def test_a_registry_that_gives_no_parts_gives_all_of_it_again(
    archive: Path, tmp_path: Path, *, gives_parts: bool
) -> None:
    with (
        running_fake_registry(FakeRegistry(gives_parts=gives_parts)) as registry,
        cutting_proxy(registry.host) as proxy,
    ):
        pushed = push_to(f"oci://{registry.host}/tiny:1.0", archive)
        proxy.limit = 200_000
        with pytest.raises(Unreachable):
            pull_from(through(proxy, pushed), tmp_path / "pulled")
        proxy.limit = None
        before = sum(proxy.carried)
        assert pull_from(through(proxy, pushed), tmp_path / "pulled").read_bytes() == archive.read_bytes()
        carried = sum(proxy.carried) - before
    assert (carried < archive.stat().st_size) == gives_parts
    assert carried < 1.2 * archive.stat().st_size


def test_two_processes_do_not_write_one_file(
    registry: RegistryServer, proxy: CuttingProxy, archive: Path, tmp_path: Path
) -> None:
    pushed = push_to(registry.reference("twice:1.0"), archive)
    proxy.limit = 200_000
    with pytest.raises(Unreachable):
        pull_from(through(proxy, pushed), tmp_path / "pulled")
    with hidden(tmp_path / "pulled").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ArtifactError, match="Another process is pulling"):
            pull_from(pushed, tmp_path / "pulled")
    assert pull_from(pushed, tmp_path / "pulled").read_bytes() == archive.read_bytes()
