"""Has libraries spend no time that tests do not need: `tests/conftest.py` calls `hurry_libraries` before all else."""

import asyncio
import os
import ssl
from collections.abc import Awaitable
from functools import cache
from types import SimpleNamespace
from typing import Any

import fastapi._compat.v2
import httpx
import uvicorn
from pydantic import TypeAdapter

_create_ssl_context = httpx._transports.default.create_ssl_context
_adapters: dict[tuple[Any, str], TypeAdapter[Any]] = {}


def hurry_libraries() -> None:
    # Each client of httpx, and so each call without one, reads a hundred certificates: that takes longer than most
    # tests.
    httpx._transports.default.create_ssl_context = lambda **options: _kept_context(
        os.environ.get("SSL_CERT_FILE"), **options
    )
    # Each of the thousand gateways makes a hundred of them for FastAPI: half of its time, and then much garbage.
    fastapi._compat.v2.TypeAdapter = _kept_adapter
    # A server of uvicorn's looks ten times a second whether it is to end, and takes another tenth for that.
    uvicorn.server.asyncio = SimpleNamespace(**vars(asyncio) | {"sleep": _sleep_shortly})
    # No test cuts the power: what is written is there without the disk's word, which takes milliseconds.
    os.fsync = os.fdatasync = lambda _: None


@cache
def _kept_context(_file: str | None, **options: Any) -> ssl.SSLContext:
    return _create_ssl_context(**options)


def _kept_adapter(kind: Any, **config: Any) -> TypeAdapter[Any]:
    described = kind.__origin__, repr((kind.__metadata__, config))
    if described not in _adapters:
        _adapters[described] = TypeAdapter(kind, **config)
    return _adapters[described]


def _sleep_shortly(seconds: float) -> Awaitable[None]:
    return asyncio.sleep(min(seconds, 0.01))
