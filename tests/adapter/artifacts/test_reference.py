"""What is a place in a registry, and what is none."""

import pytest

from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.reference import ArtifactReference, is_loopback

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [
        "oci://registry.example/tiny:1.0",
        "oci://registry.example:5000/models/chat/tiny:latest",
        "oci://localhost/a-b/c__d/e.f:V1_2-3",
        "oci://[::1]:5000/tiny:1",
        f"oci://registry.example/tiny@{DIGEST}",
    ],
)
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(ArtifactReference.parse(text)) == text


def test_its_parts_are_known() -> None:
    reference = ArtifactReference.parse("oci://registry.example:5000/models/tiny:1.0")
    assert (reference.host, reference.repository, reference.name) == ("registry.example:5000", "models/tiny", "1.0")


def test_a_digest_takes_the_place_of_the_tag() -> None:
    pinned = ArtifactReference.parse("oci://registry.example/tiny:1.0").pinned(DIGEST)
    assert str(pinned) == f"oci://registry.example/tiny@{DIGEST}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("oci://registry.example/tiny", id="neither tag nor digest"),
        pytest.param("oci://registry.example/Tiny:1.0", id="upper case"),
        pytest.param("oci://registry.example/../tiny:1.0", id="a way up"),
        pytest.param("oci://registry.example/tiny:1.0/x", id="more after the tag"),
        pytest.param("oci://registry.example/tiny:" + "x" * 129, id="long tag"),
        pytest.param("oci://registry.example/tiny@sha256:abc", id="short digest"),
        pytest.param(f"oci://registry.example/tiny@{DIGEST}\n", id="line end"),
        pytest.param("oci:///tiny:1.0", id="no host"),
        pytest.param("oci://registry.example:99999/tiny:1.0", id="no port"),
        pytest.param("oci://registry.example?x/tiny:1.0", id="a query"),
        pytest.param("https://registry.example/tiny:1.0", id="another scheme"),
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="is no reference"):
        ArtifactReference.parse(text)


def test_a_password_in_it_is_refused_and_not_shown() -> None:
    with pytest.raises(ArtifactError, match="holds no user and no password") as refused:
        ArtifactReference.parse("oci://alice:sesame@registry.example/tiny:1.0")
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("host", ["localhost", "LocalHost:80", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "[::1]"])
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "127.0.0.1.example", "10.0.0.1:5000", "[2001:db8::1]:80"])
def test_another_machine_is_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback(host)
