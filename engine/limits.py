"""How much and how fast: quotas per person and place, counted from the rows of what was really asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.errors import OverLimit
from engine.settings import LimitSettings

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def check_message(limits: LimitSettings, *, by_person: int, in_place: int, now: datetime) -> None:
    """Refuse one message too many; `by_person` and `in_place` were counted over the last minute."""
    if by_person >= limits.messages_per_minute:
        raise OverLimit(
            f"That was quick: {limits.messages_per_minute} messages a minute is what I can follow. "
            "Give me a moment.",
            free_at=now + MINUTE,
        )
    if in_place >= limits.place_messages_per_minute:
        raise OverLimit("It is very lively here; I will catch up in a minute.", free_at=now + MINUTE)


def check_pictures(
    limits: LimitSettings, *, asked: int, today: int, waiting: int, oldest: datetime | None, now: datetime
) -> None:
    """Refuse pictures beyond the quota; `today` counts the last 24 hours, the first of them at `oldest`."""
    if waiting + asked > limits.pictures_waiting:
        raise OverLimit(
            f"You have {waiting} pictures waiting, and {limits.pictures_waiting} is the most at once. "
            "Ask again when one is done.",
            free_at=now + MINUTE,
        )
    if today + asked > limits.pictures_per_day:
        free_at = (oldest or now) + DAY
        raise OverLimit(
            f"That would be more than {limits.pictures_per_day} pictures in 24 hours; "
            f"there is room again {told_until(free_at, now)}.",
            free_at=free_at,
        )


def told_until(moment: datetime, now: datetime) -> str:
    """A wait in words: no time zone needed."""
    minutes = max(1, round((moment - now).total_seconds() / 60))
    if minutes < 60:
        return f"in {minutes} minute{'s' if minutes > 1 else ''}"
    hours = round(minutes / 60)
    return f"in {hours} hour{'s' if hours > 1 else ''}"
