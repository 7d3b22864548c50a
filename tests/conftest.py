"""What holds for all tests."""

import os

import httpx
from hypothesis import HealthCheck, settings

from tests.waiting import PATIENCE

# A busy machine is no failure.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
for phase in ("connect", "read", "write", "pool"):
    # Of each call that names no limit: httpx has five seconds.
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE)

# A build takes a core for a minute, beside whatever is tested. Who tests one switches it on.
os.environ["TORCHBRIDGE_COMPILE"] = "false"
