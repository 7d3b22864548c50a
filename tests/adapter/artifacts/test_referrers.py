"""What belongs to an archive, in a registry that lists it by itself."""

from pathlib import Path

import pytest

from adapter.archives.signature_paths import signature_path
from adapter.archives.verification import verify_archive
from tests.adapter.artifacts.fake_registry import FakeRegistry, running_fake_registry
from tests.adapter.artifacts.transfers import pull_from, push_to


@pytest.mark.parametrize("has_referrers", [True, False])
def test_a_signature_is_found_by_the_registrys_list_or_by_ours(
    signed: Path, keys: Path, tmp_path: Path, *, has_referrers: bool
) -> None:
    with running_fake_registry(FakeRegistry(has_referrers=has_referrers)) as registry:
        pushed = push_to(f"oci://{registry.host}/tiny:1.0", signed)
        pulled = pull_from(pushed, tmp_path / "pulled", keys / "release.pub")
    assert verify_archive(pulled, keys / "release.pub").is_signed
    assert signature_path(pulled).read_bytes() == signature_path(signed).read_bytes()
    has_own_list = str(pushed.digest).replace(":", "-") in registry.manifests
    assert has_own_list != has_referrers


def test_the_tag_comes_after_all_that_belongs_to_it(signed: Path) -> None:
    with running_fake_registry(FakeRegistry()) as registry:
        push_to(f"oci://{registry.host}/tiny:1.0", signed)
    assert next(reversed(registry.manifests)) == "1.0"
