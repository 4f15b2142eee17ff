"""When something happens: in every time zone whose clocks change in 2026, and where people least expect it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.locales import locale_of
from engine.occurrences import Occurrence, check, next_times, occurrences, zone_of
from engine.timetable import HOURS, Kind, Span, Timing
from engine.timewords import read

YEAR, NEXT_YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
BERLIN = ZoneInfo("Europe/Berlin")
#: In Berlin.
SPRING, AUTUMN = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)


def coming(words: str, after: datetime, *, zone: ZoneInfo = BERLIN, most: int = 3) -> list[tuple[str, str]]:
    """The next ones: their keys, and in UTC when they are due."""
    found = islice(occurrences(read(words)[0], zone, after, seed="7"), most)
    return [(one.key, f"{one.due:%m-%d %H:%M}") for one in found]


def keys(words: str, after: datetime, *, zone: ZoneInfo = BERLIN, most: int = 3) -> list[str]:
    return [key for key, _ in coming(words, after, zone=zone, most=most)]


def day_before(moment: datetime) -> datetime:
    return moment - timedelta(hours=12)


# A whole year, wherever clocks change


@cache
def changes(name: str) -> tuple[tuple[datetime, datetime, datetime], ...]:
    """The changes of 2026: when it is, and what clocks show just then, as before and as behind it."""
    zone = ZoneInfo(name)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone).utcoffset() or timedelta()

    found = []
    # No place changes its mind twice in six hours.
    for begin, end in pairwise(YEAR + 6 * HOUR * number for number in range(365 * 4 + 1)):
        if offset(begin) != offset(end):
            change = begin
            while offset(change) == offset(begin):
                change += MINUTE
            naive = change.replace(tzinfo=None)
            found.append((change, naive + offset(begin), naive + offset(end)))
    return tuple(found)


@cache
def changing() -> tuple[str, ...]:
    return tuple(name for name in sorted(available_timezones()) if changes(name))


def around(name: str) -> set[time]:
    """Times of day in the middle of what is left out or comes twice, and at its edges."""
    times = set()
    for _, before, behind in changes(name):
        first, last = min(before, behind), max(before, behind)
        times |= {moment.time() for moment in (first, first + (last - first) / 2, last - MINUTE, last)}
    return times


def of_the_year(timing: Timing, zone: ZoneInfo) -> list[Occurrence]:
    """Those that are meant for a day of 2026."""
    begin = datetime(2025, 12, 31, tzinfo=zone).astimezone(UTC)
    found = takewhile(lambda one: one.key < "2027", occurrences(timing, zone, begin, seed="7"))
    return [one for one in found if one.key > "2026"]


def hold(found: list[Occurrence], zone: ZoneInfo) -> None:
    """In order, each once, each at the first moment at which clocks show its time or more: none early, none late."""
    assert all(one.due < later.due for one, later in pairwise(found))
    assert len({one.key for one in found}) == len(found)
    for one in found:
        meant = datetime.fromisoformat(one.key)
        local = one.due.astimezone(zone)
        assert local.fold == 0
        if local.replace(tzinfo=None) != meant:
            just_before = (one.due - SECOND).astimezone(zone).replace(tzinfo=None)
            assert just_before < meant < local.replace(tzinfo=None)


def test_there_are_zones_in_which_clocks_change() -> None:
    assert len(changing()) > 150
    assert {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"} <= {*changing()}


def test_what_is_daily_happens_once_on_each_day_of_a_year_in_every_zone() -> None:
    every_day = [(date(2026, 1, 1) + timedelta(days=ahead)).isoformat() for ahead in range(365)]
    for name in changing():
        zone = ZoneInfo(name)
        for at in sorted(around(name)):
            found = of_the_year(Timing(Kind.DAILY, times=(at,)), zone)
            assert [one.key for one in found] == [f"{day}T{at:%H:%M}" for day in every_day], name
            hold(found, zone)


def test_what_is_weekly_happens_once_in_each_week_of_a_year_in_every_zone() -> None:
    for name in changing():
        zone = ZoneInfo(name)
        for _, before, behind in changes(name):
            middle = min(before, behind) + abs(behind - before) / 2
            found = of_the_year(Timing(Kind.WEEKLY, times=(middle.time(),), days=(middle.weekday(),)), zone)
            days = [datetime.fromisoformat(one.key) for one in found]
            assert middle in days, name
            assert {later - one for one, later in pairwise(days)} == {timedelta(days=7)}, name
            assert len(days) in (52, 53)
            hold(found, zone)


def test_a_window_around_a_change_has_one_post_each_day_of_a_year_in_every_zone() -> None:
    for name in changing():
        zone = ZoneInfo(name)
        for _, before, behind in changes(name):
            begin, end = min(before, behind) - HOUR, max(before, behind) + HOUR
            window = Span(begin.time(), end.time())
            found = of_the_year(Timing(Kind.WINDOW, window=window), zone)
            into = timedelta(minutes=window.minutes[0])
            days = [(datetime.fromisoformat(one.key) - into).date() for one in found]
            assert {later - one for one, later in pairwise(days)} == {timedelta(days=1)}, name
            # Over midnight, the first and the last evening may be those of other years.
            assert len(days) == 365 or (window.start > window.end and len(days) in (364, 366)), name
            assert all(datetime.fromisoformat(one.key).time() in window for one in found)
            hold(found, zone)


def test_every_hour_is_every_hour_of_a_year_in_every_zone() -> None:
    timing, _ = read("every hour")
    for name in changing():
        zone = ZoneInfo(name)
        found = list(islice(occurrences(timing, zone, YEAR - SECOND, seed="7"), 8760))
        dues = [one.due for one in found]
        assert YEAR <= dues[0] < YEAR + HOUR
        assert {later - one for one, later in pairwise(dues)} == {HOUR}, name
        assert len({one.key for one in found}) == 8760
        assert found[0].key == f"{dues[0]:%Y-%m-%dT%H:%M}Z"


def test_a_cron_of_every_hour_leaves_out_and_repeats_what_clocks_do_in_every_zone() -> None:
    timing, _ = read("cron 17 * * * *")
    for name in changing():
        zone = ZoneInfo(name)
        for change, _, _ in changes(name):
            begin = change - 6 * HOUR
            shown = [begin + MINUTE * number for number in range(1, 12 * 60)]
            wanted = [moment for moment in shown if moment.astimezone(zone).minute == 17]
            found = list(islice(occurrences(timing, zone, begin, seed="7"), len(wanted)))
            assert [one.due for one in found] == wanted, name
            assert [one.key for one in found] == [f"{moment:%Y-%m-%dT%H:%M}Z" for moment in wanted]


# What happens when clocks change


def test_a_time_that_clocks_jump_over_is_made_up_at_the_first_moment_behind() -> None:
    assert coming("daily 02:30", day_before(SPRING)) == [
        ("2026-03-29T02:30", "03-29 01:00"),
        ("2026-03-30T02:30", "03-30 00:30"),
        ("2026-03-31T02:30", "03-31 00:30"),
    ]
    assert coming("cron 30 2 * * *", day_before(SPRING), most=1) == [("2026-03-29T02:30", "03-29 01:00")]
    assert coming("once 2026-03-29 02:30", day_before(SPRING)) == [("2026-03-29T02:30", "03-29 01:00")]


def test_a_time_that_comes_twice_is_the_first_of_both() -> None:
    assert coming("daily 02:30", day_before(AUTUMN)) == [
        ("2026-10-25T02:30", "10-25 00:30"),
        ("2026-10-26T02:30", "10-26 01:30"),
        ("2026-10-27T02:30", "10-27 01:30"),
    ]
    assert coming("cron 30 2 * * *", day_before(AUTUMN), most=2) == [
        ("2026-10-25T02:30", "10-25 00:30"),
        ("2026-10-26T02:30", "10-26 01:30"),
    ]
    assert coming("once 2026-10-25 02:30", day_before(AUTUMN)) == [("2026-10-25T02:30", "10-25 00:30")]


def test_times_that_meet_behind_a_jump_are_one() -> None:
    assert coming("daily 02:10,02:40,03:00,03:30", day_before(SPRING)) == [
        ("2026-03-29T02:10", "03-29 01:00"),
        ("2026-03-29T03:30", "03-29 01:30"),
        ("2026-03-30T02:10", "03-30 00:10"),
    ]


def test_every_hour_goes_by_real_time() -> None:
    assert coming("every hour", AUTUMN - 2 * HOUR) == [
        ("2026-10-25T00:00Z", "10-25 00:00"),  # two o'clock
        ("2026-10-25T01:00Z", "10-25 01:00"),  # two o'clock again
        ("2026-10-25T02:00Z", "10-25 02:00"),
    ]
    again = [
        ("2026-10-25T00:00Z", "10-25 00:00"),
        ("2026-10-25T00:30Z", "10-25 00:30"),
        ("2026-10-25T01:00Z", "10-25 01:00"),
        ("2026-10-25T01:30Z", "10-25 01:30"),
        ("2026-10-25T02:00Z", "10-25 02:00"),
    ]
    assert coming("cron */30 * * * *", AUTUMN - HOUR - MINUTE, most=5) == again
    assert coming("cron 0,30 0-23 * * *", AUTUMN - HOUR - MINUTE, most=5) == again
    assert coming("cron 0 * * * *", SPRING - HOUR - MINUTE, most=3) == [
        ("2026-03-29T00:00Z", "03-29 00:00"),
        ("2026-03-29T01:00Z", "03-29 01:00"),
        ("2026-03-29T02:00Z", "03-29 02:00"),
    ]


def test_a_jump_over_midnight_makes_up_for_the_evening_before() -> None:
    nuuk = ZoneInfo("America/Nuuk")  # from 23:00 on the 28th to midnight
    after = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert coming("daily 23:30", after, zone=nuuk, most=2) == [
        ("2026-03-28T23:30", "03-29 01:00"),
        ("2026-03-29T23:30", "03-30 00:30"),
    ]
    assert keys("daily 23:30 until 2026-03-28", after, zone=nuuk) == ["2026-03-28T23:30"]


def test_a_day_that_a_place_leaves_out_has_no_post() -> None:
    apia = ZoneInfo("Pacific/Apia")  # had no 30th of December in 2011
    assert coming("daily 09:00", datetime(2011, 12, 29, 12, tzinfo=UTC), zone=apia) == [
        ("2011-12-29T09:00", "12-29 19:00"),
        ("2011-12-31T09:00", "12-30 19:00"),
        ("2012-01-01T09:00", "12-31 19:00"),
    ]


def test_half_an_hour_is_a_change_too() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    (autumn, *_), (spring, *_) = changes(lord_howe.key)
    assert keys("daily 01:45", day_before(autumn), zone=lord_howe, most=2) == [
        "2026-04-05T01:45",
        "2026-04-06T01:45",
    ]
    assert coming("daily 02:15", day_before(spring), zone=lord_howe, most=1) == [
        ("2026-10-04T02:15", "10-03 15:30")
    ]


# Every so many hours


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "UTC"]
)
def test_every_so_many_hours_are_full_hours_by_the_clock_of_the_place(zone: str) -> None:
    there = ZoneInfo(zone)
    winter = datetime(2026, 1, 15, tzinfo=UTC)
    found = next_times(read("every 6 hours")[0], there, winter, seed="7", most=4)
    assert {(one.astimezone(there).hour, one.astimezone(there).minute) for one in found} == {
        (0, 0),
        (6, 0),
        (12, 0),
        (18, 0),
    }


@given(st.sampled_from(HOURS), st.integers(0, 50 * 10**6), st.integers(0, 10**6))
def test_whoever_counts_hours_from_whenever_gets_the_same(hours: int, ahead: int, later: int) -> None:
    timing = Timing(Kind.HOURS, hours=hours)
    begin = YEAR + MINUTE * ahead
    first = next_times(timing, BERLIN, begin, seed="1", most=1)[0]
    meanwhile = begin + MINUTE * later
    other = next_times(timing, BERLIN, meanwhile, seed="2", most=1)[0]
    assert (other - first) % timedelta(hours=hours) == timedelta()
    assert timedelta() < other - meanwhile <= timedelta(hours=hours)


# Windows


def test_a_window_is_the_same_for_whoever_computes_it() -> None:
    words = "window 18:00-21:00"
    assert keys(words, YEAR, most=5) == [
        key for hours in range(0, 5 * 24, 24) for key in keys(words, YEAR + hours * HOUR, most=1)
    ]


def test_the_minute_of_a_window_is_another_on_another_day_and_for_another_schedule() -> None:
    timing, _ = read("window 18:00-21:00")
    found = [
        {one.key[-5:] for one in islice(occurrences(timing, BERLIN, YEAR, seed=seed), 365)} for seed in "ab"
    ]
    assert min(map(len, found)) > 100, "a year hardly leaves out a minute of three hours"
    first, second = (next_times(timing, BERLIN, YEAR, seed=seed, most=30) for seed in "ab")
    assert first != second
    assert all(time(18) <= time.fromisoformat(at) < time(21) for at in found[0] | found[1])


def test_a_window_goes_over_midnight() -> None:
    timing, _ = read("window 22:00-02:00")
    found = [
        datetime.fromisoformat(one.key) for one in islice(occurrences(timing, BERLIN, YEAR, seed="7"), 60)
    ]
    evenings = [(moment - timedelta(hours=22)).date() for moment in found]
    assert all(later - one == timedelta(days=1) for one, later in pairwise(evenings))
    assert {moment.hour for moment in found} == {22, 23, 0, 1}


def test_a_window_has_its_post_at_a_minute_that_is_not_quiet() -> None:
    found = keys("window 20:00-23:00 quiet 20:05-07:00", YEAR, most=60)
    assert len({key[:10] for key in found}) == 60
    assert {key[-5:-1] for key in found} == {"20:0"}


# Quiet hours and ends


def test_what_falls_into_quiet_hours_is_left_out() -> None:
    after = datetime(2026, 6, 1, tzinfo=UTC)
    assert keys("daily 06:55,07:00,21:55,22:00 quiet 22:00-07:00", after, most=4) == [
        "2026-06-01T07:00",
        "2026-06-01T21:55",
        "2026-06-02T07:00",
        "2026-06-02T21:55",
    ]
    found = next_times(read("every hour quiet 22:00-07:00")[0], BERLIN, after, seed="7", most=60)
    assert {one.astimezone(BERLIN).hour for one in found} == set(range(7, 22))


def test_a_clock_change_moves_nothing_into_quiet_hours_or_out_of_them() -> None:
    assert keys("daily 02:30 quiet 03:00-04:00", day_before(SPRING), most=1) == ["2026-03-30T02:30"]
    assert keys("daily 02:30,10:00 quiet 02:00-03:00", day_before(SPRING), most=2) == [
        "2026-03-29T10:00",
        "2026-03-30T10:00",
    ]


def test_the_last_day_counts_by_the_clock_of_the_place() -> None:
    honolulu = ZoneInfo("Pacific/Honolulu")  # ten hours behind
    after = datetime(2026, 12, 30, 12, tzinfo=UTC)
    assert coming("daily 20:00 until 2026-12-31", after, zone=honolulu) == [
        ("2026-12-30T20:00", "12-31 06:00"),
        ("2026-12-31T20:00", "01-01 06:00"),
    ]
    hours = keys("every 12 hours until 2026-12-31", after, zone=honolulu, most=9)
    assert hours == ["2026-12-30T22:00Z", "2026-12-31T10:00Z", "2026-12-31T22:00Z"]
    late = keys("window 23:00-02:00 until 2026-12-31", YEAR, zone=honolulu, most=400)
    assert late[-1] < "2027"
    assert len({key[:10] for key in late}) > 200


def test_once_is_once() -> None:
    timing, _ = read("once 2026-12-24 18:00")
    due = datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert next_times(timing, BERLIN, YEAR, seed="7") == [due]
    assert next_times(timing, BERLIN, due - SECOND, seed="7") == [due]
    assert next_times(timing, BERLIN, due, seed="7") == []


def test_what_has_no_end_goes_as_far_as_calendars_do() -> None:
    timing, _ = read("cron 0 0 1 1 *")
    found = list(occurrences(timing, BERLIN, datetime(2990, 6, 1, tzinfo=UTC), seed="7"))
    assert [one.key[:4] for one in found][-1] >= "2999"
    assert len(found) in (9, 10)


@pytest.mark.parametrize(
    "words",
    [
        "once 2025-12-24 18:00",
        "daily 09:00 until 2025-12-31",
        "every 24 hours quiet 23:00-02:00",  # midnight in winter, one o'clock in summer
    ],
)
def test_what_would_never_happen_is_told(words: str) -> None:
    with pytest.raises(BadRequest, match="Nothing would ever be posted at these times") as told:
        check(read(words)[0], BERLIN, YEAR, seed="7")
    assert "nie einen Beitrag" in locale_of("de").says(told.value)


def test_what_happens_at_some_time_is_fine() -> None:
    check(read("cron 0 0 29 2 *")[0], BERLIN, YEAR, seed="7")
    check(read("once 2026-12-24 18:00")[0], BERLIN, YEAR, seed="7")
    check(read("every 24 hours quiet 23:00-00:30")[0], BERLIN, YEAR, seed="7")


# Crons


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 9 * * 1-5", ["01-01", "01-02", "01-05", "01-06"]),  # the 1st is a Thursday
        ("0 9 * * 0", ["01-04", "01-11", "01-18", "01-25"]),
        ("0 9 * * 7", ["01-04", "01-11", "01-18", "01-25"]),
        ("0 9 13 * fri", ["01-02", "01-09", "01-13", "01-16"]),
        ("0 9 31 * *", ["01-31", "03-31", "05-31", "07-31"]),
        ("0 9 29 2 *", ["02-29", "02-29", "02-29", "02-29"]),
        ("0 9 30 2 mon", ["02-02", "02-09", "02-16", "02-23"]),
        ("0 9 */10 * *", ["01-01", "01-11", "01-21", "01-31"]),
    ],
)
def test_a_cron_is_what_every_cron_takes_it_for(cron: str, days: list[str]) -> None:
    assert [key[5:10] for key in keys(f"cron {cron}", YEAR, most=4)] == days


def test_a_leap_day_may_be_eight_years_away() -> None:
    assert keys("cron 0 9 29 2 *", datetime(2096, 3, 1, tzinfo=UTC), most=1) == ["2104-02-29T09:00"]


def test_apscheduler_is_loaded_for_a_cron_and_for_nothing_else() -> None:
    asked = (
        "import sys, datetime, engine.occurrences as o, engine.timewords as t\n"
        "now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)\n"
        "for words in ('daily 09:00', 'cron 0 9 * * *'):\n"
        "    o.next_times(t.read(words)[0], o.zone_of('UTC'), now, seed='7')\n"
        "    print('apscheduler' in sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "True"]


# From anywhere

SAID = (
    "daily 02:30",
    "daily 00:00,02:10,02:40,03:00,23:55",
    "weekly sat,sun 02:30,23:30",
    "every hour",
    "every 7 hours",
    "cron */20 * * * *",
    "cron 15 2,3 * * *",
    "cron 30 1 1,15 * sun",
    "window 01:30-03:30",
    "window 23:00-01:30",
    "daily 02:30,12:00 quiet 03:00-05:00 until 2026-11-30",
    "every hour quiet 22:00-07:00",
    "once 2026-10-25 02:30",
)
ZONES = (
    "Europe/Berlin",
    "America/Nuuk",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/Santiago",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
)


def starts() -> Iterator[tuple[str, datetime]]:
    for zone in ZONES:
        for change, _, _ in changes(zone):
            yield zone, change


@settings(max_examples=150)
@given(
    st.sampled_from(SAID),
    st.sampled_from([(zone, datetime(2026, 7, 1, tzinfo=UTC)) for zone in ZONES] + list(starts())),
    st.integers(-36 * 60, 36 * 60),
)
@example("daily 00:00,02:10,02:40,03:00,23:55", ("Europe/Berlin", SPRING), 0)
def test_who_goes_on_from_any_moment_misses_nothing_and_repeats_nothing(
    words: str, start: tuple[str, datetime], minutes: int
) -> None:
    name, change = start
    zone, (timing, _) = ZoneInfo(name), read(words)
    begin, end = change - timedelta(days=3), change + timedelta(days=3)
    everything = list(takewhile(lambda one: one.due <= end, occurrences(timing, zone, begin, seed="7")))
    after = change + MINUTE * minutes
    later = list(takewhile(lambda one: one.due <= end, occurrences(timing, zone, after, seed="7")))
    assert later == [one for one in everything if one.due > after]
    # One after another, as a loop asks that sleeps in between.
    one_by_one = []
    while (one := next(occurrences(timing, zone, begin, seed="7"), None)) and one.due <= end:
        one_by_one.append(one)
        begin = one.due
    assert one_by_one == everything


# Zones


@pytest.mark.parametrize("name", ["Europe/Berlin", "europe/berlin", " Europe/Berlin ", "EUROPE/BERLIN"])
def test_a_zone_is_found_however_it_is_written(name: str) -> None:
    assert zone_of(name).key == "Europe/Berlin"
    assert zone_of("America/New York").key == "America/New_York"


def test_every_zone_can_be_named() -> None:
    named = available_timezones() - {"localtime", "Factory"}
    assert {zone_of(name).key for name in named} == named


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Berlin", "Nearest are: Europe/Berlin."),
        ("Germany/Berlin", "Nearest are: Europe/Berlin."),
        ("new york", "Nearest are: America/New_York."),
        ("Europe/Berln", "Nearest are: Europe/Berlin, "),
        ("Buenos Aires", "America/Argentina/Buenos_Aires"),
        ("localtime", "There is no time zone “localtime”."),
        ("", "They are called as in Europe/Berlin"),
        ("/", "There is no time zone “/”"),
        ("../../etc/passwd", "There is no time zone “../../etc/passwd”"),
        ("right/Europe/Berlin", "Nearest are: Europe/Berlin."),
        ("Europe", "There is no time zone “Europe”"),
        ("Europe/Ber\x00lin", "There is no time zone “Europe/Berlin”"),
        ("\ud800", "They are called as in Europe/Berlin"),
        ("🦊", "There is no time zone “🦊”"),
        ("x" * 100_000, "There is no time zone “xxxx"),
    ],
)
def test_a_zone_that_does_not_exist_is_told_with_those_that_are_near(name: str, near: str) -> None:
    with pytest.raises(BadRequest) as told:
        zone_of(name)
    assert near in str(told.value)
    assert len(str(told.value)) < 250
    assert locale_of("de").says(told.value).startswith("Eine Zeitzone „")


def test_an_hour_that_is_called_by_its_distance_is_not_taken_for_its_opposite() -> None:
    """`Etc/GMT+1` is an hour behind Greenwich."""
    with pytest.raises(BadRequest) as told:
        zone_of("GMT+1")
    assert "Etc/" not in str(told.value)
