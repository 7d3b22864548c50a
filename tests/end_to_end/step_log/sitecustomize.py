"""Has TorchServe's workers write down each step of their engine: when it began, and for which requests it was.

Python imports it by its name in every process that has its directory in PYTHONPATH. TEST_STEP_LOG names the
file: a line has seconds of the machine's monotonic clock, and TorchServe's ids.
"""

import os
import sys
import threading
import time
from pathlib import Path


def _log_steps() -> None:
    while not hasattr(sys.modules.get("handlers.engine"), "Engine"):
        time.sleep(0.01)
    engine = sys.modules["handlers.engine"].Engine
    make_step = engine.step
    log = Path(os.environ["TEST_STEP_LOG"]).open("a", buffering=1)  # noqa: SIM115 - until the worker ends

    def step(self: object) -> object:
        began = time.monotonic()
        made = make_step(self)
        if made is not None:
            log.write(f"{began} {' '.join(made.ids)}\n")
        return made

    engine.step = step


if any(argument.endswith("model_service_worker.py") for argument in sys.orig_argv):
    threading.Thread(target=_log_steps, daemon=True).start()
