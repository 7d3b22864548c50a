"""What holds for all tests."""

import os

from hypothesis import HealthCheck, settings

# A busy machine is no failure.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A build takes a core for a minute, beside whatever is tested. Who tests one switches it on.
os.environ["TORCHBRIDGE_COMPILE"] = "false"
