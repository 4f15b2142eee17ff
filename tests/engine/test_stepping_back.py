"""Computing steps back for those who speak."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.stepping_back import STEPS, step_back

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere threads have no priority of their own"
)


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_only_the_thread_that_asks_steps_back() -> None:
    before = niceness()
    with ThreadPoolExecutor(1, initializer=step_back) as computing:
        assert computing.submit(niceness).result() == STEPS
    assert niceness() == before
