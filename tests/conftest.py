"""What holds for all tests."""

import gc
import os

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.quick_libraries import hurry_libraries
from tests.shared_fixtures import FilesThatShare
from tests.waiting import PATIENCE

hurry_libraries()

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


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesThatShare | None:
    return FilesThatShare(config, log) if config.getvalue("dist") == "loadfile" else None
