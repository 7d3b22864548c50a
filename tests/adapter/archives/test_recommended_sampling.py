import json

import pytest

from adapter.archives.recommended_sampling import read_sampling_defaults, unheeded_settings, unusable_recommendations
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


@pytest.mark.parametrize(
    ("settings", "unheeded"),
    [
        ({"no_repeat_ngram_size": 3, "stop_strings": ["END"]}, ["no_repeat_ngram_size", "stop_strings"]),
        (
            {"no_repeat_ngram_size": 0, "num_beams": 1, "typical_p": 1.0, "suppress_tokens": None, "bad_words_ids": []},
            [],
        ),
        ({"temperature": 0.6, "max_new_tokens": 5, "eos_token_id": [1, 2]}, []),
    ],
    ids=["what changes answers", "what changes none", "what is heeded"],
)
def test_what_generate_heeds_and_workers_do_not_is_said(settings: dict[str, object], unheeded: list[str]) -> None:
    assert unheeded_settings(json.dumps(settings).encode()) == unheeded
