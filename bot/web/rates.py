"""How often somebody may knock: a key its requests, all their tries at the password. In memory, by the Clock."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from engine.clock import Clock

MINUTE = 60.0
#: So many tries are free of a pause: of one address, and of all together.
FREE, FREE_FOR_ALL = 3, 30
#: No pause is longer, in seconds. That of all together is short: it would keep the operator out too.
LONGEST, LONGEST_FOR_ALL = 900.0, 30.0
#: Whoever did not try for so long begins again.
FORGOTTEN = 3_600.0
#: So many addresses are remembered.
MOST_ADDRESSES = 1_000


class Rates:
    """Lets a key have its requests a minute, evenly: a whole minute's at once after a quiet one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: For each key, until when its requests of now are paid.
        self._paid: dict[int, float] = {}

    def wait(self, key_id: int, rate: int) -> float:
        """0: come in. Else the seconds after which there is room again."""
        if rate <= 0:
            return 0.0
        now, step = self._clock.monotonic(), MINUTE / rate
        paid = max(self._paid.get(key_id, now), now) + step
        # A hair of room: sums of parts are not exact.
        if paid - now > MINUTE + step / 1_000:
            return paid - now - MINUTE
        self._paid[key_id] = paid
        return 0.0

    def left(self, key_id: int, rate: int) -> int:
        """How many requests it may make at once now."""
        now = self._clock.monotonic()
        return max(0, int((MINUTE - (max(self._paid.get(key_id, now), now) - now)) * rate / MINUTE + 0.001))


@dataclass
class _Tries:
    count: int = 0
    last: float = 0.0
    free_at: float = 0.0


class Attempts:
    """Tries to sign in. Each that fails makes the next wait longer, for its address and, later, for all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by: OrderedDict[str, _Tries] = OrderedDict()
        self._all = _Tries()

    def begin(self, address: str) -> float:
        """0: try. It counts as failed until `succeeded` says otherwise, so that many at once count as many.
        Else the seconds to wait.
        """
        now = self._clock.monotonic()
        who = self._who(address, now)
        if (wait := max(who.free_at, self._all.free_at) - now) > 0:
            return wait
        _failed(who, now, FREE, LONGEST)
        _failed(self._all, now, FREE_FOR_ALL, LONGEST_FOR_ALL)
        return 0.0

    def succeeded(self, address: str) -> None:
        self._by.pop(_network_of(address), None)
        self._all.count = max(0, self._all.count - 1)
        self._all.free_at = 0.0

    def _who(self, address: str, now: float) -> _Tries:
        name = _network_of(address)
        found = self._by.setdefault(name, _Tries())
        self._by.move_to_end(name)
        if len(self._by) > MOST_ADDRESSES:
            self._by.popitem(last=False)
        for one in (found, self._all):
            if now - one.last > FORGOTTEN:
                one.count = 0
        return found


def _failed(who: _Tries, now: float, free: int, longest: float) -> None:
    who.count += 1
    who.last = now
    who.free_at = now + min(longest, 2.0 ** min(who.count - free, 30)) if who.count > free else 0.0


def _network_of(address: str) -> str:
    """Who has one address of IPv6 has billions beside it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
