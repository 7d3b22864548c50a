import json

import pytest

from adapter.archives.recommended_sampling import read_sampling_defaults, unusable_recommendations
from adapter.schema import SamplingDefaults


@pytest.mark.parametrize(
    ("recommended", "unusable"),
    [
        pytest.param({"temperature": 0.6, "top_k": 20}, [], id="what can be asked"),
        pytest.param({"top_k": 0, "top_p": None}, [], id="none"),
        pytest.param({"temperature": 5.0, "top_k": "many"}, ["temperature 5.0", "top_k 'many'"], id="what cannot"),
    ],
)
def test_what_no_request_could_ask_for_is_left_out_and_said(
    recommended: dict[str, object], unusable: list[str]
) -> None:
    content = json.dumps(recommended).encode()
    assert unusable_recommendations(content) == unusable
    if unusable:
        assert read_sampling_defaults(content) == SamplingDefaults()
