"""How much and how fast: quotas per person and place, counted from the rows of what was really asked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from engine.errors import OverLimit
from engine.locales import FromNow, say
from engine.settings import LimitSettings

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Spent:
    """What those who were forgotten had of a day's quota already: else /forget would be a way to more.

    It is in memory alone, for a day, and under names from which nobody can tell who they were.
    """

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        #: When the first was asked for, and how many were.
        self._kept: dict[bytes, list[tuple[datetime, int]]] = {}

    def keep(self, what: str, accounts: Iterable[str], count: int, oldest: datetime | None) -> None:
        if not count or oldest is None:
            return
        for account in accounts:
            self._kept.setdefault(self._name(what, account), []).append((oldest, count))

    def of(self, what: str, accounts: Iterable[str], *, since: datetime) -> list[tuple[datetime, int]]:
        self._kept = {
            name: lately
            for name, kept in self._kept.items()
            if (lately := [one for one in kept if one[0] >= since])
        }
        return [one for account in accounts for one in self._kept.get(self._name(what, account), ())]

    def _name(self, what: str, account: str) -> bytes:
        return hashlib.sha256(self._salt + f"{what} {account}".encode()).digest()


def added(
    count: int, oldest: datetime | None, spent: Iterable[tuple[datetime, int]]
) -> tuple[int, datetime | None]:
    """What the rows say, and what was spent by somebody who was forgotten since."""
    for moment, more in spent:
        count, oldest = count + more, min(moment, oldest or moment)
    return count, oldest


def check_message(limits: LimitSettings, *, by_person: int, in_place: int, now: datetime) -> None:
    """Refuse one message too many; `by_person` and `in_place` were counted over the last minute."""
    if by_person >= limits.messages_per_minute:
        raise OverLimit(say("limits.quick", n=limits.messages_per_minute), free_at=now + MINUTE)
    if in_place >= limits.place_messages_per_minute:
        raise OverLimit(say("limits.lively"), free_at=now + MINUTE)


def check_pictures(
    limits: LimitSettings, *, asked: int, today: int, waiting: int, oldest: datetime | None, now: datetime
) -> None:
    """Refuse pictures beyond the quota; `today` counts the last 24 hours, the first of them at `oldest`."""
    if waiting + asked > limits.pictures_waiting:
        most = limits.pictures_waiting
        told = say("limits.waiting", n=waiting, most=most) if waiting else say("limits.at_once", n=most)
        raise OverLimit(told, free_at=now + MINUTE)
    if today + asked > limits.pictures_per_day:
        free_at = (oldest or now) + DAY
        told = say("limits.per_day", n=limits.pictures_per_day, free=_from_now(free_at, now))
        raise OverLimit(told, free_at=free_at)


def check_personas(limits: LimitSettings, *, made: int, oldest: datetime | None, now: datetime) -> None:
    """Refuse to write one persona too many; `made` counts the last 24 hours, the first of them at `oldest`."""
    if made >= limits.personas_per_day:
        free_at = (oldest or now) + DAY
        told = say("cast.per_day", n=limits.personas_per_day, free=_from_now(free_at, now))
        raise OverLimit(told, free_at=free_at)


def _from_now(moment: datetime, now: datetime) -> FromNow:
    """How long it takes until then; whoever is told `in a few seconds` only asks twice."""
    return max(FromNow(minutes=1), FromNow(seconds=(moment - now).total_seconds()))
