import pytest

from adapter.archives.served_archive import ServedArchive
from adapter.errors import InvalidRequest
from adapter.generation import older_contracts
from adapter.generation.older_contracts import refuse_what_the_archive_cannot_know
from adapter.schema import CONTRACT_VERSION, ChatGenerationRequest, ChatMessage, GenerationRequest
from adapter.torchserve.served_models import PinnedVersion

OLDEST = PinnedVersion("tiny", "1.0", 1, frozenset(), ServedArchive(contract=1))


class LaterMessage(ChatMessage):
    tool: str | None = None


class LaterRequest(ChatGenerationRequest):
    """As a gateway to come will have it: with fields, and with a value, that no archive of today knows."""

    min_p: float | None = None
    messages: tuple[LaterMessage, ...] | None = None
    top_k: int | None = None  # with any value


@pytest.fixture(autouse=True)
def _a_later_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(older_contracts, "CONTRACT_VERSION", CONTRACT_VERSION + 1)


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        pytest.param({"min_p": 0.1}, ["min_p"], id="a field"),
        pytest.param({"messages": ({"role": "user", "content": "Hi", "tool": "x"},)}, ["messages.0.tool"], id="nested"),
        pytest.param({"top_k": -1}, ["top_k"], id="a value"),
        pytest.param({"min_p": 0.1, "top_k": 5_000}, ["min_p", "top_k"], id="both"),
    ],
)
def test_what_an_older_archive_cannot_know_is_refused_by_its_name(said: dict[str, object], fields: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="was packed for version 1 of the contract") as refused:
        refuse_what_the_archive_cannot_know(LaterRequest(prompt="Once", **said), OLDEST)
    assert sorted(error.field for error in refused.value.errors) == fields


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"min_p": None}, id="null"),
        pytest.param({"top_k": 5, "stop": ("\n",), "seed": 1, "temperature": 0.5}, id="what it knows"),
        pytest.param({"messages": (LaterMessage(role="user", content="Hi"),)}, id="a chat"),
    ],
)
def test_everything_else_goes_on(said: dict[str, object]) -> None:
    refuse_what_the_archive_cannot_know(LaterRequest(prompt="Once", **said), OLDEST)


def test_an_archive_of_a_later_contract_has_the_last_word_itself() -> None:
    later = OLDEST._replace(archive=ServedArchive(contract=CONTRACT_VERSION + 2))
    refuse_what_the_archive_cannot_know(GenerationRequest(prompt="Once"), later)
