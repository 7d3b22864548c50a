"""Versions that fail on what clients ask, or are slow, although their probes pass: as canaries, and as shadows."""

import time
from collections.abc import Iterator

import pytest

from adapter.errors import GenerationFailed
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.constant_load import constant_load
from tests.end_to_end.versions.light_archives import LIGHT_HANDLER
from tests.end_to_end.versions.test_killed_commands import run
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

_WRITES = "        if num_letters < request.max_length and not _is_to_end(request):\n"
FAILS = LIGHT_HANDLER.replace(
    _WRITES,
    '        if request.prompt == "Once":\n'
    '            problem = Problem.of(ErrorCode.GENERATION_FAILED, "It fails.", request_id=request.id)\n'
    "            return encode_event(ErrorEvent(problem=problem)), True\n" + _WRITES,
).replace("schema import ", "schema import ErrorCode, ErrorEvent, Problem, ")

SLOW = LIGHT_HANDLER.replace("SECONDS_PER_LETTER = 0.005", "SECONDS_PER_LETTER = 0.05")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("canary")) as running:
        running.deploy("2.0", promotes=False, archive=running.archives.make("2.0", handler=FAILS))
        running.deploy("3.0", promotes=False)
        running.deploy("4.0", promotes=False, archive=running.archives.make("4.0", handler=SLOW))
        yield running


def test_a_canary_that_fails_is_given_up_and_costs_its_share_only(site: Site) -> None:
    with constant_load(site.url, pause=0) as load:
        done = run(site, "none", "canary", "2.0", "--percent", "20")
        failures, answers = len(load.failures), len(load.answers)
        load.wait_for_answers(answers + 50)
        assert len(load.failures) <= failures + 8  # those that ran when it ended
    assert done.returncode == 3, done.stderr
    assert "2.0 fails more often: it is not promoted" in done.stdout
    assert failures
    assert all(isinstance(failure, GenerationFailed) for failure in load.failures)
    assert load.versions() == {"1.0"}
    assert site.default_version() == "1.0"


def test_a_shadow_that_fails_is_found_out_and_costs_nobody_anything(site: Site) -> None:
    with constant_load(site.url, pause=0) as load:
        done = run(site, "none", "canary", "2.0", "--percent", "50", "--shadow")
    assert done.returncode == 3, done.stderr
    assert load.failures == []
    assert load.versions() == {"1.0"}


@pytest.mark.parametrize("flags", [(), ("--shadow",)], ids=["canary", "shadow"])
def test_a_version_that_is_ten_times_as_slow_is_not_promoted(site: Site, flags: tuple[str, ...]) -> None:
    with constant_load(site.url, pause=0) as load:
        done = run(site, "none", "canary", "4.0", "--percent", "50", *flags)
    assert done.returncode == 3, done.stdout
    assert "4.0 mostly takes more than 1.25 times as long: it is not promoted" in done.stdout
    assert load.failures == []
    assert site.default_version() == "1.0"


def test_a_slow_version_is_promoted_where_nobody_asks_for_its_times(site: Site) -> None:
    with constant_load(site.url, pause=0):
        done = run(
            site, "none", "canary", "4.0", "--percent", "50", "--shadow", "--max-slowdown", "0", "--margin", "0.2"
        )
    assert done.returncode == 0, done.stdout
    assert "4.0 fails at most 20.0% more often, its times not compared: it would be promoted" in done.stdout


def test_a_canary_that_is_killed_leaves_all_requests_to_the_default(site: Site) -> None:
    with constant_load(site.url) as load:
        killed = run(site, "after-ControlClient.renew_canary-3", "canary", "3.0", "--percent", "50")
        assert killed.returncode < 0
        wait_until(lambda: not _has_canary(site))
        since = time.monotonic()
        load.wait_for(len(load.answers) + 100)
    assert load.versions() == {"1.0", "3.0"}
    assert {answer.version for answer in load.answers if answer.began_at > since} == {"1.0"}
    assert load.failures == []
    assert site.default_version() == "1.0"


def test_without_requests_nothing_is_promoted(site: Site) -> None:
    done = run(site, "none", "canary", "3.0", "--percent", "50", "--timeout", "2")
    assert done.returncode == 4
    assert "there was no verdict in time: 3.0 is not promoted" in done.stdout
    assert site.default_version() == "1.0"


def test_one_that_the_server_watches_is_aborted_from_elsewhere(site: Site) -> None:
    begun = run(site, "none", "canary", "3.0", "--percent", "50", "--no-wait")
    assert begun.returncode == 0, begun.stderr
    wait_until(lambda: "watched by the server, begun" in run(site, "none", "canary", "status").stdout)
    assert run(site, "none", "canary", "abort").returncode == 0
    assert not _has_canary(site)
    wait_until(lambda: "3.0, cut short" in run(site, "none", "canary", "status").stdout)
    assert site.default_version() == "1.0"


def test_the_server_promotes_what_is_no_worse_while_no_command_runs(site: Site) -> None:
    with constant_load(site.url, pause=0) as load:
        options = ("--percent", "50", "--no-wait", "--max-slowdown", "0", "--margin", "0.2")
        begun = run(site, "none", "canary", "3.0", *options)
        assert begun.returncode == 0, begun.stderr
        wait_until(lambda: site.default_version() == "3.0")
    assert load.failures == []
    wait_until(lambda: "3.0, promoted" in run(site, "none", "canary", "status").stdout)
    assert run(site, "none", "rollback").returncode == 0


def _has_canary(site: Site) -> bool:
    return any(model.canary is not None for model in site.server.gateway.traffic().models)
