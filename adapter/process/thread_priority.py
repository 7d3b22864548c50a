"""The gateway's thread gives way to a worker on the same machine.

Time that it takes from a core costs the worker twice: the other threads of a step wait for the one that stands.
"""

import contextlib
import os
import sys
import threading

NICER_BY = 5  # of 19, setpriority(2): a third of the time of its competitor, and enough for both


def give_way() -> None:
    """Lowers the priority of the thread that calls, and of those that it starts from now on. There is no way back.

    It counts beside threads of the same session alone where the kernel groups them by session (autogroup, sched(7)).
    Only Linux has a priority for each thread; elsewhere nothing is changed.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # a sandbox that allows no such call
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICER_BY)
