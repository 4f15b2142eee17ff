"""Pure: when something is to happen, as a schedule says it; how that is written, and told to a person.

How people's words are read is in `timewords.py`. Which moments they mean it does not know: there is no clock and no
time zone here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum

from babel import dates, units

from engine.crontab import WEEK
from engine.locales import Locale

#: How late a missed time is still made up, unless a schedule says otherwise.
GRACE = timedelta(hours=1)
#: Every so many hours. What is rarer has days.
HOURS = range(1, 169)
YEARS = range(2000, 3000)
DAY = 24 * 60


class Kind(StrEnum):
    """What a schedule goes by."""

    DAILY = "daily"
    WEEKLY = "weekly"
    #: So many hours of real time after the last.
    HOURS = "hours"
    CRON = "cron"
    #: Some time in between, each day.
    WINDOW = "window"
    ONCE = "once"


@dataclass(frozen=True)
class Span:
    """From one time of day up to another, which is not in it any more. It may go over midnight."""

    start: time
    end: time

    def __contains__(self, moment: time) -> bool:
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    @property
    def minutes(self) -> range:
        """Counted from the midnight before it begins: from 1440 on they are on the day after."""
        first, last = minute_of(self.start), minute_of(self.end)
        return range(first, last if first < last else last + DAY)


@dataclass(frozen=True)
class Timing:
    """When something is to happen. Its times of day are those of a place, whose zone stands elsewhere."""

    kind: Kind
    #: Of day, in order: for what is daily, weekly, or once.
    times: tuple[time, ...] = ()
    #: Of the week, in order; Monday is 0.
    days: tuple[int, ...] = ()
    hours: int = 0
    #: Five fields: see `crontab.py`.
    cron: str = ""
    window: Span | None = None
    #: The day of what happens once.
    day: date | None = None
    #: What falls into these hours does not happen.
    quiet: Span | None = None
    #: The last day on which anything happens.
    until: date | None = None
    #: How late a missed one is still made up; no time at all: it is passed over.
    grace: timedelta = GRACE


def written(timing: Timing) -> str:
    """The words that are read as this timing again."""
    times = ",".join(f"{one:%H:%M}" for one in timing.times)
    said = {
        Kind.DAILY: f"daily {times}",
        Kind.WEEKLY: f"weekly {','.join(WEEK[day] for day in timing.days)} {times}",
        Kind.HOURS: "every hour" if timing.hours == 1 else f"every {timing.hours} hours",
        Kind.CRON: f"cron {timing.cron}",
        Kind.WINDOW: f"window {timing.window}",
        Kind.ONCE: f"once {timing.day} {times}",
    }[timing.kind]
    if timing.quiet:
        said += f" quiet {timing.quiet}"
    if timing.until:
        said += f" until {timing.until}"
    if timing.grace != GRACE:
        minutes = timing.grace // timedelta(minutes=1)
        said += " grace " + (f"{minutes}m" if minutes % 60 else f"{minutes // 60}h" if minutes else "0")
    return said


def described(timing: Timing, locale: Locale) -> str:
    """For a person: `daily at 09:00 and 18:30, never between 22:00 and 07:00`."""

    def day(told: date | None) -> str:
        return str(dates.format_date(told, "long", locale=locale.customs)) if told else ""

    names = dates.get_day_names("wide", locale=locale.customs)
    window = timing.window or Span(time(), time())
    parts = [
        locale.say(
            f"schedules.described.{timing.kind.value}",
            n=timing.hours,
            times=[f"{one:%H:%M}" for one in timing.times],
            days=[names[number] for number in timing.days],
            start=f"{window.start:%H:%M}",
            end=f"{window.end:%H:%M}",
            cron=timing.cron,
            day=day(timing.day),
        )
    ]
    if timing.quiet:
        start, end = str(timing.quiet).split("-")
        parts.append(locale.say("schedules.described.quiet", start=start, end=end))
    if timing.until:
        parts.append(locale.say("schedules.described.until", day=day(timing.until)))
    if not timing.grace:
        parts.append(locale.say("schedules.described.no_grace"))
    elif timing.grace != GRACE:
        minutes = timing.grace // timedelta(minutes=1)
        number, unit = (minutes, "minute") if minutes % 60 else (minutes // 60, "hour")
        span = units.format_unit(number, f"duration-{unit}", locale=locale.customs)
        parts.append(locale.say("schedules.described.grace", span=span))
    return ", ".join(parts)


def minute_of(moment: time) -> int:
    return moment.hour * 60 + moment.minute
