import asyncio
import json
import threading
from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from adapter.archives.served_archive import ServedArchive
from adapter.errors import (
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    TorchbridgeError,
    UpstreamUnavailable,
    VersionNotFound,
)
from adapter.schema import CONTRACT_VERSION, SamplingDefaults
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.archives.model_files import write_model
from tests.fakes import FakeManagement, wait_for
from tests.frozen_archives import PLAIN


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement({"story": {"2.0": 1, "1.0": 1, "3.0": 0}, "chat": {"1.0": 2}})


@pytest.fixture
def registry(management: FakeManagement) -> ModelRegistry:
    return ModelRegistry(management, default_model="story")


async def test_lists_models_with_versions_default_and_ready_workers(registry: ModelRegistry) -> None:
    story = (await registry.models())[0]
    assert (story.name, story.default_version) == ("story", "2.0")
    assert [(v.version, v.is_default, v.ready_workers) for v in story.versions] == [
        ("1.0", False, 1),
        ("2.0", True, 1),
        ("3.0", False, 0),
    ]


async def test_versions_are_in_the_order_of_their_numbers() -> None:
    management = FakeManagement({"story": {"10.0": 1, "9.1": 1, "9.0": 1}})
    (story,) = await ModelRegistry(management, None).models()
    assert [each.version for each in story.versions] == ["9.0", "9.1", "10.0"]


async def test_a_request_that_names_nothing_means_the_default_of_the_default(registry: ModelRegistry) -> None:
    assert (await registry.resolve())[:2] == ("story", "2.0")


async def test_a_version_that_has_answered_samples_as_its_archive_says(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    (model / "generation_config.json").write_text(json.dumps({"temperature": 0.6, "top_p": 0.9}))
    build_archive(model, "tiny", "1.0", tmp_path)
    registry = ModelRegistry(FakeManagement({"tiny": {"1.0": 1}}), None, tmp_path)
    await registry.served_anew()
    assert registry.sampling_defaults("tiny", "1.0") == SamplingDefaults(temperature=0.6, top_p=0.9)
    assert registry.sampling_defaults("tiny", "2.0") == registry.sampling_defaults("gone", "1.0") == SamplingDefaults()


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


async def test_a_model_that_vanishes_while_it_is_described_is_left_out(management: FakeManagement) -> None:
    management.served["chat"] = {}
    registry = ModelRegistry(management, None)
    assert [model.name for model in await registry.models()] == ["story"]


async def test_a_request_waits_for_a_refresh_that_takes_long_only_for_a_moment(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    may_answer = threading.Event()
    management.model_names = lambda: may_answer.wait(30) and []  # type: ignore[method-assign]
    registry._models._loaded_at -= 5
    assert (await registry.resolve())[:2] == ("story", "2.0")
    may_answer.set()
    await wait_for(registry._models._refresh.done)


async def test_a_refusal_rests_on_a_fresh_description(registry: ModelRegistry, management: FakeManagement) -> None:
    await registry.resolve()
    registry._models._loaded_at -= 5
    management.served["new"] = {"1.0": 1}
    assert (await registry.resolve("new"))[:2] == ("new", "1.0")


async def test_a_short_silence_of_the_management_api_fails_no_request(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    registry._models._loaded_at -= 5
    management.failure = UpstreamUnavailable("down")
    assert (await registry.resolve())[:2] == ("story", "2.0")
    await wait_for(registry._models._refresh.done)


async def test_a_torchserve_that_is_gone_for_as_long_as_a_restart_may_take_is_waited_for_no_longer(
    management: FakeManagement,
) -> None:
    registry = ModelRegistry(management, "story", restart_timeout=60)
    before = await registry.resolve()
    management.failure = UpstreamUnavailable("down")
    registry._models._loaded_at -= 3600  # nobody has asked since
    assert await registry.resolve() == before

    registry._comebacks._limit = 0
    with pytest.raises(UpstreamUnavailable):
        await registry.resolve()
    with pytest.raises(UpstreamUnavailable):
        await registry.wait_for_comeback("story", "2.0")


async def test_what_there_was_is_no_longer_listed_where_torchserve_has_not_answered_for_long(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.models()
    registry._models._loaded_at -= 60
    management.failure = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        await registry.models()


async def test_whoever_waits_gets_the_workers_of_a_torchserve_that_was_started_again(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    management.failure = UpstreamUnavailable("down")
    waiting = asyncio.create_task(registry.wait_for_comeback("story", "1.0"))
    num_listings = management.num_listings
    await wait_for(lambda: management.num_listings > num_listings + 1)
    versions = management.served["story"]
    management.failure, management.served["story"] = None, {"2.0": 1}  # the default comes first
    num_listings = management.num_listings
    await wait_for(lambda: management.num_listings > num_listings + 1)
    assert not waiting.done()

    management.served["story"] = versions
    assert (await waiting)[:2] == ("story", "1.0")


async def test_nobody_waits_for_what_was_never_ready(registry: ModelRegistry, management: FakeManagement) -> None:
    with pytest.raises(ModelNotReady):
        await registry.wait_for_comeback("story", "3.0")
    management.failure = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        await registry.wait_for_comeback("story", "3.0")


async def test_a_management_api_that_fails_is_asked_once_for_each_request(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    # Twice, and the second failure would hold the first: in an outage under load, an endless chain of them.
    management.failure = UpstreamUnavailable("no answer")
    with pytest.raises(UpstreamUnavailable) as failure:
        await registry.resolve()
    assert management.num_listings == 1
    assert failure.value.__context__ is None


async def test_to_resolve_anew_is_to_ask_again(registry: ModelRegistry, management: FakeManagement) -> None:
    await registry.resolve("chat")
    management.served["chat"] = {"2.0": 1}
    assert (await registry.resolve_anew("chat"))[:2] == ("chat", "2.0")


async def test_a_version_whose_workers_are_gone_is_found_out(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    registry._models._loaded_at -= 5
    management.served["story"]["2.0"] = 0
    with pytest.raises(ModelNotReady):
        await registry.resolve_anew("story", "2.0")


async def test_a_version_has_as_many_slots_as_its_ready_workers(management: FakeManagement) -> None:
    management.slots = 8
    assert (await ModelRegistry(management, None).resolve("chat")).slots == 16


async def test_another_worker_makes_another_pin(management: FakeManagement) -> None:
    before = await ModelRegistry(management, None).resolve("story")
    management.served["story"]["2.0"] = 2
    assert (await ModelRegistry(management, None).resolve("story")).workers != before.workers


async def test_a_switch_that_somebody_else_makes_is_noticed_within_a_second(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    assert (await registry.resolve())[:2] == ("story", "2.0")
    management.served["story"] = {"1.0": 1, "2.0": 1}
    registry._models._loaded_at -= 1.1
    assert (await registry.resolve()).version == "1.0"


async def test_a_version_whose_worker_is_started_again_goes_on_for_a_while(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    before = await registry.resolve()
    management.restarting = {"2.0"}
    registry._models._loaded_at -= 1.1
    assert await registry.resolve() == before
    with pytest.raises(ModelNotReady):
        await registry.resolve_anew()

    registry._comebacks._limit = 0
    registry._models._loaded_at -= 1.1
    with pytest.raises(ModelNotReady):
        await registry.resolve()


async def test_a_version_that_has_lost_all_of_its_workers_is_not_ready_at_once(
    registry: ModelRegistry, management: FakeManagement
) -> None:
    await registry.resolve()
    management.served["story"]["2.0"] = 0
    registry._models._loaded_at -= 1.1
    with pytest.raises(ModelNotReady):
        await registry.resolve()


async def test_a_version_is_pinned_with_what_its_archive_says(management: FakeManagement) -> None:
    management.served = {PLAIN.stem.removesuffix("-1.0"): {"1.0": 1}}
    of_the_store = ModelRegistry(management, None, PLAIN.parent)
    stored_at = int(PLAIN.stat().st_mtime)
    assert (await of_the_store.resolve()).archive == ServedArchive(contract=1, stored_at=stored_at)


async def test_an_archive_that_is_not_to_be_seen_is_taken_for_one_of_today(management: FakeManagement) -> None:
    of_another_place = ModelRegistry(management, None, PLAIN.parent / "absent")
    assert (await of_another_place.resolve("chat")).archive == ServedArchive(contract=CONTRACT_VERSION)
