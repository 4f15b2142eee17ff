"""Pure: a timing as a person says it, in English or in German: `daily 09:00`, `weekly mon,thu 20:00`, `every hour`.

It reads such words off the beginning of a message, and refuses with a sentence what is no time, or comes too often.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import date, time, timedelta
from typing import TypeVar

from engine.crontab import cron_of
from engine.errors import BadRequest
from engine.locales import say
from engine.timetable import DAY, HOURS, YEARS, Kind, Span, Timing, minute_of
from personas.persona import printable

#: A schedule and its theme are said in one message.
LONGEST = 2_000
#: How late a missed time may still be made up.
MOST_GRACE = timedelta(days=7)
#: Between two times of one schedule.
LEAST_MINUTES = 5
#: A cron has so many fields.
CRON_FIELDS = 5

_Meaning = TypeVar("_Meaning")


def _by_word(meanings: dict[str, _Meaning]) -> dict[str, _Meaning]:
    return {word: meaning for words, meaning in meanings.items() for word in words.split()}


_KINDS = _by_word(
    {
        "daily täglich taeglich": Kind.DAILY,
        "weekly wöchentlich woechentlich": Kind.WEEKLY,
        "every alle jede jeden": Kind.HOURS,
        "cron": Kind.CRON,
        "window fenster": Kind.WINDOW,
        "once einmal": Kind.ONCE,
    }
)
_OPTIONS = _by_word({"quiet ruhe": "quiet", "until bis": "until", "grace nachholen": "grace"})
_DAYS = _by_word(
    {
        "mo mon monday montag": 0,
        "tu tue tuesday di die dienstag": 1,
        "we wed wednesday mi mit mittwoch": 2,
        "th thu thur thursday do don donnerstag": 3,
        "fr fri friday fre freitag": 4,
        "sa sat saturday sam samstag sonnabend": 5,
        "su sun sunday so son sonntag": 6,
    }
)
#: In minutes.
_UNITS = _by_word(
    {
        "m min minute minutes minuten": 1,
        "h hour hours std stunde stunden": 60,
        "d day days t tag tage": DAY,
    }
)
_SECONDS = frozenset({"s", "sec", "second", "seconds", "sekunde", "sekunden"})
_BETWEEN_DAYS = frozenset({"and", "at", "on", "am", "um", "und"})

_TOKEN = re.compile(r"\S+")
_LIST = re.compile(r"[^\s,]+(?:\s*,\s*[^\s,]+)*(?!\S)")
_TIMES = re.compile(rf"(?:(?:at|um)\s+)?(?=[0-9])({_LIST.pattern})", re.IGNORECASE)
_MORE_TIMES = re.compile(r"(?:and|und)\s+([0-9]{1,2}:[0-9]{2})(?!\S)", re.IGNORECASE)
_O_CLOCK = re.compile(r"(?:uhr|o['’]clock)(?!\S)", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_SPAN = re.compile(r"([0-9]{1,2}:[0-9]{2})\s*[-–—]\s*([0-9]{1,2}:[0-9]{2})(?!\S)")
_EVERY = re.compile(r"([0-9]{0,4})\s*([^\W\d_]*)(?!\S)")
_GRACE = re.compile(r"(0)(?!\S)|([0-9]{1,5})\s*([^\W\d_]+)(?!\S)")
_DATES = (
    re.compile(r"(?P<y>[0-9]{4})-(?P<m>[0-9]{1,2})-(?P<d>[0-9]{1,2})"),
    re.compile(r"(?P<d>[0-9]{1,2})\.(?P<m>[0-9]{1,2})\.(?P<y>[0-9]{4})"),
)
#: Only with a number behind it: `quiet mornings` is a theme.
_OPTION = re.compile(r"([^\W\d_]+)\s+(?=[0-9])")
#: Whoever writes a sixth field means seconds or years.
_SIXTH = re.compile(r"[0-9,/-]*[*?][0-9,/*?-]*(?!\S)")
_QUOTED = re.compile(r"(?:\"([^\"]*)\"|“([^”]*)”|„([^“”]*)[“”]|«([^»]*)»|»([^«]*)«)(?!\S)")


def read(words: str) -> tuple[Timing, str]:
    """The timing at the beginning of a person's words, and the rest of them without quotation marks.

    Options may also stand behind a theme that is in quotation marks.
    """
    reading = _reading(words)
    return _whole(_begun(reading), reading)


def reread(spec: str, words: str) -> tuple[Timing, str]:
    """The same for a schedule that is there: words that name no other time leave its own, and change its options.

    Their theme is in quotation marks: whatever else stands there was to be a time.
    """
    reading = _reading(words)
    first = _TOKEN.match(reading.left)
    if not reading.left or (first and first[0].casefold() in _KINDS):
        return read(words)
    timing, theme = _whole(read(spec)[0], reading)
    if theme and not reading.is_quoted:
        raise BadRequest(say("schedules.how_at_all"))
    return timing, theme


def _reading(words: str) -> _Reading:
    if len(words) > LONGEST:
        raise BadRequest(say("schedules.too_long", n=len(words), most=LONGEST))
    return _Reading(printable(unicodedata.normalize("NFC", words)))


def _whole(timing: Timing, reading: _Reading) -> tuple[Timing, str]:
    """What stands behind a time: options, a theme, and options behind one that is in quotation marks."""
    said: set[str] = set()
    timing = _with_options(timing, reading, said)
    theme = reading.left
    if quoted := reading.take(_QUOTED):
        reading.is_quoted = True
        theme = next(words for words in quoted.groups() if words is not None).strip()
        timing = _with_options(timing, reading, said)
        if reading.left:
            raise BadRequest(say("schedules.behind", told=_short(reading.left)))
    _check(timing)
    return timing, theme


class _Reading:
    """Words that are taken off from their beginning."""

    def __init__(self, text: str) -> None:
        self.left = text
        self.is_quoted = False

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if found := pattern.match(self.left):
            self.left = self.left[found.end() :].lstrip()
        return found


def _begun(reading: _Reading) -> Timing:
    word = reading.take(_TOKEN)
    kind = _KINDS.get(word[0].casefold()) if word else None
    if kind is Kind.HOURS:
        return _every(reading)
    if kind is Kind.DAILY:
        return Timing(kind, times=_times(reading, kind))
    if kind is Kind.WEEKLY:
        return Timing(kind, days=_days(reading), times=_times(reading, kind))
    if kind is Kind.ONCE and (told := reading.take(_TOKEN)):
        day = _date(told[0])
        times = _times(reading, kind)
        if len(times) == 1:
            return Timing(kind, day=day, times=times)
    if kind is Kind.WINDOW and (span := reading.take(_SPAN)):
        return Timing(kind, window=_span(span))
    if kind is Kind.CRON:
        fields = [found[0] for _ in range(CRON_FIELDS) if (found := reading.take(_TOKEN))]
        if len(fields) < CRON_FIELDS or reading.take(_SIXTH):
            raise BadRequest(say("schedules.cron_fields"))
        return Timing(kind, cron=" ".join(fields).lower())
    raise BadRequest(say(f"schedules.how.{kind.value}") if kind else say("schedules.how_at_all"))


def _every(reading: _Reading) -> Timing:
    """`every hour`, `every 6 hours`; and `every day at 09:00`, `every monday 20:00`, which are of another kind."""
    before = reading.left
    found = reading.take(_EVERY)
    number, unit = (found[1], found[2].casefold()) if found else ("", "")
    if unit in _SECONDS or _UNITS.get(unit) == 1:
        raise BadRequest(say("schedules.too_often", n=LEAST_MINUTES))
    if _UNITS.get(unit) == 60:
        hours = int(number or 1)
        if hours not in HOURS:
            raise BadRequest(say("schedules.no_hours", least=HOURS[0], most=HOURS[-1]))
        return Timing(Kind.HOURS, hours=hours)
    if _UNITS.get(unit) == DAY and not number:
        return Timing(Kind.DAILY, times=_times(reading, Kind.DAILY))
    if before and not before[0].isdigit():
        reading.left = before
        return Timing(Kind.WEEKLY, days=_days(reading), times=_times(reading, Kind.WEEKLY))
    raise BadRequest(say(f"schedules.how.{Kind.HOURS.value}"))


def _times(reading: _Reading, kind: Kind) -> tuple[time, ...]:
    told = reading.take(_TIMES)
    if not told:
        raise BadRequest(say(f"schedules.how.{kind.value}"))
    times = {_time(one.strip()) for one in told[1].split(",")}
    while more := reading.take(_MORE_TIMES):
        times.add(_time(more[1]))
    reading.take(_O_CLOCK)
    return tuple(sorted(times))


def _days(reading: _Reading) -> tuple[int, ...]:
    """`mon,thu`, `mon thu`, `montags und donnerstags`, `mon-fri`."""
    days: set[int] = set()
    while not reading.left[:1].isdigit() and (told := reading.take(_LIST)):
        for one in told[0].casefold().split(","):
            if one.strip() in _BETWEEN_DAYS:
                continue
            first, _, last = (part.strip() for part in one.partition("-"))
            numbers = [_DAYS.get(name, _DAYS.get(name.removesuffix("s"))) for name in (first, last or first)]
            if numbers[0] is None or numbers[1] is None:
                raise BadRequest(say("schedules.no_day", told=_short(one.strip())))
            days.update((numbers[0] + ahead) % 7 for ahead in range((numbers[1] - numbers[0]) % 7 + 1))
    if not days:
        raise BadRequest(say(f"schedules.how.{Kind.WEEKLY.value}"))
    return tuple(sorted(days))


def _with_options(timing: Timing, reading: _Reading, said: set[str]) -> Timing:
    """The timing with the options that stand here; `said` are those that were named before, and then these too."""
    while (found := _OPTION.match(reading.left)) and (name := _OPTIONS.get(found[1].casefold())):
        reading.take(_OPTION)
        if name in said:
            raise BadRequest(say("schedules.twice", word=found[1].casefold()))
        said.add(name)
        if name == "quiet":
            span = reading.take(_SPAN)
            if span is None:
                raise BadRequest(say("schedules.how_quiet"))
            timing = replace(timing, quiet=_span(span))
        elif name == "until":
            word = reading.take(_TOKEN)
            timing = replace(timing, until=_date(word[0] if word else ""))
        else:
            timing = replace(timing, grace=_grace(reading))
    return timing


def _grace(reading: _Reading) -> timedelta:
    found = reading.take(_GRACE)
    unit = _UNITS.get((found[3] or "m").casefold(), 0) if found else 0
    span = timedelta(minutes=unit * int(found[2] or 0)) if found else timedelta()
    if not unit or span > MOST_GRACE:
        raise BadRequest(say("schedules.how_grace", most=MOST_GRACE))
    return span


def _time(told: str) -> time:
    found = _TIME.fullmatch(told)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise BadRequest(say("schedules.no_time", told=_short(told)))
    return time(int(found[1]), int(found[2]))


def _span(found: re.Match[str]) -> Span:
    """A day may end at 24:00 here, as people say."""
    span = Span(_time(found[1]), _time("00:00" if found[2] == "24:00" else found[2]))
    if span.start == span.end:
        raise BadRequest(say("schedules.no_span", told=_short(found[0])))
    return span


def _date(told: str) -> date:
    found = next((found for pattern in _DATES if (found := pattern.fullmatch(told))), None)
    try:
        if found and int(found["y"]) in YEARS:
            return date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        pass  # the 30th of February
    raise BadRequest(say("schedules.no_date", told=_short(told)))


def _check(timing: Timing) -> None:
    """Raises `BadRequest` for what comes too often, or never in any time zone."""
    week = _week(timing)
    again = [*week[1:], week[0] + 7 * DAY] if week else []
    between = [later - one for one, later in zip(week, again, strict=True)]
    if timing.window:
        between = [DAY - len(timing.window.minutes)]
    if min(between, default=DAY) < LEAST_MINUTES:
        raise BadRequest(say("schedules.too_often", n=LEAST_MINUTES))
    quiet = timing.quiet
    minutes = {minute % DAY for minute in (timing.window.minutes if timing.window else week)}
    if quiet and minutes and all(time(*divmod(minute, 60)) in quiet for minute in minutes):
        raise BadRequest(say("schedules.all_quiet", quiet=str(quiet)))
    if timing.day and timing.until and timing.until < timing.day:
        raise BadRequest(say("schedules.over_before"))


def _week(timing: Timing) -> list[int]:
    """The minutes of a week at which it may happen, in order; none where the time of day is not known from here."""
    days: tuple[int, ...] = timing.days or tuple(range(7))
    minutes = [minute_of(one) for one in timing.times]
    if timing.kind is Kind.CRON:
        cron = cron_of(timing.cron)
        minutes = [hour * 60 + minute for hour in cron.hours for minute in cron.minutes]
        if len(cron.days) == 31 and not cron.either:
            days = cron.weekdays
    elif timing.kind is Kind.ONCE:
        days = (0,)
    return [day * DAY + minute for day in days for minute in minutes]


def _short(told: str) -> str:
    return told[:20]
