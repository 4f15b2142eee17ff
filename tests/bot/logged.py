"""The log of a command that a test runs in its own process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def own_log() -> Iterator[None]:
    """What a command does to the log of its process is undone."""
    root = logging.getLogger()
    before, level, told = root.handlers[:], root.level, structlog.get_config()
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in before:
                handler.close()
        root.handlers[:] = before
        root.setLevel(level)
        structlog.configure(**told)
