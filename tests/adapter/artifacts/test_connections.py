from collections.abc import Iterator

import pytest

from adapter.artifacts.errors import NotThere
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from tests.adapter.artifacts.fake_registry import FakeRegistry, running_fake_registry

REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running_fake_registry(FakeRegistry()) as running:
        yield running


def test_the_connection_of_a_refusal_that_nobody_has_read_is_closed(registry: FakeRegistry) -> None:
    repository = Repository(ArtifactReference.parse(f"oci://{registry.host}/tiny:1.0"))
    with repository:
        registry.answer_once(0, REFUSAL)
        with pytest.raises(NotThere):
            repository.read_manifest("absent")
        [answer] = repository._answers
        assert not answer.raw.closed
    assert answer.raw.closed
