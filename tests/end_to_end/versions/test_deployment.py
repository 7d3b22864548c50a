"""A deployment that goes well, on the real TorchServe with a light model."""

import pytest

from tests.end_to_end.gateway_calls import post
from tests.end_to_end.versions.conftest import Site

pytestmark = pytest.mark.torchserve


def test_a_version_becomes_the_default_and_the_one_before_stays_loaded(site: Site) -> None:
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "1.0"
    site.deploy("2.0")
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "2.0"
    assert site.registered() == ["1.0", "2.0"]
    assert site.server.state.models["light"].previous == ("1.0",)
