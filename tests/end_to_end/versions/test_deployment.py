"""Deployments that go well, on the real TorchServe with a light model, and switches of the default under load.

Nobody notices a switch but by the version in the answer.
"""

import os
import shutil
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from adapter import cli
from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import load_private_key
from adapter.artifacts.push import push
from adapter.artifacts.reference import ArtifactReference
from adapter.versions.lifecycle import promote
from adapter.versions.recovery import changing
from tests.end_to_end.gateway_calls import post
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.constant_load import constant_load
from tests.end_to_end.versions.tiny_archives import TinyArchives
from tests.frozen_archives import CHAT
from tests.registry_server import running_registry

pytestmark = pytest.mark.torchserve

EVERY_POINT = "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ
FLIPS = 100 if EVERY_POINT else 20
REQUESTS_PER_FLIP = int(os.environ.get("TORCHBRIDGE_TEST_REQUESTS", "400")) // FLIPS


def test_a_version_becomes_the_default_and_the_one_before_stays_loaded(site: Site) -> None:
    before = site.default_version()
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == before
    site.deploy("2.0")
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "2.0"
    assert site.registered() == [before, "2.0"]
    assert site.server.state.models["light"].previous == (before,)


def test_a_signed_archive_goes_from_one_machine_over_a_registry_to_a_server(site: Site, tmp_path: Path) -> None:
    stored = site.stored()
    with running_registry(tmp_path / "registry") as registry:
        pushed = push(site.archives.make("3.0"), ArtifactReference.parse(registry.reference("light:3.0")))
        command = ["deploy", str(pushed), "--key", str(site.archives.public_key)]
        cli.app([*command, "--run-directory", str(site.run_directory)], standalone_mode=False)
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "3.0"
    assert site.stored() == [*stored, "light-3.0.mar", "light-3.0.mar.sig"]
    assert list((site.run_directory / "pulled").iterdir()) == []


def test_an_archive_of_an_older_release_is_deployed_where_a_key_vouches_for_its_code(
    site: Site, tmp_path: Path
) -> None:
    archive = Path(shutil.copy(CHAT, tmp_path))
    sign_file(archive, load_private_key(site.archives.public_key.with_suffix(".key")))
    site.deploy("1.0", archive=archive)
    answer = post(site.url, prompt="Once", max_length=3, model="contract1-chat")
    assert answer.json()["model_version"] == "1.0"


@pytest.fixture
def site_of_two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """It has 1.0 and 2.0, the default, of the light model; by `make soak` of models/tiny."""
    with ExitStack() as until_the_end:
        if EVERY_POINT:
            site = until_the_end.enter_context(running_site(tmp_path, TinyArchives(tmp_path / "packed")))
        else:
            site = request.getfixturevalue("site")
        if "2.0" not in site.registered():
            site.deploy("2.0")
        promote_in(site, "2.0")
        yield site


def promote_in(site: Site, version: str) -> None:
    with changing(site.server, f"promote {version}", print):
        promote(site.server, site.archives.name, version)


def test_no_request_fails_and_none_gets_the_version_of_before_after_the_acknowledgement(
    site_of_two: Site,
) -> None:
    began, acknowledged = [], []
    versions = ["1.0", "2.0"] * (FLIPS // 2)
    with constant_load(site_of_two.url) as load:
        for flip, version in enumerate(versions, start=1):
            load.wait_for(flip * REQUESTS_PER_FLIP)
            began.append(time.monotonic())
            promote_in(site_of_two, version)
            acknowledged.append(time.monotonic())
        load.wait_for((FLIPS + 1) * REQUESTS_PER_FLIP)

    assert load.failures == []
    assert len(load.answers) >= FLIPS * REQUESTS_PER_FLIP
    assert load.versions() == {"1.0", "2.0"}
    late = []
    for answer in load.answers:
        flip = bisect_right(acknowledged, answer.began_at) - 1
        has_next_begun = flip + 1 < FLIPS and answer.ended_at >= began[flip + 1]
        if flip >= 0 and not has_next_begun and answer.version != versions[flip]:
            late.append((flip, answer))
    assert late == []
