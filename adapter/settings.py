"""The gateway's settings: one frozen object, each default in sight, each changed by TORCHBRIDGE_<NAME>.

settings_file.py reads them from a file, too.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveInt, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from adapter.schema import MAX_BATCH_REQUESTS, Name

# Nothing after the port: a path would come in front of the model's name, and credentials do not belong here.
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@\s]+\Z")]
LOAD_TIMEOUT, RESTART_TIMEOUT = 900.0, 120.0  # seconds

PREFIX = "TORCHBRIDGE_"

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LogFormat: TypeAlias = Literal["text", "json"]


def _check_redis_url(url: SecretStr) -> SecretStr:
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - a command would wait for it, and few have one

    try:
        pool = BlockingConnectionPool.from_url(url.get_secret_value())
        pool.connection_class(**pool.connection_kwargs)  # connects to nothing yet, but refuses unknown options
    except (TypeError, ValueError):
        # Their own words quote the address, and the password may be in what they quote.
        form = "redis://[[user]:password@]host[:port][/database][?option=value]"
        raise PydanticCustomError("redis_url", "Must be like {form}, with redis-py's options", {"form": form}) from None
    return url


RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]


def _check_page_origin(origin: str) -> str:
    # As browsers write it: any other would never be one's equal, and `*` would be every page there is.
    if not re.fullmatch(r"https?://([a-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]+)?", origin):
        raise PydanticCustomError("page_origin", "Must be origins such as https://app.example.com, between commas")
    return origin


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_host_name(name: str) -> str:
    if not re.fullmatch(r"\*|[A-Za-z0-9._-]+", name):
        raise PydanticCustomError("host_name", "Must be names such as app.example.com without ports, between commas")
    return name


def _check_proxy(proxy: str) -> str:
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        message = "Must be addresses or networks such as 10.0.0.0/8, between commas"
        raise PydanticCustomError("proxy", message) from None
    return proxy


def _check_root_path(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", path):
        raise PydanticCustomError("root_path", "Must be a path such as /llm, without a slash at its end")
    return path


HostName = Annotated[str, AfterValidator(_check_host_name)]
PageOrigin = Annotated[str, AfterValidator(_check_page_origin)]
Proxy = Annotated[str, AfterValidator(_check_proxy)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, regex_engine="python-re", hide_input_in_errors=True
    )

    host: str = Field(
        default="127.0.0.1",
        min_length=1,  # an empty one would be every address
        description="Where it listens: this machine only, unless it says otherwise. `::` is every address.",
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="At 0 the system chooses one.")

    torchserve_url: Origin = Field(default="http://127.0.0.1:8080", description="`torchbridge serve` sets it.")
    management_url: Origin = Field(default="http://127.0.0.1:8081", description="And this one.")
    key_file: Path = Field(default=Path(".torchbridge/key_file.json"), description="Written by TorchServe.")

    model_store: Path = Field(
        default=Path(".torchbridge/model_store"), description="Where TorchServe's archives lie, to be looked into."
    )

    compilations: Path = Field(
        default=Path(".torchbridge/compilations"),
        description="Where workers write how far they are with their steps, and what their engines did.",
    )

    api_keys: SecretStr | None = Field(default=None, description="`name:key` or `key`, between commas. None: no key.")
    api_keys_file: Path | None = Field(default=None, description="The same on lines; may change while it is served.")
    operator_keys: SecretStr | None = Field(
        default=None,
        description="As api_keys, for what tells of all callers. None: without API keys all may read it, else nobody.",
    )
    operator_keys_file: Path | None = Field(default=None, description="As api_keys_file.")
    rollout_keys: SecretStr | None = Field(
        default=None, description="As api_keys, for who may change what is served (docs/rollout.md). None: nobody."
    )
    rollout_keys_file: Path | None = Field(default=None, description="As api_keys_file.")
    cors_origins: Annotated[tuple[PageOrigin, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), description="Of pages that a browser lets call the gateway, between commas."
    )
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), description="Names in a Host header, between commas, or *. Without keys, others are refused."
    )
    trusted_proxies: Annotated[tuple[Proxy, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), description="Addresses and networks whose X-Forwarded-For, -Proto and -Host count, between commas."
    )
    root_path: Annotated[str, AfterValidator(_check_root_path)] = Field(
        default="", description="Before all addresses, for callers: a proxy in front may take it away, or leave it."
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM, with its issuers' after it. None: no TLS. May change while it is served."
    )
    tls_key: Path | None = Field(default=None, description="Of the certificate. PEM, its user's alone.")
    cursor_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs the ids of a stream's events: one key for all gateways. torchbridge serve makes one.",
    )
    rate_limit: str | None = Field(default=None, description='Generations of one API key, such as "60/minute".')

    default_model: Name | None = Field(default=None, description="None: the only model there is.")
    max_body_bytes: PositiveInt = Field(
        default=2**20, description="JSON escapes may triple them on the way to TorchServe."
    )
    max_batch_requests: PositiveInt = Field(default=32, le=MAX_BATCH_REQUESTS, description="In one call.")

    # As many requests run as the model's worker has slots (batchSize in model-config.yaml).
    max_waiting_requests: PositiveInt = Field(default=128, description="For one version. One more is overloaded.")
    max_live_requests: PositiveInt = Field(default=1_024, description="All that wait, run or are read from the cache.")

    max_connections: PositiveInt = Field(
        default=10_000, description="Fewer where there are few file descriptors. Idle ones give way to new ones."
    )

    cache_max_bytes: PositiveInt = Field(default=64 * 2**20, description="Of answers that this process keeps.")
    cache_max_age: NonNegativeInt = Field(default=3_600, description="Seconds. At 0 nothing is kept.")
    redis_url: RedisUrl | None = Field(
        default=None, description="Where gateways share answers, rate limits and what is counted of canaries."
    )

    batch_directory: Path | None = Field(
        default=None, description="Where /v1/files and /v1/batches keep all. None: there are none of them."
    )
    batch_max_running: PositiveInt = Field(default=4, description="Requests of batches that run at once.")
    batch_max_lines: PositiveInt = Field(
        default=50_000, description="Of one batch. A line is as long as a body may be."
    )
    batch_max_file_bytes: PositiveInt = Field(default=100 * 2**20, description="Of one upload.")
    batch_max_age: PositiveInt = Field(
        default=30 * 86_400, description="Seconds. Then files and batches that have ended are deleted."
    )

    compile: bool = Field(default=True, description="Whether workers compile their steps in the background.")
    engine_first: bool = Field(
        default=True, description="Whether the gateway's threads in `torchbridge serve` are nicer by 5 on Linux."
    )
    load_timeout: Seconds = Field(
        default=LOAD_TIMEOUT, description="For TorchServe and its workers to be ready, at a start and after a crash."
    )

    log_format: LogFormat = Field(
        default="text", description="Of the lines on the standard error. The file of them is always JSON."
    )
    trace_redaction: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z",
        description="MODULE:FUNCTION that each text goes through before it is in a trace, where texts are at all.",
    )

    request_timeout: Seconds = Field(default=600, description="Callers may ask for less: X-Request-Timeout.")
    first_token_timeout: Seconds = Field(default=300, description="And for less: X-First-Token-Timeout.")
    body_timeout: Seconds = Field(default=30, description="For the whole body of a request to arrive.")
    keep_alive_timeout: PositiveInt = Field(
        default=75,
        description="Seconds. Longer than a proxy in front keeps its connections: nginx and ALB 60, aiohttp 15.",
    )
    silence_timeout: Seconds = Field(default=60, description="Without an event from a running worker.")
    max_continuations: NonNegativeInt = Field(
        default=2, description="How often an answer goes on at another worker, after its own has died."
    )
    unread_stream_seconds: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="How long a stream with X-Resumable runs on when its caller has left, to be found again.",
    )
    restart_timeout: Seconds = Field(
        default=RESTART_TIMEOUT,
        description="For a worker, or TorchServe, that was ready and is started again to be ready again.",
    )
    heartbeat_interval: Seconds = Field(default=15, description="Between comments in a stream without events.")
    shutdown_delay: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that it still serves when it is told to stop: for a balancer to see that it is not ready.",
    )
    shutdown_grace: Seconds = Field(default=10, description="For the answers that are being written.")

    @property
    def asks_for_keys(self) -> bool:
        return self.api_keys is not None or self.api_keys_file is not None


# Of clients, of other commands, and of the workers.
_OTHERS = (
    *("API_KEY", "BASE_URL", "COMPILED_STEPS", "CONFIG", "PASS_ENVIRONMENT", "RUN_DIRECTORY"),
    *("ROLLOUT_KEY", "SIGNING_KEY"),
)
_OF_TESTS = f"{PREFIX}TEST_"


class UnknownVariable(ValueError):
    """A variable of the environment has a name like ours and is none: nobody would know that it changes nothing."""


def check_variables(names: Iterable[str]) -> None:
    """Raises UnknownVariable, with the name that is the most alike."""
    known = [f"{PREFIX}{name.upper()}" for name in (*Settings.model_fields, *_OTHERS)]
    for name in names:
        if name.startswith(PREFIX) and not name.startswith(_OF_TESTS) and name not in known:
            [nearest] = difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise UnknownVariable(f"{name} is no setting: is {nearest} meant?")
