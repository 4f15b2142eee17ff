"""Threads that compute for seconds step back for those that answer in milliseconds."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

#: Of nice's nineteen steps: the computing goes on with all that is left, and is passed by whoever wakes up.
STEPS = 10


def step_back() -> None:
    """Lower the priority of the thread that calls; where threads have none of their own, nothing happens."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), STEPS)
