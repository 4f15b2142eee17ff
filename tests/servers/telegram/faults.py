"""What can go wrong between a client and the server, by chance (seeded) or by order, and a hand that holds a call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal

Params = Mapping[str, Any]
Match = Callable[[Params], bool]


class Fault(Enum):
    """One way a single call fails."""

    LIMITED = auto()  # 429 with retry_after
    SERVER_ERROR = auto()  # 500, in JSON
    BAD_GATEWAY = auto()  # 502, in JSON
    GATEWAY_PAGE = auto()  # 502 with the HTML page of the proxy before the API
    DROP_BEFORE = auto()  # the connection ends and nothing was done
    DROP_AFTER = auto()  # it is done, and the connection ends without an answer


@dataclass
class Faults:
    """How often each kind of fault comes by chance, for any method but the `spared` ones."""

    rate_429: float = 0.0
    rate_5xx: float = 0.0
    rate_drop_before: float = 0.0
    rate_drop_after: float = 0.0
    seed: int = 0
    spared: frozenset[str] = frozenset({"getMe"})
    retry_after: tuple[int, int] = (1, 3)
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, method: str) -> Fault | None:
        """The fault of the next call, usually none."""
        if method in self.spared:
            return None
        dice = self._random.random()
        kinds: list[tuple[float, tuple[Fault, ...]]] = [
            (self.rate_429, (Fault.LIMITED,)),
            (self.rate_5xx, (Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.GATEWAY_PAGE)),
            (self.rate_drop_before, (Fault.DROP_BEFORE,)),
            (self.rate_drop_after, (Fault.DROP_AFTER,)),
        ]
        for rate, faults in kinds:
            if dice < rate:
                fault = self._random.choice(faults)
                # aiogram polls again after its own pause, whatever it is told: that is nobody's fault here.
                return None if fault is Fault.LIMITED and method == "getUpdates" else fault
            dice -= rate
        return None

    def seconds(self) -> int:
        return self._random.randint(*self.retry_after)


class Hold:
    """Holds the next call of a method just before or just after it takes effect, until it is let go."""

    def __init__(self, method: str, when: Literal["before", "after"], match: Match | None) -> None:
        self.method = method
        self.when = when
        self.params: Params = {}
        self._match = match
        self._reached = asyncio.Event()
        self._free = asyncio.Event()
        self.drops = False

    def takes(self, method: str, params: Params) -> bool:
        return method == self.method and (self._match is None or self._match(params))

    async def reached(self, within: float = 10.0) -> Params:
        """Wait until a call stands here; answers its parameters."""
        async with asyncio.timeout(within):
            await self._reached.wait()
        return self.params

    def release(self, *, drop: bool = False) -> None:
        """Let the call go on; `drop` ends its connection instead of answering."""
        self.drops = self.drops or drop
        self._free.set()

    async def stand(self, params: Params) -> None:
        self.params = params
        self._reached.set()
        await self._free.wait()


@dataclass
class _Order:
    method: str
    fault: Fault
    times: int
    match: Match | None


@dataclass
class Orders:
    """The scripted faults and holds that wait for their call."""

    faults: list[_Order] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    standing: set[Hold] = field(default_factory=set)

    def fail_next(self, method: str, fault: Fault, times: int, match: Match | None) -> None:
        self.faults.append(_Order(method, fault, times, match))

    def hold(self, method: str, when: Literal["before", "after"], match: Match | None) -> Hold:
        hold = Hold(method, when, match)
        self.holds.append(hold)
        return hold

    def fault(self, method: str, params: Params) -> Fault | None:
        for order in self.faults:
            if order.method == method and (order.match is None or order.match(params)):
                order.times -= 1
                if order.times <= 0:
                    self.faults.remove(order)
                return order.fault
        return None

    def held(self, method: str, params: Params) -> Hold | None:
        for hold in self.holds:
            if hold.takes(method, params):
                self.holds.remove(hold)
                self.standing.add(hold)
                return hold
        return None

    def release_all(self) -> None:
        for hold in self.standing | set(self.holds):
            hold.release(drop=True)
