"""Pure: how much of somebody's prompt is read in one step, so that nobody else's stream stalls meanwhile.

It learns from the steps themselves what a token costs on this machine, when it is written and when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

#: While somebody's words stream, a step takes at most so many times what it takes without reading.
STALL = 3.0
#: However slow the machine, so many are read in a step; fewer would cost more than they spare.
LEAST = 8
#: And no step takes longer than about so many seconds: whoever gives up should not have to wait for it.
LONGEST = 2.0
#: How much the newest step counts.
_NEWEST = 0.2


@dataclass
class Pace:
    #: Seconds of a step in which everybody who writes gets one token, and nothing is read.
    writing: float | None = None
    #: Seconds for each token that is read.
    reading: float | None = None

    def took(self, seconds: float, *, writing: int, reading: int) -> None:
        """What a step cost in which so many rows wrote, and so many tokens were read."""
        if writing and not reading:
            self.writing = _blended(self.writing, seconds)
        elif reading and not writing:
            self.reading = _blended(self.reading, seconds / reading)
        elif reading and self.writing is not None:
            self.reading = _blended(self.reading, max(seconds - self.writing, 0.0) / reading)

    def chunk(self, *, writing: int, most: int) -> int:
        """So many tokens of prompts may be read in the next step."""
        if self.reading is None or self.reading <= 0:
            return min(most, 4 * LEAST) if writing else most
        longest = LONGEST / self.reading
        if writing and self.writing is not None:
            longest = min(longest, (STALL - 1) * self.writing / self.reading)
        return max(LEAST, int(min(most, longest)))


def _blended(before: float | None, now: float) -> float:
    return now if before is None else before + _NEWEST * (now - before)
