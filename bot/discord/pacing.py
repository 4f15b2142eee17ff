"""When something that may be dropped is shown: never faster than a channel likes it, and always its latest state.

It knows nothing of what is shown.
"""

from __future__ import annotations

import asyncio

from bot.remembered import Remembered

#: Channels and messages whose pace is remembered.
REMEMBERED = 2_000


class Pace:
    """Turns in a channel. Whoever waits with an older state of the same thing gives way to whoever comes."""

    def __init__(self, hurry: float) -> None:
        self._hurry = hurry
        self._free_at: Remembered[str, float] = Remembered(REMEMBERED)
        self._newest: Remembered[str, object] = Remembered(REMEMBERED)

    async def turn(self, channel: str, what: str, *, apart: float) -> bool:
        """Wait until `what` may be shown in a channel; False when something newer came to be shown instead."""
        mine = object()
        self._newest.keep(what, mine)
        while self._newest.get(what) is mine:
            pause = self._free_at.get(channel, 0.0) - _now()
            if pause <= 0:
                self._free_at.keep(channel, _now() + apart * self._hurry)
                return True
            await asyncio.sleep(pause)
        return False

    def now_and_then(self, what: str, *, apart: float) -> bool:
        """Whether it is time again for something; nobody waits for it."""
        if self._free_at.get(what, 0.0) > _now():
            return False
        self._free_at.keep(what, _now() + apart * self._hurry)
        return True

    def settle(self, what: str) -> None:
        """It is shown for good now: whoever still waits with a draft of it gives way."""
        self._newest.pop(what, None)


class Gate:
    """So many may pass in a second, in the order in which they came: the one limit that the library does not know."""

    def __init__(self, a_second: float, hurry: float) -> None:
        self._apart = hurry / a_second
        self._next = 0.0

    async def passed(self) -> None:
        now = _now()
        # A short burst is let through as it is.
        at = self._next = max(self._next, now - 10 * self._apart) + self._apart
        if at > now:
            await asyncio.sleep(at - now)


def _now() -> float:
    return asyncio.get_running_loop().time()
