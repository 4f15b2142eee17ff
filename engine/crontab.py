"""Pure: which minutes, hours and days the five fields of a cron allow. Of clocks and time zones it knows nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.errors import BadRequest
from engine.locales import say

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Name, least, most, the most of `*`, and the names of numbers. A cron's Sunday is 0, and 7 as well.
_FIELDS: tuple[tuple[str, int, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, 59, {}),
    ("hour", 0, 23, 23, {}),
    ("day", 1, 31, 31, {}),
    ("month", 1, 12, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("weekday", 0, 7, 6, {name: number for number, name in enumerate(WEEK, 1)}),
)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_PART = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")
#: Of what somebody wrote, in a sentence.
_SHORT = 20


@dataclass(frozen=True)
class Cron:
    """The numbers that the fields of a cron allow, in order. Monday is 0 here, whatever cron calls it."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    #: Days of the month and of the week are both named, so that either is enough, as every cron has it.
    either: bool

    @property
    def every_hour(self) -> bool:
        return len(self.hours) == 24


def cron_of(text: str) -> Cron:
    """`minute hour day month weekday`, as crontab(5) has them: 0 and 7 are Sunday."""
    told = text.lower().split()
    if len(told) != len(_FIELDS):
        raise BadRequest(say("schedules.cron_fields"))
    minutes, hours, days, months, weekdays = (
        _numbers(words, *field) for words, field in zip(told, _FIELDS, strict=True)
    )
    either = not (told[2].startswith("*") or told[4].startswith("*"))
    if not any(days[0] <= _LONGEST_MONTHS[month - 1] for month in months):
        # There is no 30th of February; but its Mondays, where they are named too.
        if not either:
            raise BadRequest(say("schedules.cron_never", told=text[:60]))
        days, either = tuple(range(1, 32)), False
    monday_first = tuple(sorted({(day - 1) % 7 for day in weekdays}))
    return Cron(minutes, hours, days, months, monday_first, either)


def _numbers(
    words: str, name: str, least: int, most: int, most_of_all: int, names: dict[str, int]
) -> tuple[int, ...]:
    """What one field of a cron allows."""
    allowed: set[int] = set()
    for part in words.split(","):
        found = _PART.fullmatch(part)
        numbers: list[int | None] = [None, None]
        if found:
            numbers = [
                names.get(one, int(one) if one.isdecimal() else -1) if one else None
                for one in found.group(2, 3)
            ]
        step = int(found[4] or 1) if found else 0
        first, last = (least, most_of_all) if numbers[0] is None else (numbers[0], numbers[1])
        if name == "weekday" and last is not None and first == most > last:
            first = least  # from Sunday on
        if last is None:
            last = most_of_all if found and found[4] else first
        if not (least <= first <= last <= most and 0 < step <= most_of_all - least + 1):
            raise BadRequest(
                say("schedules.cron_field", told=words[:_SHORT], field=say(f"schedules.field.{name}"))
            )
        allowed.update(range(first, last + 1, step))
    return tuple(sorted(allowed))
