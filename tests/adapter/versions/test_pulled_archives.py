"""Archives that a server has from a registry: Debian's docker-registry, and a server in memory."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter import cli
from adapter.archives.signature import sign_file
from adapter.archives.signature_paths import signature_path
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.archives.verification import VerificationError
from adapter.artifacts.errors import ArtifactError, Unreachable
from adapter.artifacts.push import push
from adapter.artifacts.reference import ArtifactReference
from adapter.serving import whole_stack
from adapter.versions.desired_state import DesiredState
from tests.adapter.archives.repacking import put, repack
from tests.adapter.fake_torchserve import fake_torchserve
from tests.adapter.versions.fake_server import FakeServer, let_versions_answer_as_recorded, make_archive
from tests.cutting_proxy import cutting_proxy
from tests.registry_server import RegistryServer, running_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(autouse=True)
def served(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 1.0 of tiny, by the server that every run directory stands for; each version answers as it should."""
    server.serve("1.0")
    let_versions_answer_as_recorded(monkeypatch)
    for module in ("apply", "changing_server", "deploy"):
        monkeypatch.setattr(f"adapter.commands.{module}.RunningServer", lambda _: server)


def pushed(registry: RegistryServer, archive: Path, name: str) -> str:
    return str(push(archive, ArtifactReference.parse(registry.reference(name))))


def run(*arguments: object) -> None:
    cli.app([str(each) for each in arguments], standalone_mode=False)


def lose(registry: RegistryServer, archive: Path) -> None:
    """All that is large: whoever pulls it finds nothing."""
    for path in registry.storage.rglob("*/blobs/sha256/*/*/data"):
        if path.stat().st_size == archive.stat().st_size:
            path.unlink()


def expect_only(server: FakeServer, *archives: str) -> None:
    assert server.stored() == sorted(archives)
    assert not server.files.pulled.exists() or list(server.files.pulled.iterdir()) == []


def test_a_version_is_deployed_from_a_registry_and_lies_on_the_disk_once(
    server: FakeServer, registry: RegistryServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = pushed(registry, make_archive(tmp_path, "2.0"), "deployed:2.0")
    run("deploy", registry.reference("deployed:2.0"))
    assert server.state.models["tiny"].default == "2.0"
    assert f"pulling {reference}" in capsys.readouterr().err
    expect_only(server, "tiny-1.0.mar", "tiny-2.0.mar")


def test_what_the_store_has_is_not_pulled_again(
    server: FakeServer, registry: RegistryServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = make_archive(tmp_path, "2.0", weight_bytes=1_000)
    reference = pushed(registry, archive, "known:2.0")
    run("deploy", reference, "--no-promote")
    lose(registry, archive)
    run("deploy", reference)
    assert f"{reference} is in the store already" in capsys.readouterr().err
    assert server.state.models["tiny"].default == "2.0"
    expect_only(server, "tiny-1.0.mar", "tiny-2.0.mar")


def test_a_file_of_another_content_in_the_store_is_not_taken_for_it(
    server: FakeServer, registry: RegistryServer, tmp_path: Path
) -> None:
    make_archive(server.files.store, "2.0", weight_bytes=48)
    archive = make_archive(tmp_path, "2.0")
    run("deploy", pushed(registry, archive, "replaced:2.0"))
    assert server.store.path("tiny-2.0.mar").read_bytes() == archive.read_bytes()


def test_it_is_verified_as_a_file_is(server: FakeServer, registry: RegistryServer, tmp_path: Path) -> None:
    archive = make_archive(tmp_path, "2.0")
    repack(archive, put("text_generation.py", b"raise SystemExit\n"))
    with pytest.raises(VerificationError, match="no key vouches for it"):
        run("deploy", pushed(registry, archive, "foreign:2.0"))
    expect_only(server, "tiny-1.0.mar")


def test_with_a_key_it_has_to_be_signed_in_the_registry(
    server: FakeServer, registry: RegistryServer, tmp_path: Path
) -> None:
    create_key_pair(tmp_path / "release")
    archive = make_archive(tmp_path / "archives", "2.0")
    reference = pushed(registry, archive, "vouched:2.0")
    with pytest.raises(ArtifactError, match="it is not signed"):
        run("deploy", reference, "--key", tmp_path / "release.pub")
    expect_only(server, "tiny-1.0.mar")
    sign_file(archive, load_private_key(tmp_path / "release.key"))
    pushed(registry, archive, "vouched:2.0")
    run("deploy", reference, "--key", tmp_path / "release.pub")
    assert signature_path(server.store.path("tiny-2.0.mar")).exists()


def test_a_pull_that_broke_off_goes_on_with_the_next_deployment(
    server: FakeServer, registry: RegistryServer, tmp_path: Path
) -> None:
    archive = make_archive(tmp_path, "2.0", weight_bytes=1_500_000)
    with cutting_proxy(registry.host) as proxy:
        reference = pushed(registry, archive, "broken:2.0").replace(registry.host, proxy.host)
        proxy.limit = 200_000
        with pytest.raises(Unreachable):
            run("deploy", reference)
        proxy.limit = None
        before = sum(proxy.carried)
        run("deploy", reference)
        assert sum(proxy.carried) - before < archive.stat().st_size
    assert server.state.models["tiny"].default == "2.0"
    expect_only(server, "tiny-1.0.mar", "tiny-2.0.mar")


def models(path: Path, **archives: str) -> Path:
    versions = {version.removeprefix("v").replace("_", "."): {"archive": each} for version, each in archives.items()}
    content = {"models": {"tiny": {"default": "2.0", "versions": versions}}}
    path.write_text(json.dumps(content))
    return path


def test_models_yaml_names_registries_beside_files(
    server: FakeServer, registry: RegistryServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_archive(tmp_path, "1.0")
    reference = pushed(registry, make_archive(tmp_path / "release", "2.0"), "desired:2.0")
    desired = models(tmp_path / "models.yaml", v1_0="tiny-1.0.mar", v2_0=reference)
    run("apply", desired, "--plan")
    assert "deploy tiny 2.0 from" in capsys.readouterr().out
    expect_only(server, "tiny-1.0.mar")
    run("apply", desired)
    assert (server.state.models["tiny"].default, server.recorded()) == ("2.0", ["1.0", "2.0"])
    expect_only(server, "tiny-1.0.mar", "tiny-2.0.mar")


def start(server: FakeServer, model: str | DesiredState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_stack, "TorchServeProcess", fake_torchserve)
    monkeypatch.setattr(whole_stack, "check_torchserve_ports", lambda _: None)
    monkeypatch.setattr(whole_stack, "restore_others", lambda *_: None)
    with whole_stack.whole_stack(model, lambda _: None, port=0, run_directory=server.files.run_directory):
        pass


def test_a_server_starts_with_an_archive_from_a_registry(
    server: FakeServer, registry: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.files.pulled / "left").mkdir(parents=True)
    start(server, pushed(registry, make_archive(tmp_path, "2.0"), "started:2.0"), monkeypatch)
    assert server.recorded() == ["2.0"]
    assert not server.files.pulled.exists()


def test_a_server_starts_with_a_models_yaml_that_names_registries(
    server: FakeServer, registry: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = [pushed(registry, make_archive(tmp_path, each), f"all:{each}") for each in ("2.0", "3.0")]
    desired = models(tmp_path / "models.yaml", v2_0=references[0], v3_0=references[1])
    start(server, DesiredState.read(desired), monkeypatch)
    assert server.recorded() == ["2.0", "3.0"]
    assert not server.files.pulled.exists()
