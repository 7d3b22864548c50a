"""What is made of TorchServe's descriptions."""

import json
from pathlib import Path

from adapter.archives.archive import build_archive
from adapter.archives.served_archive import ServedArchive
from adapter.schema import CONTRACT_VERSION, SamplingDefaults
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.archives.model_files import write_model
from tests.fakes import FakeManagement
from tests.frozen_archives import PLAIN


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


async def test_a_version_that_has_answered_samples_as_its_archive_says(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    (model / "generation_config.json").write_text(json.dumps({"temperature": 0.6, "top_p": 0.9}))
    build_archive(model, "tiny", "1.0", tmp_path)
    registry = ModelRegistry(FakeManagement({"tiny": {"1.0": 1}}), None, tmp_path)
    await registry.served_anew()
    assert registry.sampling_defaults("tiny", "1.0") == SamplingDefaults(temperature=0.6, top_p=0.9)
    assert registry.sampling_defaults("tiny", "2.0") == registry.sampling_defaults("gone", "1.0") == SamplingDefaults()


async def test_a_model_that_vanishes_while_it_is_described_is_left_out(management: FakeManagement) -> None:
    management.served["chat"] = {}
    registry = ModelRegistry(management, None)
    assert [model.name for model in await registry.models()] == ["story"]


async def test_a_version_has_as_many_slots_as_its_ready_workers(management: FakeManagement) -> None:
    management.slots = 8
    assert (await ModelRegistry(management, None).resolve("chat")).slots == 16


async def test_another_worker_makes_another_pin(management: FakeManagement) -> None:
    before = await ModelRegistry(management, None).resolve("story")
    management.served["story"]["2.0"] = 2
    assert (await ModelRegistry(management, None).resolve("story")).workers != before.workers


async def test_a_version_is_pinned_with_what_its_archive_says(management: FakeManagement) -> None:
    management.served = {PLAIN.stem.removesuffix("-1.0"): {"1.0": 1}}
    of_the_store = ModelRegistry(management, None, PLAIN.parent)
    stored_at = int(PLAIN.stat().st_mtime)
    assert (await of_the_store.resolve()).archive == ServedArchive(contract=1, stored_at=stored_at)


async def test_an_archive_that_is_not_to_be_seen_is_taken_for_one_of_today(management: FakeManagement) -> None:
    of_another_place = ModelRegistry(management, None, PLAIN.parent / "absent")
    assert (await of_another_place.resolve("chat")).archive == ServedArchive(contract=CONTRACT_VERSION)


async def test_a_queue_is_empty_if_torchserve_has_said_so(management: FakeManagement) -> None:
    registry = ModelRegistry(management, None)
    assert not registry.is_queue_empty("story", "2.0")  # nothing was heard yet
    await registry.served_anew()
    assert registry.is_queue_empty("story", "2.0")
    assert not registry.is_queue_empty("story", "9.0")
    management.num_waiting = 1
    await registry.served_anew()
    assert not registry.is_queue_empty("story", "2.0")


async def test_a_version_has_workers_if_torchserve_has_said_so(management: FakeManagement) -> None:
    registry = ModelRegistry(management, None)
    assert not registry.has_workers("story", "2.0")  # nothing was heard yet
    await registry.served_anew()
    assert registry.has_workers("story", "2.0")
    assert not registry.has_workers("story", "9.0")
    management.restarting = {"2.0"}
    await registry.served_anew()
    assert not registry.has_workers("story", "2.0")
