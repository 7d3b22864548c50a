import time

import pytest

from adapter.archives.served_archive import ServedArchive
from adapter.call import Call
from adapter.generation.model_defaults import with_model_defaults
from adapter.schema import GenerationRequest, SamplingDefaults
from adapter.torchserve.served_models import PinnedVersion

AUTHORS = SamplingDefaults(temperature=0.6, top_p=0.9, top_k=20)
PINNED = PinnedVersion("tiny", "1.0", 1, frozenset(), ServedArchive(sampling_defaults=AUTHORS))


def filled_in(request: GenerationRequest, *, uses_model_defaults: bool = True) -> dict[str, object]:
    call = Call("request-1", time.monotonic(), uses_model_defaults=uses_model_defaults)
    return with_model_defaults(request, call, PINNED).model_dump(exclude_unset=True, exclude={"prompt"})


def test_what_a_request_leaves_out_is_as_the_authors_recommend() -> None:
    assert filled_in(GenerationRequest(prompt="Once")) == {
        "temperature": 0.6,
        "top_p": 0.9,
        "top_k": 20,
        "repetition_penalty": None,
    }


@pytest.mark.parametrize("said", [{"temperature": 0.0}, {"top_p": 1.0}, {"top_k": 3}, {"top_k": None}])
def test_what_it_says_stays_also_where_it_wants_none(said: dict[str, object]) -> None:
    assert filled_in(GenerationRequest(prompt="Once", **said)).items() >= said.items()


def test_our_own_routes_keep_the_contracts_defaults() -> None:
    request = GenerationRequest(prompt="Once")
    assert filled_in(request, uses_model_defaults=False) == {}
    assert request.temperature == 0.7
