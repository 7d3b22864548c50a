"""What holds for all tests."""

import asyncio
import gc
import os
import re
import ssl
from collections.abc import Awaitable
from functools import cache
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

import fastapi._compat.v2
import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, settings
from pydantic import TypeAdapter
from xdist.scheduler import LoadFileScheduling

from tests.project import PROJECT
from tests.waiting import PATIENCE

# A busy machine is no failure, and chance decides about no run but that of `make soak`, which looks for new examples.
SOAKS = "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not SOAKS,
    max_examples=100 if SOAKS else 40,
)
settings.load_profile("any machine")
for phase in ("connect", "read", "write", "pool"):
    # Of each call that names no limit: httpx has five seconds.
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE)
_create_ssl_context = httpx._transports.default.create_ssl_context


@cache
def _kept_context(_file: str | None, **options: Any) -> ssl.SSLContext:
    return _create_ssl_context(**options)


# Each client of httpx, and so each call without one, reads a hundred certificates: that takes longer than most tests.
httpx._transports.default.create_ssl_context = lambda **options: _kept_context(
    os.environ.get("SSL_CERT_FILE"), **options
)

_adapters: dict[tuple[Any, str], TypeAdapter[Any]] = {}


def _kept_adapter(kind: Any, **config: Any) -> TypeAdapter[Any]:
    described = kind.__origin__, repr((kind.__metadata__, config))
    if described not in _adapters:
        _adapters[described] = TypeAdapter(kind, **config)
    return _adapters[described]


# Each of the thousand gateways makes a hundred of them for FastAPI: half of its time, and then much garbage.
fastapi._compat.v2.TypeAdapter = _kept_adapter


def _sleep_shortly(seconds: float) -> Awaitable[None]:
    return asyncio.sleep(min(seconds, 0.01))


# A server of uvicorn's looks ten times a second whether it is to end, and takes another tenth for that.
uvicorn.server.asyncio = SimpleNamespace(**vars(asyncio) | {"sleep": _sleep_shortly})

# No test cuts the power: what is written is there without the disk's word, which takes milliseconds.
os.fsync = os.fdatasync = lambda _: None

# Of torch here and in what tests start. Small models gain nothing by more, and where a core is busy they wait for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A build takes a core for a minute, beside whatever is tested. Who tests one switches it on.
os.environ["TORCHBRIDGE_COMPILE"] = "false"
# Else each process that builds asks g++ at first, for ten seconds, whether it knows this processor.
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")
# g++ takes most of a build for the code around the loops, which is the same for all: here it need not be fast.
os.environ.setdefault("AOT_INDUCTOR_COMPILE_WRAPPER_OPT_LEVEL", "O0")


# What tests are made of stays: to look for garbage in it takes a second each time, and there is none while it is made.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


# The app, and a model's compiled steps, are built once for all tests of these directories.
_BUILT_ONCE = {"browser", "compiled_steps"}
# As a test, or a fixture, asks for the one TorchServe of tests/end_to_end/conftest.py. Some files have their own.
_SHARED_STACK = re.compile(r"\b(gateway_url: str|gateway_settings: Settings|torchserve: TorchServeProcess)[,)]")
_OWN_STACK = re.compile(r"^def (gateway_url|torchserve)\(", re.MULTILINE)


class _FilesThatShare(LoadFileScheduling):
    """A file's tests in one process, as `--dist loadfile` has them, and all that share what is slow to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePath(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name in _BUILT_ONCE or _shares_the_stack(file) else file)


@cache
def _shares_the_stack(file: PurePath) -> bool:
    if file.parent.name != "end_to_end":
        return False
    content = (PROJECT / file).read_text()
    return bool(_SHARED_STACK.search(content)) and not _OWN_STACK.search(content)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _FilesThatShare | None:
    return _FilesThatShare(config, log) if config.getvalue("dist") == "loadfile" else None
