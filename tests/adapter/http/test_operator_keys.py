"""/metrics tells of all callers: where there are keys, it takes an operator's, and that one opens nothing else."""

from pathlib import Path

import httpx
import pytest

from adapter.archives.worker_environment import PASSED_VARIABLE, EnvironmentRefused, worker_environment
from adapter.gateway import create_app
from adapter.http.api_keys import ApiKeysError
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

KEY, OPERATOR_KEY, OTHER_KEY = "canary-0123456789-abc", "canary-9876543210-xyz", "canary-5555555555-uvw"


async def ask(settings: Settings, path: str, key: str | None, method: str = "GET") -> tuple[int, str]:
    app = create_app(settings, inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.request(method, path, headers=headers)
    return answer.status_code, answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("api_keys", "operator_keys", "key", "status"),
    [
        pytest.param(None, None, None, 200, id="without keys all may read"),
        pytest.param(KEY, None, None, 401, id="no key"),
        pytest.param(KEY, None, KEY, 403, id="a caller's key, and there is no operator's"),
        pytest.param(KEY, OPERATOR_KEY, KEY, 403, id="a caller's key"),
        pytest.param(KEY, OPERATOR_KEY, OPERATOR_KEY, 200, id="the operator's key"),
        pytest.param(KEY, OPERATOR_KEY, OTHER_KEY, 401, id="an unknown key"),
        pytest.param(None, OPERATOR_KEY, None, 401, id="no key where only operators need one"),
        pytest.param(None, OPERATOR_KEY, OPERATOR_KEY, 200, id="the operator's key where only operators need one"),
        pytest.param(KEY, KEY, KEY, 200, id="a key that is both"),
    ],
)
async def test_who_may_read_the_metrics(
    api_keys: str | None, operator_keys: str | None, key: str | None, status: int, method: str
) -> None:
    settings = Settings(api_keys=api_keys, operator_keys=operator_keys)
    assert (await ask(settings, "/metrics", key, method))[0] == status


async def test_a_caller_is_told_which_setting_there_is() -> None:
    _, text = await ask(Settings(api_keys=KEY), "/metrics", KEY)
    assert "TORCHBRIDGE_OPERATOR_KEYS" in text
    assert KEY not in text


async def test_an_operators_key_generates_nothing() -> None:
    settings = Settings(api_keys=KEY, operator_keys=OPERATOR_KEY)
    assert (await ask(settings, "/models", OPERATOR_KEY))[0] == 401


async def test_callers_need_no_key_where_only_operators_have_one() -> None:
    assert (await ask(Settings(operator_keys=OPERATOR_KEY), "/models", None))[0] == 200


async def test_operators_keys_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "operators"
    file.touch(0o600)
    file.write_text(f"prometheus:{OPERATOR_KEY}")
    settings = Settings(api_keys=KEY, operator_keys_file=file)
    assert (await ask(settings, "/metrics", OPERATOR_KEY))[0] == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(operator_keys="short"), "TORCHBRIDGE_OPERATOR_KEYS: API key 1 has fewer"),
        (Settings(operator_keys_file=Path("/nowhere")), "TORCHBRIDGE_OPERATOR_KEYS_FILE: /nowhere cannot be read"),
        (Settings(operator_keys=KEY, operator_keys_file=Path("/nowhere")), "OPERATOR_KEYS_FILE are both set"),
    ],
)
def test_what_is_wrong_with_them_is_said_by_their_name(settings: Settings, message: str) -> None:
    with pytest.raises(ApiKeysError, match=message):
        create_app(settings)


@pytest.mark.parametrize("name", ["TORCHBRIDGE_OPERATOR_KEYS", "TORCHBRIDGE_OPERATOR_KEYS_FILE"])
def test_no_worker_gets_them(name: str) -> None:
    assert worker_environment({name: OPERATOR_KEY}) == {}
    with pytest.raises(EnvironmentRefused):
        worker_environment({name: OPERATOR_KEY, PASSED_VARIABLE: name})
