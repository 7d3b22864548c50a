"""The gateway's settings: one frozen object, each default in sight, each changed by TORCHBRIDGE_<NAME>.

settings_file.py reads them from a file, too.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from adapter.names import Name
from adapter.schema import MAX_BATCH_REQUESTS
from adapter.setting_values import HostName, Origin, PageOrigin, Proxy, RedisUrl, RootPath, split_at_commas

LOAD_TIMEOUT, RESTART_TIMEOUT = 900.0, 120.0  # seconds

PREFIX = "TORCHBRIDGE_"

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LogFormat: TypeAlias = Literal["text", "json"]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, regex_engine="python-re", hide_input_in_errors=True
    )

    host: str = Field(
        default="127.0.0.1",
        min_length=1,  # an empty one would be every address
        description="Address where the gateway listens: by default on this machine only. `::` is every address.",
    )
    port: int = Field(
        default=8000, ge=0, le=65_535, description="Port where the gateway listens. At 0 the system chooses one."
    )

    torchserve_url: Origin = Field(
        default="http://127.0.0.1:8080",
        description="Address of TorchServe's inference API. `torchbridge serve` sets it.",
    )
    management_url: Origin = Field(
        default="http://127.0.0.1:8081",
        description="Address of TorchServe's management API. `torchbridge serve` sets it.",
    )
    key_file: Path = Field(
        default=Path(".torchbridge/key_file.json"), description="File into which TorchServe writes its keys."
    )

    model_store: Path = Field(
        default=Path(".torchbridge/model_store"),
        description="Directory of TorchServe's archives, which the gateway reads as well.",
    )

    compilations: Path = Field(
        default=Path(".torchbridge/compilations"),
        description="Directory where workers write how far their compilation is and what their engines did, and where "
        "they hear at once which answers nobody waits for.",
    )

    api_keys: SecretStr | None = Field(
        default=None, description="Callers' keys: `name:key` or `key`, between commas. None: callers need no key."
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="File of callers' keys, one `name:key` on each line. It may change while the gateway runs.",
    )
    operator_keys: SecretStr | None = Field(
        default=None,
        description="Keys for /metrics and /canary/verdict, in the form of api_keys. None: everybody may read"
        " these if there are no API keys, and otherwise nobody.",
    )
    operator_keys_file: Path | None = Field(
        default=None, description="File of operator keys, in the form of api_keys_file."
    )
    rollout_keys: SecretStr | None = Field(
        default=None,
        description="Keys that may change what is served (docs/rollout.md), in the form of api_keys. None: nobody may.",
    )
    rollout_keys_file: Path | None = Field(
        default=None, description="File of rollout keys, in the form of api_keys_file."
    )
    cors_origins: Annotated[tuple[PageOrigin, ...], NoDecode, BeforeValidator(split_at_commas)] = Field(
        default=(), description="Origins of pages that a browser lets call the gateway, between commas."
    )
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(split_at_commas)] = Field(
        default=(),
        description="Names that a Host header may have, between commas, or *. Without API keys, others are refused.",
    )
    trusted_proxies: Annotated[tuple[Proxy, ...], NoDecode, BeforeValidator(split_at_commas)] = Field(
        default=(),
        description="Addresses and networks of proxies whose X-Forwarded-For, -Proto and -Host count, between commas.",
    )
    root_path: RootPath = Field(
        default="",
        description="Path in front of all addresses, as callers see them. A proxy may take it away, or leave it.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="Certificate in PEM, with its issuers' after it. None: no TLS. The file may change while the"
        " gateway runs.",
    )
    tls_key: Path | None = Field(
        default=None, description="Private key of the certificate, in PEM. Nobody but its user may read the file."
    )
    cursor_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secret that signs the ids of a stream's events: one for all gateways. `torchbridge serve`"
        " makes one.",
    )
    rate_limit: str | None = Field(default=None, description='Most generations of one API key, such as "60/minute".')

    default_model: Name | None = Field(
        default=None,
        description="Model of requests that name none. None: the only model there is. `torchbridge serve` takes"
        " it from its record.",
    )
    max_body_bytes: PositiveInt = Field(
        default=2**20, description="Largest body of a request. JSON escapes may triple it on the way to TorchServe."
    )
    max_batch_requests: PositiveInt = Field(
        default=32, le=MAX_BATCH_REQUESTS, description="Most requests in one call of /generate/batch."
    )

    # As many requests run as the model's worker has slots (batchSize in model-config.yaml).
    max_waiting_requests: PositiveInt = Field(
        default=128, description="Most requests that wait for one version. One more is overloaded."
    )
    max_live_requests: PositiveInt = Field(
        default=1_024, description="Most requests that wait, run or are read from the cache."
    )

    max_connections: PositiveInt = Field(
        default=10_000,
        description="Most open connections, or fewer if there are few file descriptors. Idle ones give way to"
        " new ones.",
    )

    cache_max_bytes: PositiveInt = Field(
        default=64 * 2**20, description="Most bytes of answers that this process keeps."
    )
    cache_max_age: NonNegativeInt = Field(
        default=3_600, description="How long an answer is kept, in seconds. At 0 nothing is kept."
    )
    redis_url: RedisUrl | None = Field(
        default=None, description="Redis in which gateways share answers, rate limits and the counts of canaries."
    )

    batch_directory: Path | None = Field(
        default=None,
        description="Directory of /v1/files and /v1/batches. None: these routes do not exist. `torchbridge"
        " serve` sets it.",
    )
    batch_max_running: PositiveInt = Field(
        default=16,
        description="Most requests of batches that run at once. Beside live calls it is 4, or less.",
    )
    batch_max_lines: PositiveInt = Field(
        default=50_000, description="Most requests of one batch. Each is at most as long as a body may be."
    )
    batch_max_file_bytes: PositiveInt = Field(
        default=100 * 2**20, description="Largest file that may be uploaded for a batch."
    )
    batch_max_age: PositiveInt = Field(
        default=30 * 86_400, description="How long files, and batches that have ended, are kept, in seconds."
    )

    compile: bool = Field(default=True, description="Whether workers compile their steps in the background.")
    engine_first: bool = Field(
        default=True,
        description="Whether the gateway's threads in `torchbridge serve` give way to the worker's, on Linux (nice 5).",
    )
    load_timeout: Seconds = Field(
        default=LOAD_TIMEOUT,
        description="Longest wait until TorchServe and its workers are ready, at a start and after a crash.",
    )

    log_format: LogFormat = Field(
        default="text", description="Form of the lines on the standard error. The log file is always JSON."
    )
    trace_redaction: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z",
        description="MODULE:FUNCTION that each text goes through before it is in a trace, if texts are traced at all.",
    )

    request_timeout: Seconds = Field(
        default=600, description="Longest time for a whole answer. Callers may ask for less by X-Request-Timeout."
    )
    first_token_timeout: Seconds = Field(
        default=300,
        description="Longest time until the first token. Callers may ask for less by X-First-Token-Timeout.",
    )
    body_timeout: Seconds = Field(default=30, description="Longest time until the whole body of a request has arrived.")
    keep_alive_timeout: PositiveInt = Field(
        default=75,
        description="How long an idle connection is kept, in seconds: longer than a proxy in front keeps it"
        " (nginx and ALB 60, aiohttp 15).",
    )
    silence_timeout: Seconds = Field(default=60, description="Longest time without an event from a running worker.")
    max_continuations: NonNegativeInt = Field(
        default=2, description="How often an answer goes on at another worker after its own has died."
    )
    unread_stream_seconds: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="How long a stream with X-Resumable runs on when its caller has left, so that it can be"
        " found again.",
    )
    restart_timeout: Seconds = Field(
        default=RESTART_TIMEOUT,
        description="Longest wait until a worker or TorchServe that is started again is ready again.",
    )
    heartbeat_interval: Seconds = Field(default=15, description="Time between comments in a stream without events.")
    shutdown_delay: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="How long the gateway still serves when it is told to stop, so that a balancer sees it is"
        " not ready.",
    )
    shutdown_grace: Seconds = Field(
        default=10, description="How long answers that are being written have until they are ended."
    )

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
