"""Whose turn it is on the device that words and pictures share, and who makes room when its memory is full.

It knows neither models nor pictures. Whoever holds something there says how much, whether it is in use, and how it
lets go; the two decisions are pure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

Thing = TypeVar("Thing")

#: For somebody who waits for a first word a picture holds still for so many times as long as its last step took, ...
STILL = 4.0
#: ... but for no fewer and no more seconds than these: whoever waits for a picture waits, too.
STILL_AT_LEAST, STILL_AT_MOST = 0.05, 3.0
#: So often it is looked whether that person has their word.
LOOK = 0.005
#: Whoever needs room waits so long for those who are busy.
PATIENCE = 120.0
#: So often it is asked again meanwhile.
ASK_AGAIN = 0.1


def holds_still(*, waiting: int, still: float, step: float) -> bool:
    """Whether a picture's next step waits on. `still`: for how long it has waited; `step`: how long the last took."""
    longest = min(STILL_AT_MOST, max(STILL_AT_LEAST, STILL * step))
    return waiting > 0 and still < longest


@dataclass(frozen=True)
class Lease:
    """What somebody holds of the memory."""

    holder: str
    bytes: int
    busy: bool
    #: When it was used the last time; any clock.
    used: float


def who_lets_go(leases: Sequence[Lease], *, free: int, wanted: int) -> tuple[str, ...] | None:
    """Who is to let go so that what is wanted fits: nobody who is busy, first who was idle longest, and nobody in
    vain. None: it would not fit even then.
    """
    chosen: list[Lease] = []
    for one in sorted((one for one in leases if not one.busy), key=lambda one: one.used):
        if free + _bytes(chosen) >= wanted:
            break
        chosen.append(one)
    if free + _bytes(chosen) < wanted:
        return None
    for one in list(chosen):
        if free + _bytes(chosen) - one.bytes >= wanted:
            chosen.remove(one)
    return tuple(one.holder for one in chosen)


def _bytes(leases: Sequence[Lease]) -> int:
    return sum(one.bytes for one in leases)


@dataclass
class _Holder:
    let_go: Callable[[], object]
    busy: Callable[[], bool]
    bytes: int = 0
    used: float = 0.0
    #: Promised to it, and not taken yet.
    reserved: int = 0


class Broker:
    """One for a device. Any thread may ask."""

    def __init__(
        self,
        *,
        free: Callable[[], int | None] = lambda: None,
        waiting: Callable[[], int] = lambda: 0,
        patience: float = PATIENCE,
    ) -> None:
        """`free`: bytes that nobody holds, None where that is not known; `waiting`: people without a first word."""
        self._free = free
        self._waiting = waiting
        self._patience = patience
        self._holders: dict[str, _Holder] = {}
        self._lock = threading.Lock()

    # Turns

    def between_steps(self, step: float) -> float:
        """Called by the picture thread after a step that took so many seconds; answers how long it held still."""
        began = time.monotonic()
        while holds_still(waiting=self._waiting(), still=(still := time.monotonic() - began), step=step):
            time.sleep(LOOK)
        return still

    # Memory

    def takes_part(self, holder: str, *, let_go: Callable[[], object], busy: Callable[[], bool]) -> None:
        """`let_go` may block until it is done, on whatever thread asks; afterwards it holds nothing. False says that
        it did not.
        """
        with self._lock:
            self._holders[holder] = _Holder(let_go, busy)

    def holds(self, holder: str, count: int) -> None:
        """So many bytes, as it was measured; 0: nothing any more."""
        with self._lock:
            one = self._holders[holder]
            one.bytes, one.used, one.reserved = count, time.monotonic(), 0

    def make_room(self, holder: str, wanted: int) -> bool:
        """Before somebody takes so many bytes: others let go, where that is needed. False: there is no room even so;
        whether it tries is its own affair.
        """
        until = time.monotonic() + self._patience
        while True:
            free = self._free()
            if free is None:
                return True  # nobody knows: whoever takes too much is told by the device
            leases = self._leases(holder)
            free -= self._reserved(but=holder)
            chosen = who_lets_go(leases, free=free, wanted=wanted)
            if chosen is not None and all(self._gone(name, holder) for name in chosen):
                with self._lock:
                    self._holders[holder].reserved = wanted
                return True
            # Those who are busy now may be enough later; if not, nobody is waited for.
            if free + _bytes(leases) < wanted or time.monotonic() >= until:
                return False
            time.sleep(ASK_AGAIN)

    def others_let_go(self, holder: str) -> bool:
        """Memory ran out though nobody had foreseen it: all others that are idle let go. False: there are none."""
        chosen = [one.holder for one in self._leases(holder) if not one.busy]
        gone = [self._gone(name, holder) for name in chosen]
        return any(gone)

    def share(self, holder: str) -> Share:
        return Share(self, holder)

    @property
    def free(self) -> int | None:
        """Bytes that nobody holds; None where that is not known."""
        return self._free()

    def _gone(self, name: str, wanted_by: str) -> bool:
        try:
            if self._holders[name].let_go() is False:
                return False  # somebody asked it for something at that very moment
        except Exception as error:
            log.warning("memory_not_let_go", holder=name, cause=repr(error))
            return False
        log.info("memory_let_go", holder=name, wanted_by=wanted_by)
        self.holds(name, 0)
        return True

    def _reserved(self, *, but: str) -> int:
        with self._lock:
            return sum(one.reserved for name, one in self._holders.items() if name != but)

    def _leases(self, but: str) -> list[Lease]:
        with self._lock:
            holders = {name: one for name, one in self._holders.items() if name != but and one.bytes}
        return [Lease(name, one.bytes, one.busy(), one.used) for name, one in holders.items()]


@dataclass(frozen=True)
class Share:
    """The broker, for somebody who takes part."""

    broker: Broker
    holder: str

    @property
    def free(self) -> int | None:
        return self.broker.free

    def make_room(self, wanted: int) -> bool:
        return self.broker.make_room(self.holder, wanted)

    def others_let_go(self) -> bool:
        return self.broker.others_let_go(self.holder)

    def took(self, before: int | None) -> None:
        """What it holds from now on: as much as less is free than before."""
        after = self.free
        measured = 0 if before is None or after is None else before - after
        self.broker.holds(self.holder, max(0, measured))

    def let_go(self) -> None:
        self.broker.holds(self.holder, 0)

    def opened(self, needs: int, open_it: Callable[[], Thing]) -> Thing:
        """What it opens there: others let go first, where that is needed, and what it took is measured."""
        self.make_room(needs)
        before = self.free
        try:
            thing = open_it()
        except BaseException:
            self.let_go()
            raise
        self.took(before)
        return thing
