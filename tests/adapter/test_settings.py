import pytest
from pydantic import ValidationError

from adapter.settings import Settings


def test_listens_on_loopback_and_looks_for_torchserve_there() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.torchserve_url, settings.management_url) == ("http://127.0.0.1:8080", "http://127.0.0.1:8081")


def test_the_environment_changes_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_DEFAULT_MODEL", "story")
    assert Settings().default_model == "story"


def test_cannot_be_changed_after_it_was_read() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


@pytest.mark.parametrize(
    "url", ["http://h:1/models", "http://u:p@h:1", "h:1", "http://h:1?a", "http://h:1#a", "http://h:1\n"]
)
def test_refuses_a_torchserve_address_that_is_more_than_an_origin(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(torchserve_url=url)


@pytest.mark.parametrize("limit", ["max_body_bytes", "max_live_requests", "silence_timeout"])
def test_refuses_a_limit_that_would_refuse_everything(limit: str) -> None:
    with pytest.raises(ValidationError):
        Settings(**{limit: 0})
