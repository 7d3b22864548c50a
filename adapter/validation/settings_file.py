"""The gateway's settings from a TOML file, which has the names of settings.py, beside the environment."""

import difflib
import os
import stat
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import TomlConfigSettingsSource

from adapter.durable.secret_file import NotSecret, check_secrecy
from adapter.settings import PREFIX, Settings


class SettingsError(ValueError):
    """Each reason names the setting, and where it is: it shows no value."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def read_settings(file: Path | None, **chosen: Any) -> Settings:
    """`chosen` overrides the environment, which overrides `file`, which overrides the defaults.

    Raises SettingsError, or OSError where it cannot be read.
    """
    if file is None:
        return _settings(None, {}, chosen)
    file = file.expanduser()
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"{file} is no file.")
    named = _read(file)
    _check_names(file, named)
    variables = {name.upper() for name in os.environ}
    counting = {name: value for name, value in named.items() if _variable(name) not in variables and name not in chosen}
    settings = _settings(file, counting, chosen)
    _check_secrets(file, status, [name for name in named if isinstance(getattr(settings, name), SecretStr)])
    return settings


def _settings(file: Path | None, counting: Mapping[str, Any], chosen: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**counting, **chosen)
    except ValidationError as error:
        raise SettingsError(*_reasons(error, file, counting)) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return TomlConfigSettingsSource(Settings, file).toml_data
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.") from None


def _check_names(file: Path, names: Iterable[str]) -> None:
    for name in names:
        if name not in Settings.model_fields:
            sought = name.lower().removeprefix(PREFIX.lower())
            [nearest] = difflib.get_close_matches(sought, Settings.model_fields, n=1, cutoff=0)
            raise SettingsError(f"{file}: {name} is no setting: is {nearest} meant?")


def _reasons(error: ValidationError, file: Path | None, names: Collection[str]) -> Iterator[str]:
    """Says of each wrong value where it is: the file has those of `names`, and the environment others."""
    for detail in error.errors(include_url=False, include_input=False):
        name = str(detail["loc"][0])
        yield f"{f'{file}: {name}' if name in names else _variable(name)}: {detail['msg']}"


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _check_secrets(file: Path, status: os.stat_result, secrets: list[str]) -> None:
    if secrets:
        try:
            check_secrecy(file, status)
        except NotSecret as error:
            raise SettingsError(f"{error} It has {' and '.join(secrets)} in it.") from None
