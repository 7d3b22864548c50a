"""A deployment that goes well, on the real TorchServe with a light model."""

import shutil
from pathlib import Path

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import load_private_key
from tests.end_to_end.gateway_calls import post
from tests.end_to_end.versions.conftest import Site
from tests.frozen_archives import CHAT

pytestmark = pytest.mark.torchserve


def test_a_version_becomes_the_default_and_the_one_before_stays_loaded(site: Site) -> None:
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "1.0"
    site.deploy("2.0")
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "2.0"
    assert site.registered() == ["1.0", "2.0"]
    assert site.server.state.models["light"].previous == ("1.0",)


def test_an_archive_of_an_older_release_is_deployed_where_a_key_vouches_for_its_code(
    site: Site, tmp_path: Path
) -> None:
    archive = Path(shutil.copy(CHAT, tmp_path))
    sign_file(archive, load_private_key(site.archives.public_key.with_suffix(".key")))
    site.deploy("1.0", archive=archive)
    answer = post(site.url, prompt="Once", max_length=3, model="contract1-chat")
    assert answer.json()["model_version"] == "1.0"
