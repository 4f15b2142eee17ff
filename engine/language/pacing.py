"""Pure: how much of somebody's prompt is read in one step, so that nobody else's stream stalls meanwhile.

It learns from the steps themselves what a token costs on this machine: written, read alone, and read beside those who
write, which costs several times as much where the library reads few tokens less well than many.
"""

from __future__ import annotations

from dataclasses import dataclass

#: While somebody's words stream, a step takes at most so many times what it takes without reading, ...
STALL = 2.5
#: ... or so many seconds more, where that is longer: nobody notices, and whoever waits is read much sooner.
UNNOTICED = 0.03
#: Most processors look at so many tokens at once, and one more costs nearly as much as all of them: a step of four
#: takes less than one of three, and one of eight less than one of seven.
AT_ONCE = 4
#: However slow the machine, so many are read in a step: with fewer it takes so long that the stream itself grows
#: meanwhile, and its steps become longer than they were to be.
LEAST = 2
#: Before anything is known, so many.
AT_FIRST = 16
#: Reading beside those who write is taken to cost so many times what it costs alone, until it was done once.
FEARED = 4.0
#: And no step takes longer than about so many seconds: whoever gives up should not have to wait for it.
LONGEST = 2.0
#: How much the newest step counts.
_NEWEST = 0.2


@dataclass
class Pace:
    #: Seconds of a step in which everybody who writes gets one token, and nothing is read.
    writing: float | None = None
    #: Seconds for each token that is read while nobody writes, and while somebody does.
    reading: float | None = None
    beside: float | None = None

    def took(self, seconds: float, *, writing: int, reading: int) -> None:
        """What a step cost in which so many rows wrote, and so many tokens were read."""
        if writing and not reading:
            self.writing = _blended(self.writing, seconds)
        elif reading and not writing:
            self.reading = _blended(self.reading, seconds / reading)
        elif reading and self.writing is not None:
            self.beside = _blended(self.beside, max(seconds - self.writing, 0.0) / reading)

    @property
    def _feared(self) -> float | None:
        return self.reading and self.reading * FEARED

    def chunk(self, *, writing: int, most: int) -> int:
        """So many tokens of prompts may be read in the next step."""
        each = (self.beside or self._feared) if writing else self.reading
        if not each:
            return min(most, AT_FIRST) if writing else most
        longest = LONGEST
        if writing and self.writing is not None:
            longest = min(longest, max((STALL - 1) * self.writing, UNNOTICED))
        if not writing:
            return int(min(most, max(1.0, longest / each)))
        return min(most, _filled(int(min(most, longest / each)), beside=writing))


def _filled(count: int, *, beside: int) -> int:
    """No more than so many, and at least the least, so that the step with those who write is full."""
    left_over = (beside + count) % AT_ONCE
    least = LEAST + (-beside - LEAST) % AT_ONCE
    return max(least, count - left_over)


def _blended(before: float | None, now: float) -> float:
    return now if before is None else before + _NEWEST * (now - before)
