"""Pure: the moments at which something is to happen, from what a timetable says and a time zone.

What has happened already it does not know; it counts from the moment that it is given. Two that count get the same.

Where clocks change, what goes by the time of day happens once for each time that it names. If clocks jump over that
time, it happens at the first moment behind the jump: late is better than not at all, and never is anything early.
Two that meet there are one. If clocks show it twice, the first is meant. A day that a place leaves out has none.
What goes by hours, and a cron of every hour, goes by real time: of an hour that comes twice, both are meant.
"""

from __future__ import annotations

import bisect
import difflib
import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count, islice
from zoneinfo import ZoneInfo, available_timezones

from engine.crontab import Cron, cron_of
from engine.errors import BadRequest
from engine.locales import say
from engine.timetable import YEARS, Kind, Timing
from personas.persona import printable

#: Every so many hours are counted from this midnight as clocks showed it in the zone, so that everybody counts alike.
#: `every 6 hours` is at 0, 6, 12 and 18 o'clock, and beside that while clocks are not as they were on that day.
ANCHOR = date(2000, 1, 1)
#: When so long nothing comes, nothing will. The 29th of February comes every eight years at the least.
PATIENCE = timedelta(days=10 * 366)
#: No place has set its clocks by more than a day, and a window may reach into the next one.
FARTHEST = timedelta(days=2)
#: So many names of zones are read before somebody gives up.
MOST_NEAR = 5


@dataclass(frozen=True)
class Occurrence:
    """One time that something is to happen."""

    #: In UTC.
    due: datetime
    #: What it is known by among those of its schedule: local wall time, or UTC where that comes twice.
    key: str


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name, whatever its case; `BadRequest` with the nearest names where there is none."""
    wanted = name.strip().replace(" ", "_").casefold()
    if found := _zones().get(wanted):
        return ZoneInfo(found)
    told = " ".join(printable(name[:40]).split())
    near = _near(wanted[:40])
    if near:
        raise BadRequest(say("schedules.no_zone_but", told=told, zones=near))
    raise BadRequest(say("schedules.no_zone", told=told))


def occurrences(timing: Timing, zone: ZoneInfo, after: datetime, *, seed: str) -> Iterator[Occurrence]:
    """Every one that comes later than `after`, in order. It ends where nothing comes any more.

    What falls into quiet hours is left out. A window has its post at a minute that is not quiet; which one, only
    `seed` and the day decide.
    """
    after = after.astimezone(UTC)
    # No calendar goes further; and clocks may show the last day once more when the next has begun.
    end = datetime(YEARS.stop, 1, 1, tzinfo=UTC)
    if timing.until:
        end = min(end, datetime.combine(timing.until, time(), UTC) + 2 * FARTHEST)
    patience = after + PATIENCE
    for due, wall in _moments(timing, zone, after, seed):
        if due > patience or due > end:
            return
        # Two that clocks moved to the same moment are one.
        if due <= after or not _allowed(timing, due, wall, zone):
            continue
        told = due if wall is None else wall
        yield Occurrence(due, told.isoformat(timespec="minutes")[:16] + ("Z" if wall is None else ""))
        after, patience = due, due + PATIENCE


def next_times(
    timing: Timing, zone: ZoneInfo, after: datetime, *, seed: str, most: int = 5
) -> list[datetime]:
    """The moments of the next ones, in UTC; none where nothing comes any more."""
    return [one.due for one in islice(occurrences(timing, zone, after, seed=seed), most)]


def check(timing: Timing, zone: ZoneInfo, after: datetime, *, seed: str) -> None:
    """Raises `BadRequest` for what is over already, or never comes at that place."""
    if not next_times(timing, zone, after, seed=seed, most=1):
        raise BadRequest(say("schedules.nothing_comes"))


def _allowed(timing: Timing, due: datetime, wall: datetime | None, zone: ZoneInfo) -> bool:
    """Neither when it was meant for nor when it comes are hours quiet; the day is the one that it was meant for."""
    if timing.quiet is None and timing.until is None:
        return True
    local = due.astimezone(zone).replace(tzinfo=None)
    meant = local if wall is None else wall
    if timing.until and meant.date() > timing.until:
        return False
    return not (timing.quiet and (local.time() in timing.quiet or meant.time() in timing.quiet))


def _moments(
    timing: Timing, zone: ZoneInfo, after: datetime, seed: str
) -> Iterator[tuple[datetime, datetime | None]]:
    """Moments, with the wall time that each was meant for, if it goes by that; they begin well before `after`."""
    if timing.kind is Kind.HOURS:
        yield from ((due, None) for due in _by_hours(timing.hours, zone, after))
        return
    begin = (after - FARTHEST).astimezone(zone).date()
    if timing.kind is Kind.CRON:
        cron = cron_of(timing.cron)
        walls = _by_cron(cron, begin)
        if cron.every_hour:
            yield from ((due, None) for due in _both(walls, zone))
            return
    elif timing.kind is Kind.ONCE:
        walls = iter([datetime.combine(timing.day, timing.times[0])] if timing.day else [])
    else:
        walls = _by_days(timing, begin, seed)
    for wall in walls:
        if due := _moment(wall, zone):
            yield due, wall


def _by_hours(hours: int, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    begin = datetime.combine(ANCHOR, time(), zone).astimezone(UTC)
    step = timedelta(hours=hours)
    first = (after - begin) // step
    return (begin + number * step for number in count(first))


def _by_days(timing: Timing, begin: date, seed: str) -> Iterator[datetime]:
    """Wall times, day by day."""
    minutes = _waking(timing)
    for ahead in count():
        day = begin + timedelta(days=ahead)
        if timing.kind is Kind.WINDOW:
            drawn = int.from_bytes(hashlib.sha256(f"{seed}:{day}".encode()).digest()[:8], "big")
            yield datetime.combine(day, time()) + timedelta(minutes=minutes[drawn % len(minutes)])
        elif timing.kind is Kind.DAILY or day.weekday() in timing.days:
            yield from (datetime.combine(day, one) for one in timing.times)


def _waking(timing: Timing) -> list[int]:
    """The minutes of a window that are not quiet."""
    if timing.window is None:
        return []
    quiet = timing.quiet
    minutes = timing.window.minutes
    return [one for one in minutes if not quiet or time(one // 60 % 24, one % 60) not in quiet]


def _by_cron(cron: Cron, begin: date) -> Iterator[datetime]:
    """Wall times. apscheduler finds their days only, and in UTC: where clocks change it doubles and invents times."""
    from apscheduler.triggers.cron import CronTrigger

    months = _listed(cron.months, 12)
    # Its Monday is 0, as ours.
    days, weekdays = _listed(cron.days, 31), _listed(cron.weekdays, 7)
    # It wants all that is named, where either a day of the month or one of the week is enough.
    named = [{"day": days}, {"day_of_week": weekdays}]
    if not cron.either:
        named = [named[0] | named[1]]
    triggers = [CronTrigger(month=months, hour=0, minute=0, second=0, timezone=UTC, **one) for one in named]
    times = [time(hour, minute) for hour in cron.hours for minute in cron.minutes]
    midnight = datetime.combine(begin, time(), UTC)
    while True:
        midnight = min(trigger.get_next_fire_time(None, midnight) for trigger in triggers)
        yield from (datetime.combine(midnight.date(), one) for one in times)
        midnight += timedelta(days=1)


def _listed(numbers: tuple[int, ...], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(map(str, numbers))


def _moment(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """When clocks show this, or first show more; None on a day that is left out."""
    due = wall.replace(tzinfo=zone).astimezone(UTC)
    if due.astimezone(zone).replace(tzinfo=None) == wall:
        return due
    # Clocks jump somewhere between what this is on the far side of it and on the near one.
    begin = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    seconds = range(int((due - begin).total_seconds()))

    def shown(second: int) -> datetime:
        return (begin + timedelta(seconds=second)).astimezone(zone).replace(tzinfo=None)

    jump = bisect.bisect(seconds, wall, key=shown)
    midnight = datetime.combine(wall.date(), time())
    left_out = shown(jump - 1) < midnight and shown(jump) >= midnight + timedelta(days=1)
    return None if left_out else begin + timedelta(seconds=jump)


def _both(walls: Iterator[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Every moment at which clocks show one of these, in order."""
    again: list[datetime] = []
    for wall in walls:
        first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first > second:
            continue  # clocks jump over it
        while again and again[0] < first:
            yield heapq.heappop(again)
        yield first
        if second > first:
            heapq.heappush(again, second)


@cache
def _zones() -> dict[str, str]:
    """By their names in small letters. What the machine calls its own is another elsewhere."""
    return {name.casefold(): name for name in sorted(available_timezones() - {"localtime", "Factory"})}


def _near(wanted: str) -> list[str]:
    """Zones that somebody may have meant: those of a place that they named, else what is spelt nearly so."""
    # Etc/GMT+1 is an hour behind Greenwich: nobody means that.
    known = {name: zone for name, zone in _zones().items() if not name.startswith("etc/")}
    place = wanted.rpartition("/")[2]
    same = [zone for name, zone in known.items() if name.rpartition("/")[2] == place]
    if same:
        return same[:MOST_NEAR]
    spelt = {name.rpartition("/")[2]: zone for name, zone in known.items()} | known
    close = difflib.get_close_matches(wanted, spelt, n=MOST_NEAR) + difflib.get_close_matches(
        place, spelt, n=MOST_NEAR
    )
    return list(dict.fromkeys(spelt[name] for name in close))[:MOST_NEAR]
