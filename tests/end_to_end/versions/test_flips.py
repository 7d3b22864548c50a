"""The default version changes back and forth under load: nobody notices but by the version in the answer."""

import os
import time
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.versions.lifecycle import promote
from adapter.versions.recovery import changing
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.constant_load import constant_load
from tests.end_to_end.versions.tiny_archives import TinyArchives

pytestmark = pytest.mark.torchserve

EVERY_POINT = "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ
FLIPS = 100 if EVERY_POINT else 20
REQUESTS_PER_FLIP = int(os.environ.get("TORCHBRIDGE_TEST_REQUESTS", "400")) // FLIPS


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Of the light model; by `make soak` of models/tiny."""
    with running_site(tmp_path, TinyArchives(tmp_path / "packed") if EVERY_POINT else None) as running:
        yield running


def test_no_request_fails_and_none_gets_the_version_of_before_after_the_acknowledgement(site: Site) -> None:
    site.deploy("2.0")
    began, acknowledged = [], []
    versions = ["1.0", "2.0"] * (FLIPS // 2)
    with constant_load(site.url) as load:
        for flip, version in enumerate(versions, start=1):
            load.wait_for(flip * REQUESTS_PER_FLIP)
            began.append(time.monotonic())
            with changing(site.server, f"promote {version}", print):
                promote(site.server, site.archives.name, version)
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
