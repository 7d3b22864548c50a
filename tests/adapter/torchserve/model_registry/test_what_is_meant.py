"""Which model and version a request means."""

import pytest

from adapter.errors import InvalidRequest, ModelNotFound, ModelNotReady, TorchbridgeError, VersionNotFound
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeManagement


async def test_a_request_that_names_nothing_means_the_default_of_the_default(registry: ModelRegistry) -> None:
    assert (await registry.resolve())[:2] == ("story", "2.0")


async def test_the_default_model_may_change_while_it_is_served(registry: ModelRegistry) -> None:
    registry.default_model = "chat"
    assert (await registry.resolve())[:2] == await registry.default_of() == ("chat", "1.0")


async def test_without_its_default_model_a_request_that_names_none_is_told_so(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    del management.served["story"]
    reason = r"^The default model is not served: name another one\. GET /models"
    with pytest.raises(ModelNotFound, match=reason):
        await registry.resolve()
    with pytest.raises(ModelNotFound, match=reason):
        await registry.default_of()
    assert (await registry.resolve("chat"))[:2] == ("chat", "1.0")


@pytest.mark.parametrize(
    ("default_model", "served", "found"),
    [
        pytest.param("story", {"story": {"1.0": 1}, "chat": {"1.0": 1}}, "story", id="the default model"),
        pytest.param("gone", {"story": {"1.0": 0}, "chat": {"1.0": 1}}, "chat", id="where that is gone another one"),
        pytest.param(None, {"story": {"1.0": 0}, "chat": {"1.0": 1}}, "chat", id="where there is none any one"),
        pytest.param(None, {"story": {"1.0": 1}}, "story", id="the only one"),
    ],
)
async def test_what_can_answer_is_found(
    default_model: str | None, served: dict[str, dict[str, int]], found: str
) -> None:
    assert (await ModelRegistry(FakeManagement(served), default_model).resolve_any()).model == found


@pytest.mark.parametrize(
    ("default_model", "served"),
    [
        pytest.param("story", {"story": {"1.0": 0}, "chat": {"1.0": 1}}, id="the default is loading"),
        pytest.param("gone", {"story": {"1.0": 0}}, id="it is gone, and the others are loading"),
        pytest.param("gone", {}, id="all are gone"),
        pytest.param(None, {"story": {"1.0": 0}}, id="the only one is loading"),
        pytest.param(None, {}, id="there is none"),
    ],
)
async def test_where_nothing_can_answer_it_is_not_ready(
    default_model: str | None, served: dict[str, dict[str, int]]
) -> None:
    with pytest.raises(ModelNotReady):
        await ModelRegistry(FakeManagement(served), default_model).resolve_any()


async def test_a_request_that_names_both_gets_both(registry: ModelRegistry) -> None:
    assert (await registry.resolve("story", "1.0"))[:2] == ("story", "1.0")


async def test_a_request_that_names_a_model_gets_its_default_version(registry: ModelRegistry) -> None:
    assert (await registry.resolve("chat"))[:2] == ("chat", "1.0")


async def test_an_unknown_model_is_not_found(registry: ModelRegistry) -> None:
    with pytest.raises(ModelNotFound, match=r"^There is no model 'nobody'\. GET /models lists what there is\.$"):
        await registry.resolve("nobody")


@pytest.mark.parametrize("asked", [("nobody", None), ("story", "9.0"), (None, None)], ids=["model", "version", "none"])
async def test_no_refusal_tells_what_else_is_served(
    management: FakeManagement, asked: tuple[str | None, str | None]
) -> None:
    management.served = {"story": {"1.0": 1, "2.0-secret": 1}, "other-secret": {"1.0": 1}}
    with pytest.raises(TorchbridgeError) as refusal:
        await ModelRegistry(management, None).resolve(*asked)
    assert refusal.value.code in {"model_not_found", "version_not_found", "invalid_request"}
    assert "secret" not in refusal.value.problem.model_dump_json()


async def test_an_unknown_model_cannot_be_described(registry: ModelRegistry) -> None:
    with pytest.raises(ModelNotFound):
        await registry.model("nobody")


async def test_a_hostile_name_can_neither_break_a_log_line_nor_fill_it(registry: ModelRegistry) -> None:
    with pytest.raises(ModelNotFound) as failure:
        await registry.model("a\r\n\u2028b" + "x" * 10_000)
    assert failure.value.detail.isprintable()
    assert len(failure.value.detail) < 200


async def test_an_unknown_version_is_not_found(registry: ModelRegistry) -> None:
    with pytest.raises(VersionNotFound):
        await registry.resolve("story", "9.9")


async def test_a_version_without_a_ready_worker_is_not_ready(registry: ModelRegistry) -> None:
    with pytest.raises(ModelNotReady):
        await registry.resolve("story", "3.0")


async def test_no_model_at_all_is_not_ready() -> None:
    with pytest.raises(ModelNotReady):
        await ModelRegistry(FakeManagement({}), None).resolve()


async def test_the_only_model_needs_no_name() -> None:
    assert (await ModelRegistry(FakeManagement(), None).resolve())[:2] == ("tiny", "1.0")


async def test_one_of_several_models_must_be_named(management: FakeManagement) -> None:
    with pytest.raises(InvalidRequest, match="name one"):
        await ModelRegistry(management, None).resolve()
