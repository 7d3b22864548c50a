import os
import re
from pathlib import Path

import pytest

from adapter.settings import Settings
from adapter.validation.settings_file import SettingsError, read_settings

KEY = "s3cret-0123456789-abc"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.touch(0o600)
    return file


def test_a_file_has_the_names_of_the_settings_and_values_of_toml(file: Path) -> None:
    file.write_text(
        'port = 8443\ncors_origins = ["https://app.example.com"]\nallowed_hosts = "a, b"\nshutdown_grace = 1.5\n'
        'compile = false\napi_keys_file = "keys"\n'
    )
    settings = read_settings(file)
    assert (settings.port, settings.cors_origins, settings.allowed_hosts) == (
        8443,
        ("https://app.example.com",),
        ("a", "b"),
    )
    assert (settings.shutdown_grace, settings.compile, settings.api_keys_file) == (1.5, False, Path("keys"))


def test_every_setting_may_stand_in_it(file: Path) -> None:
    file.write_text("".join(f"{name} = {{}}\n" for name in Settings.model_fields))
    with pytest.raises(SettingsError) as refusal:
        read_settings(file)
    assert set(re.findall(r"gateway\.toml: (\w+): ", str(refusal.value))) >= Settings.model_fields.keys() - {"compile"}


def test_an_option_comes_before_a_variable_that_before_the_file_and_that_before_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('host = "127.0.0.2"\nport = 1\nrate_limit = "1/hour"')
    monkeypatch.setenv("TORCHBRIDGE_HOST", "127.0.0.3")
    monkeypatch.setenv("TORCHBRIDGE_PORT", "2")
    settings = read_settings(file, host="127.0.0.4")
    assert (settings.host, settings.port, settings.rate_limit) == ("127.0.0.4", 2, "1/hour")
    assert settings.max_batch_requests == Settings().max_batch_requests


def test_without_a_file_it_is_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_PORT", "2")
    assert read_settings(None).port == 2
    with pytest.raises(SettingsError, match=r"^TORCHBRIDGE_PORT: Input should be greater than"):
        read_settings(None, port=-1)


@pytest.mark.parametrize(
    ("line", "name", "nearest"),
    [
        ('rate_limits = "1/hour"', "rate_limits", "rate_limit"),
        ("PORT = 1", "PORT", "port"),
        ("TORCHBRIDGE_PORT = 1", "TORCHBRIDGE_PORT", "port"),
        ("[cors_origin]\na = 1", "cors_origin", "cors_origins"),
    ],
)
def test_a_name_that_is_no_setting_is_refused_with_the_nearest_one(
    line: str, name: str, nearest: str, file: Path
) -> None:
    file.write_text(line)
    with pytest.raises(SettingsError, match=rf"^{file}: {name} is no setting: is {nearest} meant\?$"):
        read_settings(file)


def test_each_wrong_value_is_said_with_its_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('port = -1\nhost = ""\nshutdown_grace = 1')
    monkeypatch.setenv("TORCHBRIDGE_HOST", "")
    with pytest.raises(SettingsError) as refusal:
        read_settings(file)
    host, port = str(refusal.value).split("; ")
    assert host.startswith("TORCHBRIDGE_HOST: ")
    assert port.startswith(f"{file}: port: ")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f'api_keys = ["{KEY}"]', id="a list"),
        pytest.param(f'redis_url = "{KEY}"', id="no address"),
        pytest.param(f"api_keys = {KEY}", id="no TOML"),
        pytest.param(f'api_keys = "{KEY}', id="a text without an end"),
        pytest.param(f'api_keys = "{KEY}"\napi_keys = "{KEY}"', id="a name twice"),
    ],
)
def test_no_refusal_shows_a_secret(content: str, file: Path) -> None:
    file.write_text(content)
    with pytest.raises(SettingsError, match=str(file)) as refusal:
        read_settings(file)
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "value"), [("api_keys", KEY), ("operator_keys", KEY), ("redis_url", f"redis://:{KEY}@host")]
)
def test_a_secret_may_stand_in_a_file_that_is_its_users_alone(name: str, value: str, file: Path) -> None:
    file.write_text(f'{name} = "{value}"')
    assert getattr(read_settings(file), name).get_secret_value() == value
    file.chmod(0o640)
    with pytest.raises(SettingsError, match=f"{file} is open to other users .*: chmod 600 it. It has {name} in it"):
        read_settings(file)


def test_a_secret_that_a_variable_replaces_is_still_there_to_be_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(f'api_keys = "{KEY}"')
    file.chmod(0o644)
    monkeypatch.setenv("TORCHBRIDGE_API_KEYS", KEY)
    with pytest.raises(SettingsError, match="It has api_keys in it"):
        read_settings(file)


def test_a_file_without_secrets_may_be_everybodys(file: Path) -> None:
    file.write_text('port = 1\napi_keys_file = "keys"')
    file.chmod(0o644)
    assert read_settings(file).port == 1


def test_what_cannot_be_read_is_said(file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.toml"):
        read_settings(tmp_path / "nothing.toml")
    with pytest.raises(SettingsError, match="is no file"):
        read_settings(tmp_path)
    file.write_bytes(b'host = "\xff"')
    with pytest.raises(SettingsError, match=r"gateway\.toml is not in UTF-8"):
        read_settings(file)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="is no file"):
        read_settings(tmp_path / "pipe")
