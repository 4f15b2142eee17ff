"""Events that discord.py cannot read. It ends the connection over one, and whatever comes meanwhile is never heard;
here such an event is passed over. What an event means it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Reader = Callable[[Any], None]
#: Without these there is no connection to speak of.
VITAL = frozenset({"READY", "RESUMED"})


def guard(readers: MutableMapping[str, Reader]) -> None:
    """Make each of discord.py's readers of events, by the event's name, survive what it does not understand."""
    for event, read in list(readers.items()):
        if event not in VITAL:
            readers[event] = _guarded(event, read)


def _guarded(event: str, read: Reader) -> Reader:
    def guarded(data: Any) -> None:
        try:
            read(data)
        except Exception as error:
            log.warning("discord_event_not_understood", happening=event, cause=repr(error)[:200])

    return guarded
