"""What is done to deployed versions, on the real TorchServe with a light model, while requests run."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from adapter.errors import ModelNotReady
from adapter.schema import DoneEvent
from adapter.torchserve.management_client import ManagementClient
from adapter.versions.errors import ChangeRefused, DrainTimeout
from adapter.versions.lifecycle import promote, retire, rollback, scale
from adapter.versions.recovery import changing
from adapter.versions.status import VersionStatus, server_status
from tests.end_to_end.gateway_calls import expect_problem, post, stream
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.constant_load import constant_load
from tests.end_to_end.versions.long_answer import LongAnswer
from tests.end_to_end.versions.test_killed_commands import run
from tests.waiting import PATIENCE, PATIENCE_WITH_WORKERS, wait_until

pytestmark = pytest.mark.torchserve


@pytest.fixture
def long(tmp_path: Path) -> Iterator[LongAnswer]:
    answer = LongAnswer(tmp_path / "ended")
    yield answer
    answer.end()


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("lifecycle")) as running:
        yield running


@pytest.fixture
def site(module_site: Site) -> Iterator[Site]:
    """With light 1.0 alone, before and after."""
    yield module_site
    with changing(module_site.server, "back", print):
        if module_site.default_version() != "1.0":
            promote(module_site.server, "light", "1.0")
        for version in module_site.registered():
            if version != "1.0":
                retire(module_site.server, "light", version, 60)


def test_a_deployment_returns_when_what_ran_on_the_version_before_has_ended(
    site: Site, long: LongAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_default, has_loaded, may_switch = ManagementClient.set_default, Event(), Event()

    def switch(*arguments: Any) -> None:
        has_loaded.set()
        assert may_switch.wait(PATIENCE)
        set_default(*arguments)

    monkeypatch.setattr(ManagementClient, "set_default", switch)
    with ThreadPoolExecutor(1) as pool:
        deployment = pool.submit(site.deploy, "2.0")
        wait_until(lambda: has_loaded.is_set() or deployment.done(), PATIENCE_WITH_WORKERS)
        with stream(site.url, **long.request) as (_, events):
            next(events)
            may_switch.set()
            wait_until(lambda: site.default_version() == "2.0")
            assert not deployment.done()
            long.end()
            *_, last = events
        deployment.result()
    assert isinstance(last, DoneEvent)
    assert last.response.model_version == "1.0"


def test_a_rollback_loads_nothing_and_a_second_one_goes_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.deploy("2.0")
    for change in ("register", "scale", "unregister"):
        monkeypatch.setattr(ManagementClient, change, lambda *_: pytest.fail("that takes time"))
    for version in ("1.0", "2.0"):
        with changing(site.server, "rollback", print):
            assert rollback(site.server, "light") == version
        assert post(site.url, prompt="Once", max_length=1).json()["model_version"] == version
    monkeypatch.undo()


def test_a_version_without_a_worker_does_not_become_the_default(site: Site) -> None:
    site.deploy("2.0", promotes=False)
    site.server.management.scale("light", "2.0", 0)
    wait_until(lambda: not _status(site).ready_workers)
    with changing(site.server, "promote", print), pytest.raises(ModelNotReady):
        promote(site.server, "light", "2.0")
    assert site.default_version() == "1.0"


def test_only_as_many_versions_are_kept_as_was_said(site: Site) -> None:
    site.deploy("2.0", keep=1)
    site.deploy("3.0", keep=1)
    assert site.registered() == ["2.0", "3.0"]
    assert [name for name in site.stored() if "1.0" in name] == []
    site.deploy("1.0", keep=0)
    assert site.registered() == ["1.0"]


def test_a_retirement_waits_for_what_runs_and_who_comes_then_hears_that_it_is_gone(
    site: Site, long: LongAnswer
) -> None:
    site.deploy("2.0", promotes=False)
    with stream(site.url, model_version="2.0", **long.request) as (_, events), ThreadPoolExecutor(2) as pool:
        next(events)

        def take_away() -> None:
            with changing(site.server, "retire", print):
                retire(site.server, "light", "2.0", 60)

        retirement = pool.submit(take_away)
        late = _held_request(site, pool)
        status = _status(site)
        assert (status.is_draining, status.live_requests, retirement.done()) == (True, 1, False)
        long.end()
        *_, last = events
        retirement.result()
        expect_problem(late.result(), "version_not_found")
    assert isinstance(last, DoneEvent)
    assert site.registered() == ["1.0"]


def _status(site: Site) -> VersionStatus:
    return next(each for each in server_status(site.server) if each.version == "2.0")


def _held_request(site: Site, pool: ThreadPoolExecutor) -> Future[requests.Response]:
    """One that came when 2.0 was being drained."""
    late: list[Future[requests.Response]] = []

    def is_held() -> bool:
        if not late or late[-1].done():  # one that came before has its answer
            late.append(pool.submit(post, site.url, prompt="Once", max_length=1, model_version="2.0"))
        return _status(site).is_draining

    wait_until(is_held)
    return late[-1]


def test_a_retirement_that_would_cut_a_request_is_given_up_and_all_goes_on(site: Site, long: LongAnswer) -> None:
    site.deploy("2.0", promotes=False)
    with stream(site.url, model_version="2.0", **long.request) as (_, events):
        next(events)
        with changing(site.server, "retire", print), pytest.raises(DrainTimeout, match="1 requests still run"):
            retire(site.server, "light", "2.0", 0)
        assert post(site.url, prompt="Once", max_length=1, model_version="2.0").status_code == 200
        long.end()
        *_, last = events
    assert isinstance(last, DoneEvent)


def test_the_default_version_is_not_retired(site: Site) -> None:
    site.deploy("2.0")
    with changing(site.server, "retire", print), pytest.raises(ChangeRefused, match="promote another one first"):
        retire(site.server, "light", "2.0", 60)


def test_a_version_is_unloaded_when_what_runs_on_it_has_ended_and_loaded_again(site: Site, long: LongAnswer) -> None:
    site.deploy("2.0", promotes=False)

    def unload() -> None:
        with changing(site.server, "scale", print):
            scale(site.server, "light", "2.0", 0, timeout=PATIENCE_WITH_WORKERS, report=print)

    with constant_load(site.url) as load, stream(site.url, model_version="2.0", **long.request) as (_, events):
        next(events)
        with ThreadPoolExecutor(2) as pool:
            unloading = pool.submit(unload)
            late = _held_request(site, pool)
            assert not unloading.done()
            long.end()
            *_, last = events
            unloading.result()
            expect_problem(late.result(), "model_not_ready")
    assert isinstance(last, DoneEvent)
    assert load.failures == []
    with changing(site.server, "scale", print):
        scale(site.server, "light", "2.0", 1, timeout=PATIENCE_WITH_WORKERS, report=print)
    assert post(site.url, prompt="Once", max_length=1, model_version="2.0").status_code == 200


def test_the_default_version_is_not_unloaded(site: Site) -> None:
    with changing(site.server, "scale", print), pytest.raises(ChangeRefused, match="nobody would be answered"):
        scale(site.server, "light", "1.0", 0, timeout=PATIENCE_WITH_WORKERS, report=print)


MODELS = """
models:
  light:
    default: "2.0"
    versions:
      "2.0": {{archive: {second}}}
      "3.0": {{archive: {third}, workers: 0}}
"""


def test_a_file_of_models_is_planned_and_applied_under_load(site: Site, tmp_path: Path) -> None:
    models = tmp_path / "models.yaml"
    models.write_text(MODELS.format(second=site.archives.make("2.0"), third=site.archives.make("3.0")))
    command = ("apply", str(models), "--key", str(site.archives.public_key))
    first = site.archives.directory / "light-1.0" / "light-1.0.mar"

    planned = run(site, "none", *command, "--plan")
    assert re.findall(r"^(\w+ light [\d.]+)", planned.stdout, re.MULTILINE) == [
        "deploy light 2.0",
        "deploy light 3.0",
        "scale light 3.0",
        "promote light 2.0",
        "retire light 1.0",
    ]
    assert site.registered() == ["1.0"]

    with constant_load(site.url) as load:
        applied = run(site, "none", *command)
        assert applied.returncode == 0, applied.stderr
        load.wait_for(len(load.answers) + 20)
    assert load.failures == []
    assert load.versions() == {"1.0", "2.0"}
    assert site.registered() == ["2.0", "3.0"]
    assert "nothing to do" in run(site, "none", *command).stdout
    statuses = json.loads(run(site, "none", "status", "--json").stdout.partition("\npoint")[0])
    assert [(each["version"], each["is_default"], each["ready_workers"]) for each in statuses] == [
        ("2.0", True, 1),
        ("3.0", False, 0),
    ]
    site.deploy("1.0", archive=first)
