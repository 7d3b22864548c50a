from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key
from tests.adapter.versions.fake_server import make_archive
from tests.registry_server import RegistryServer, running_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Debian's, without TLS: it asks for nobody's name."""
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(autouse=True)
def nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "release", "1.0")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Where release.key, release.pub and those of another are."""
    for name in ("release", "other"):
        create_key_pair(tmp_path / name)
    return tmp_path


@pytest.fixture
def signed(archive: Path, keys: Path) -> Path:
    sign_file(archive, load_private_key(keys / "release.key"))
    return archive
