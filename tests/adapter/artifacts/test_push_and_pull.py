"""Archives that travel, over Debian's docker-registry."""

import json
import os
import shutil
from pathlib import Path

import pytest

from adapter.archives.archive_reader import NotOurArchive, read_record
from adapter.archives.provenance import attest
from adapter.archives.signature import sign_file
from adapter.archives.signature_paths import signature_path
from adapter.archives.signing_keys import load_private_key
from adapter.archives.verification import verify_archive
from adapter.artifacts.errors import ArtifactError, NotThere, Unreachable
from adapter.artifacts.manifest import file_digest
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from tests.adapter.artifacts.transfers import pull_from, push_to, resolved
from tests.adapter.versions.fake_server import make_archive
from tests.free_ports import free_port
from tests.full_disk import small_disk
from tests.registry_server import RegistryServer

_WAYS = 100 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 20


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def blobs(registry: RegistryServer) -> set[Path]:
    return set(registry.storage.rglob("*/blobs/sha256/*/*/data"))


def test_all_ways_there_and_back_give_the_same_bytes_and_one_digest(
    registry: RegistryServer, signed: Path, tmp_path: Path
) -> None:
    digests = set()
    for number in range(_WAYS):
        pushed = push_to(registry.reference(f"trips/to-{number % 10}:{number}"), signed)
        pulled = pull_from(pushed if number % 2 else pushed_tag(pushed, number), tmp_path / str(number))
        digests.add(pushed.digest)
        assert pulled.read_bytes() == signed.read_bytes()
        assert signature_path(pulled).read_bytes() == signature_path(signed).read_bytes()
    assert len(digests) == 1


def pushed_tag(pushed: ArtifactReference, number: int) -> str:
    return f"oci://{pushed.host}/{pushed.repository}:{number}"


def test_the_files_name_is_none_of_its_content(registry: RegistryServer, archive: Path, tmp_path: Path) -> None:
    first = push_to(registry.reference("names:1.0"), archive)
    before = blobs(registry)
    assert push_to(registry.reference("names:1.0"), Path(shutil.copy(archive, tmp_path / "renamed.mar"))) == first
    assert blobs(registry) == before
    assert pull_from(first, tmp_path / "pulled").name == "tiny-1.0.mar"


def test_the_manifest_says_what_modelpack_has_it_say(registry: RegistryServer, archive: Path) -> None:
    pushed = push_to(registry.reference("modelpack:1.0"), archive)
    with Repository(pushed) as repository:
        manifest = json.loads(repository.read_manifest(pushed.name))
    config = json.loads(registry.blob(manifest["config"]["digest"]).read_bytes())
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["layers"] == [
        {
            "mediaType": "application/vnd.cncf.model.weight.v1.raw",
            "digest": file_digest(archive),
            "size": archive.stat().st_size,
            "annotations": {
                "org.cncf.model.filepath": "tiny-1.0.mar",
                "org.opencontainers.image.title": "tiny-1.0.mar",
            },
        }
    ]
    assert config == {
        "descriptor": {"name": "tiny", "version": "1.0"},
        "config": {
            "architecture": "LlamaForCausalLM",
            "format": "mar",
            "precision": "fp32",
            "capabilities": {"inputTypes": ["text"], "outputTypes": ["text"]},
        },
        "modelfs": {"type": "layers", "diffIds": [file_digest(archive)]},
    }


def test_what_lies_beside_it_goes_along(registry: RegistryServer, signed: Path) -> None:
    statement = attest(signed, {})
    pushed = push_to(registry.reference("along:1.0"), signed)
    with Repository(pushed) as repository:
        index = json.loads(repository.read_manifest(str(pushed.digest).replace(":", "-")))
    assert [each["artifactType"] for each in index["manifests"]] == [
        "application/vnd.cyclonedx+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.in-toto+json",
    ]
    assert registry.blob(file_digest(statement)).read_bytes() == statement.read_bytes()


def test_to_push_it_again_adds_nothing(registry: RegistryServer, signed: Path) -> None:
    push_to(registry.reference("again:1.0"), signed)
    before = blobs(registry)
    push_to(registry.reference("again:1.0"), signed)
    assert blobs(registry) == before


def test_a_tag_may_come_to_mean_another_archive_and_a_digest_may_not(
    registry: RegistryServer, archive: Path, tmp_path: Path
) -> None:
    first = push_to(registry.reference("moving:latest"), archive)
    push_to(registry.reference("moving:latest"), make_archive(tmp_path / "next", "2.0"))
    assert pull_from(registry.reference("moving:latest"), tmp_path / "pulled").name == "tiny-2.0.mar"
    assert pull_from(first, tmp_path / "pulled").name == "tiny-1.0.mar"
    assert resolved(registry.reference("moving:latest")).file_name == "tiny-2.0.mar"


def test_what_was_pulled_verifies_with_the_key(
    registry: RegistryServer, signed: Path, keys: Path, tmp_path: Path
) -> None:
    pushed = push_to(registry.reference("signed:1.0"), signed)
    pulled = pull_from(pushed, tmp_path / "pulled", keys / "release.pub")
    assert verify_archive(pulled, keys / "release.pub").is_signed


def test_each_key_finds_its_own_signature(registry: RegistryServer, signed: Path, keys: Path, tmp_path: Path) -> None:
    push_to(registry.reference("two-keys:1.0"), signed)
    sign_file(signed, load_private_key(keys / "other.key"))
    pushed = push_to(registry.reference("two-keys:1.0"), signed)
    for name in ("release", "other"):
        verify_archive(pull_from(pushed, tmp_path / name, keys / f"{name}.pub"), keys / f"{name}.pub")


@pytest.mark.parametrize(("is_signed", "reason"), [(False, "it is not signed"), (True, "signed with another key")])
def test_what_the_key_does_not_vouch_for_is_not_pulled(
    registry: RegistryServer, archive: Path, keys: Path, tmp_path: Path, *, is_signed: bool, reason: str
) -> None:
    if is_signed:
        sign_file(archive, load_private_key(keys / "release.key"))
    pushed = push_to(registry.reference(f"unsigned-{is_signed}:1.0".lower()), archive)
    with pytest.raises(ArtifactError, match=reason):
        pull_from(pushed, tmp_path / "pulled", keys / "other.pub")
    assert names(tmp_path / "pulled") == []


def test_a_signature_of_another_file_is_not_pushed(registry: RegistryServer, signed: Path, tmp_path: Path) -> None:
    other = make_archive(tmp_path / "other", "1.0", weight_bytes=48)
    shutil.copy(signature_path(signed), signature_path(other))
    with pytest.raises(ArtifactError, match=r"tiny-1\.0\.mar\.sig is not a signature of tiny-1\.0\.mar"):
        push_to(registry.reference("stale:1.0"), other)
    with pytest.raises(NotThere):
        resolved(registry.reference("stale:1.0"))


def test_what_is_no_archive_is_not_pushed(registry: RegistryServer, tmp_path: Path) -> None:
    (tmp_path / "other.mar").write_bytes(b"no zip")
    with pytest.raises(NotOurArchive):
        push_to(registry.reference("other:1.0"), tmp_path / "other.mar")


def test_a_push_needs_a_tag(registry: RegistryServer, archive: Path) -> None:
    with pytest.raises(ArtifactError, match="has no tag"):
        push_to(f"oci://{registry.host}/tiny@{file_digest(archive)}", archive)


def test_what_lies_there_already_is_left_and_has_its_signature(
    registry: RegistryServer, signed: Path, tmp_path: Path
) -> None:
    pushed = push_to(registry.reference("there:1.0"), signed)
    pulled = pull_from(pushed, tmp_path / "pulled")
    signature_path(pulled).unlink()
    before = pulled.stat()
    assert pull_from(pushed, tmp_path / "pulled") == pulled
    assert (pulled.stat().st_ino, pulled.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert signature_path(pulled).exists()


def test_another_file_of_its_name_is_not_replaced(registry: RegistryServer, archive: Path, tmp_path: Path) -> None:
    pushed = push_to(registry.reference("taken:1.0"), archive)
    other = make_archive(tmp_path / "pulled", "1.0", weight_bytes=48)
    content = other.read_bytes()
    with pytest.raises(ArtifactError, match=r"tiny-1\.0\.mar is there already, and is not oci://"):
        pull_from(pushed, tmp_path / "pulled")
    assert other.read_bytes() == content


@pytest.mark.parametrize("name", ["absent:1.0", "there-is:2.0", f"there-is@sha256:{'0' * 64}"])
def test_what_is_not_there_is_said(registry: RegistryServer, archive: Path, tmp_path: Path, name: str) -> None:
    push_to(registry.reference("there-is:1.0"), archive)
    with pytest.raises(NotThere, match=f"{registry.host} has no {registry.reference(name)}"):
        pull_from(registry.reference(name), tmp_path / "pulled")
    assert names(tmp_path / "pulled") == []


def test_what_another_tool_has_pushed_is_said_to_be_none_of_ours(registry: RegistryServer, tmp_path: Path) -> None:
    reference = ArtifactReference.parse(registry.reference("image:1.0"))
    with Repository(reference) as repository:
        repository.put_blob(b"{}")
        blob = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": f"sha256:{EMPTY}"}
        image = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [blob]}
        repository.put_manifest("1.0", json.dumps(image | {"config": blob}).encode())
    with pytest.raises(ArtifactError, match="is not a model archive that torchbridge pushed"):
        pull_from(reference, tmp_path / "pulled")


EMPTY = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}, as the specification writes it


def test_a_host_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"^There is no host nowhere\.invalid: "):
        pull_from("oci://nowhere.invalid/tiny:1.0", tmp_path / "pulled")


def test_a_registry_that_does_not_run_is_said(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=f"^{host} cannot be reached: Connection refused"):
        pull_from(f"oci://{host}/tiny:1.0", tmp_path / "pulled")


def test_a_disk_without_space_is_said_and_nothing_is_left(registry: RegistryServer, tmp_path: Path) -> None:
    pushed = push_to(registry.reference("large:1.0"), make_archive(tmp_path / "large", "1.0", weight_bytes=2_000_000))
    with small_disk(tmp_path / "disk", 2**20) as disk:
        with pytest.raises(OSError, match=r"tiny-1\.0\.mar needs 2\.\d MB") as full:
            pull_from(pushed, disk)
        assert full.value.errno == 28
        assert names(disk) == []


def test_an_archive_that_is_not_the_one_that_its_manifest_names_is_refused(
    registry: RegistryServer, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_record(archive)
    renamed = record.model_copy(update={"version": "2.0"})
    monkeypatch.setattr("adapter.artifacts.push.read_record", lambda _: renamed)
    pushed = push_to(registry.reference("lying:2.0"), archive)
    with pytest.raises(ArtifactError, match=r"says that it is tiny-2\.0\.mar, and is tiny-1\.0\.mar"):
        pull_from(pushed, tmp_path / "pulled")
    assert names(tmp_path / "pulled") == []
