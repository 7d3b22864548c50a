"""Whether a server could start with these settings."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapter.doctor.finding import Finding, Scene, warning, wrong
from adapter.doctor.server import is_served
from adapter.generation.rate_limit import RateLimiter, RateLimitError
from adapter.http.api_keys import ApiKeys, ApiKeysError
from adapter.serving.tls import Tls, TlsError
from adapter.settings import Settings, UnknownVariable, check_variables
from adapter.torchserve.ports import AddressUnusable, PortInUse, bind, check_torchserve_ports
from adapter.torchserve.properties import PropertiesError, read_properties
from adapter.validation.settings_file import SettingsError, read_settings

_PATIENCE = 3  # seconds; a Redis nearby answers in a thousandth of one


def check_settings(scene: Scene) -> Iterator[Finding]:
    try:
        check_variables(scene.environment)
    except UnknownVariable as error:
        yield wrong(str(error), "Correct its name, or unset it.")
    try:
        _read(scene)
    except SettingsError as error:
        for reason in error.reasons:
            yield wrong(reason, "Correct it, or unset it.")
    except OSError as error:
        yield wrong(str(error), "Correct it, or name another file with --config or TORCHBRIDGE_CONFIG.")


def check_keys(scene: Scene) -> Iterator[Finding]:
    if (settings := _settings(scene)) is None:
        return
    tries: tuple[Callable[[], object], ...] = (
        lambda: ApiKeys.configured(settings.api_keys, settings.api_keys_file),
        lambda: ApiKeys.configured(settings.operator_keys, settings.operator_keys_file, setting="OPERATOR_KEYS"),
        lambda: ApiKeys.configured(settings.rollout_keys, settings.rollout_keys_file, setting="ROLLOUT_KEYS"),
        lambda: RateLimiter(settings.rate_limit),
    )
    for attempt in tries:
        try:
            attempt()
        except (ApiKeysError, RateLimitError) as error:
            yield wrong(str(error), "docs/security.md, API keys, has the form.")


def check_tls(scene: Scene) -> Iterator[Finding]:
    if (settings := _settings(scene)) is None:
        return
    try:
        Tls.configured(settings.tls_certificate, settings.tls_key)
    except TlsError as error:
        yield wrong(str(error), "docs/security.md, TLS, has what is needed.")


def check_gateway_port(scene: Scene) -> Iterator[Finding]:
    settings = _settings(scene)
    if settings is None or is_served(scene.run_directory):
        return  # the server itself listens there
    try:
        bind(settings.host, settings.port, "the gateway", "choose another one with TORCHBRIDGE_PORT").close()
    except (PortInUse, AddressUnusable) as error:
        yield wrong(str(error))


def check_torchserve(scene: Scene) -> Iterator[Finding]:
    try:
        properties = read_properties(scene.config)
        if not is_served(scene.run_directory):
            check_torchserve_ports(properties)
    except (PropertiesError, PortInUse, AddressUnusable) as error:
        yield wrong(str(error))


def check_redis(scene: Scene) -> Iterator[Finding]:
    settings = _settings(scene)
    if settings is None or settings.redis_url is None:
        return
    if (reason := asyncio.run(_why_no_redis(settings.redis_url.get_secret_value()))) is not None:
        yield warning(
            f"Redis, where gateways share answers, cannot be used: {reason}.",
            "Start it, or correct TORCHBRIDGE_REDIS_URL.",
        )


async def _why_no_redis(url: str) -> str | None:
    """Why, as the error's type alone says it: the library's words may quote the address, and with it a password."""
    client = Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        return type(error).__name__
    finally:
        await client.aclose()
    return None


def _settings(scene: Scene) -> Settings | None:
    """None if they are wrong, which check_settings reports."""
    try:
        return _read(scene)
    except (OSError, SettingsError):
        return None


def _read(scene: Scene) -> Settings:
    file = scene.settings_file or scene.environment.get("TORCHBRIDGE_CONFIG")
    return read_settings(Path(file) if file else None)
