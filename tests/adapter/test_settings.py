import pytest
from pydantic import ValidationError

from adapter.settings import Settings, UnknownVariable, check_variables


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


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://:s3cret@host", id="no scheme of Redis"),
        pytest.param("redis://:s3cret@host:port", id="no port"),
        pytest.param("redis://:s3cret@[::1", id="no host"),
        pytest.param("redis://:s3cret@host?socket_timeout=s3cret", id="no number"),
        pytest.param("redis://:s3cret@host?secret=s3cret", id="no such option"),
        pytest.param("", id="nothing"),
    ],
)
def test_refuses_what_is_no_address_of_a_redis_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError, match="Must be like redis://") as refusal:
        Settings(redis_url=url)
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("url", ["redis://host", "rediss://user:s3cret@host:1/2?socket_timeout=3", "unix:///a.sock"])
def test_takes_every_address_of_a_redis(url: str) -> None:
    redis_url = Settings(redis_url=url).redis_url
    assert redis_url is not None
    assert redis_url.get_secret_value() == url
    assert "s3cret" not in repr(redis_url)


def test_refuses_an_empty_host_which_would_be_every_address() -> None:
    with pytest.raises(ValidationError):
        Settings(host="")


def test_refuses_a_grace_without_an_end() -> None:
    with pytest.raises(ValidationError):
        Settings(shutdown_grace=float("inf"))


@pytest.mark.parametrize("limit", ["max_body_bytes", "max_live_requests", "silence_timeout"])
def test_refuses_a_limit_that_would_refuse_everything(limit: str) -> None:
    with pytest.raises(ValidationError):
        Settings(**{limit: 0})


def test_origins_of_pages_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_CORS_ORIGINS", "http://localhost:3000, https://app.example.com")
    assert Settings().cors_origins == ("http://localhost:3000", "https://app.example.com")


@pytest.mark.parametrize(
    "origins",
    [
        *("*", "null", "localhost:3000", "http://localhost:3000/", "http://*.example.com", "HTTP://localhost"),
        *("https://App.example.com", "http://u@h", "http://h:", "https://a.example https://b.example"),
    ],
)
def test_refuses_what_no_browser_sends_as_an_origin(origins: str) -> None:
    with pytest.raises(ValidationError, match=r"Must be origins such as https://app\.example\.com"):
        Settings(cors_origins=f"http://localhost:3000,{origins}")


def test_names_of_hosts_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_ALLOWED_HOSTS", "gateway, app.example.com")
    assert Settings().allowed_hosts == ("gateway", "app.example.com")


@pytest.mark.parametrize("host", ["http://gateway", "gateway:8000", "*.example.com", "a b"])
def test_refuses_what_is_no_name_of_a_host(host: str) -> None:
    with pytest.raises(ValidationError, match=r"Must be names such as app\.example\.com without ports"):
        Settings(allowed_hosts=f"gateway,{host}")


def test_proxies_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,fd00::/8")
    assert Settings().trusted_proxies == ("127.0.0.1", "10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize("proxy", ["*", "proxy.example.com", "10.0.0.1/8", "10.0.0.1:80", "10.0.0.1 10.0.0.2"])
def test_refuses_what_is_no_address_of_a_proxy(proxy: str) -> None:
    with pytest.raises(ValidationError, match="Must be addresses or networks such as"):
        Settings(trusted_proxies=f"127.0.0.1,{proxy}")


@pytest.mark.parametrize("path", ["", "/llm", "/a/b.c/~d", "/v1.0"])
def test_takes_a_prefix_of_paths(path: str) -> None:
    assert Settings(root_path=path).root_path == path


@pytest.mark.parametrize("path", ["/", "llm", "/llm/", "//llm", "/../llm", "/l m", "/l%6dm", "/llm?a", "https://a/llm"])
def test_refuses_a_prefix_that_no_address_has(path: str) -> None:
    with pytest.raises(ValidationError, match="Must be a path such as /llm"):
        Settings(root_path=path)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("TORCHBRIDGE_RATE_LIMITS", "TORCHBRIDGE_RATE_LIMIT"), ("TORCHBRIDGE_CACHE_MAXAGE", "TORCHBRIDGE_CACHE_MAX_AGE")],
)
def test_a_name_that_is_no_setting_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(UnknownVariable, match=f"^{name} is no setting: is {nearest} meant[?]$"):
        check_variables([name])


def test_the_names_of_settings_clients_tests_and_others_are_known() -> None:
    ours = [f"TORCHBRIDGE_{name.upper()}" for name in Settings.model_fields]
    check_variables([*ours, "TORCHBRIDGE_API_KEY", "TORCHBRIDGE_TEST_REQUESTS", "TORCH_HOME", "PATH"])
