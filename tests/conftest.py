"""What holds for all tests."""

import os

import httpx
from hypothesis import HealthCheck, settings

from tests.waiting import PATIENCE

# A busy machine is no failure, and chance decides about no run but that of `make soak`, which looks for new examples.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="TORCHBRIDGE_TEST_EVERY_POINT" not in os.environ,
)
settings.load_profile("any machine")
for phase in ("connect", "read", "write", "pool"):
    # Of each call that names no limit: httpx has five seconds.
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE)

# Of torch here and in what tests start. Small models gain nothing by more, and where a core is busy they wait for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A build takes a core for a minute, beside whatever is tested. Who tests one switches it on.
os.environ["TORCHBRIDGE_COMPILE"] = "false"
