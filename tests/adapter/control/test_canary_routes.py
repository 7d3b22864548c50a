"""A canary over the control socket of a running gateway."""

import httpx
import pytest
from pydantic import ValidationError

from adapter.control.client import ControlClient
from adapter.control.messages import CanaryReport, CanaryRequest
from adapter.errors import Conflict, InvalidRequest, ModelNotFound, ModelNotReady, NotFound, VersionNotFound
from adapter.generation.canary_rule import Rule
from tests.fakes import FakeManagement


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement({"tiny": {"1.0": 1, "2.0": 1}})


def asked(**about: object) -> CanaryRequest:
    options = {"model": "tiny", "version": "2.0", "percent": 50}
    # No pause of the machine is that many times as long as an answer of the fake, which takes microseconds.
    options |= {"is_sticky": True, "is_shadow": False, "max_slowdown": 1e9}
    options |= {"margin": 0.02, "min_requests": 100, "alpha": 0.05}
    return CanaryRequest.model_validate(options | about)


def canary_of(client: ControlClient) -> CanaryReport | None:
    [model] = client.traffic().models
    return model.canary


def generate(url: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/generate", json={"prompt": "Once"}, headers=headers)


def chat(url: str, **about: object) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "Once"}]} | about
    return httpx.post(f"{url}/v1/chat/completions", json=body)


def test_users_of_both_apis_stay_on_their_side_and_are_counted(client: ControlClient, url: str) -> None:
    began = client.begin_canary(asked())
    users = [f"user-{number}" for number in range(12)]
    versions = {user: generate(url, **{"x-user": user}).json()["model_version"] for user in users}
    assert set(versions.values()) == {"1.0", "2.0"}
    for user in users:
        assert chat(url, user=user).json()["model"] == f"tiny@{versions[user]}"
    num_chosen = list(versions.values()).count("2.0")
    seen = client.renew_canary(began.id)
    assert (seen.canary.num_trials, seen.control.num_trials) == (2 * num_chosen, 2 * (12 - num_chosen))
    assert seen.canary.time_to_first_token is not None
    for pairs in (seen.first_token, seen.per_token):
        assert pairs is not None
        assert (0 < pairs.num_pairs <= 2 * num_chosen, pairs.slower) == (True, 0)


@pytest.mark.parametrize("promotes", [True, False])
def test_who_watches_it_hears_whether_to_promote(client: ControlClient, *, promotes: bool) -> None:
    assert client.begin_canary(asked(promotes=promotes)).promotes is promotes


def test_times_that_nobody_asks_for_are_not_compared(client: ControlClient, url: str) -> None:
    began = client.begin_canary(asked(max_slowdown=None))
    for _ in range(4):
        generate(url)
    seen = client.renew_canary(began.id)
    assert (seen.max_slowdown, seen.first_token, seen.per_token) == (None, None, None)


@pytest.mark.parametrize("max_slowdown", [0, -1, float("nan"), float("inf"), "1.5"], ids=str)
def test_a_slowdown_that_is_none_is_refused(max_slowdown: object) -> None:
    with pytest.raises(ValidationError, match="max_slowdown"):
        asked(max_slowdown=max_slowdown)


def test_it_is_seen_among_the_traffic_until_it_is_ended(client: ControlClient) -> None:
    assert canary_of(client) is None
    began = client.begin_canary(asked(percent=5))
    assert canary_of(client) == began
    assert (began.version, began.control_version, began.percent) == ("2.0", "1.0", 5)
    client.end_canary(began.id)
    assert canary_of(client) is None
    client.end_canary(began.id)


def test_a_shadow_is_counted_and_seen_by_no_caller(client: ControlClient, url: str) -> None:
    began = client.begin_canary(asked(percent=100, is_shadow=True))
    for _ in range(4):
        answer = httpx.post(
            f"{url}/generate", json={"prompt": "Once", "temperature": 0}, headers={"cache-control": "no-cache"}
        )
        assert (answer.json()["model_version"], answer.json()["id"]) == ("1.0", answer.headers["x-request-id"])
    seen = client.renew_canary(began.id)
    while seen.compared < 4:
        seen = client.renew_canary(began.id)
    assert (seen.canary.answers, seen.control.answers, seen.equal, seen.dropped) == (4, 4, 4, 0)


@pytest.mark.parametrize(
    ("about", "error"),
    [
        ({"model": "nobody"}, ModelNotFound),
        ({"version": "3.0"}, VersionNotFound),
        ({"version": "1.0"}, Conflict),
        ({"percent": 100}, InvalidRequest),
    ],
    ids=str,
)
def test_what_cannot_be_tried_out_does_not_begin(
    client: ControlClient, about: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.begin_canary(asked(**about))
    assert canary_of(client) is None


def test_a_version_without_a_worker_does_not_begin(client: ControlClient, management: FakeManagement) -> None:
    management.served["tiny"]["2.0"] = 0
    with pytest.raises(ModelNotReady):
        client.begin_canary(asked())


def test_a_second_one_of_the_same_model_is_refused(client: ControlClient) -> None:
    client.begin_canary(asked())
    with pytest.raises(Conflict, match="runs already"):
        client.begin_canary(asked(percent=20))


def test_one_that_the_gateway_does_not_know_is_not_renewed(client: ControlClient) -> None:
    with pytest.raises(NotFound, match="restarted"):
        client.renew_canary("another")


def test_those_that_run_are_listed_with_who_watches_them(client: ControlClient) -> None:
    assert client.canaries() == ()
    began = client.begin_canary(asked(timeout=60))
    assert client.canaries() == (began,)
    assert (began.model, began.timeout, began.rule) == ("tiny", 60, Rule(max_slowdown=1e9))
    client.end_canary(began.id)
    assert client.canaries() == ()


def test_whoever_watches_one_that_is_aborted_is_told(client: ControlClient) -> None:
    began = client.begin_canary(asked())
    client.abort_canary(began.id)
    assert client.canaries() == ()
    with pytest.raises(Conflict, match="aborted"):
        client.renew_canary(began.id)
    with pytest.raises(NotFound, match="ended already"):
        client.abort_canary(began.id)


@pytest.mark.parametrize(
    ("served", "error"),
    [({"1.0": 1}, VersionNotFound), ({"2.0": 1, "1.0": 1}, Conflict)],
    ids=["the version is gone", "the default is another"],
)
def test_what_it_compares_has_to_stay(
    client: ControlClient, management: FakeManagement, served: dict[str, int], error: type[Exception]
) -> None:
    began = client.begin_canary(asked())
    management.served["tiny"] = served
    client.traffic()
    with pytest.raises(error):
        client.renew_canary(began.id)


def test_openais_user_may_be_any_text_and_null_is_none(url: str) -> None:
    for user in ("\u00e9" * 1_000, "", None):
        assert chat(url, user=user).status_code == 200
    assert chat(url, user=5).status_code == 422
