"""What people say of when: how it is read, written, and told, and what is no time at all."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import replace
from datetime import date, time, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from engine.crontab import WEEK, cron_of
from engine.errors import BadRequest
from engine.locales import languages, locale_of
from engine.timetable import GRACE, HOURS, Kind, Span, Timing, described, written
from engine.timewords import LONGEST, read, reread

NINE, HALF_PAST_SIX, EIGHT = time(9), time(18, 30), time(20)
DAILY = Timing(Kind.DAILY, times=(NINE,))
EVENING = Span(time(18), time(21))
NIGHT = Span(time(22), time(7))


def weekly(*days: int) -> Timing:
    return Timing(Kind.WEEKLY, days=days, times=(EIGHT,))


# Reading


@pytest.mark.parametrize(
    ("words", "timing"),
    [
        ("daily 09:00", DAILY),
        ("Daily at 9:00", DAILY),
        ("every day at 09:00", DAILY),
        ("daily 18:30,09:00", Timing(Kind.DAILY, times=(NINE, HALF_PAST_SIX))),
        ("daily 09:00 , 18:30", Timing(Kind.DAILY, times=(NINE, HALF_PAST_SIX))),
        ("daily at 09:00 and 18:30", Timing(Kind.DAILY, times=(NINE, HALF_PAST_SIX))),
        ("weekly mon,thu 20:00", weekly(0, 3)),
        ("weekly Thursday Monday at 20:00", weekly(0, 3)),
        ("weekly on mondays and thursdays at 20:00", weekly(0, 3)),
        ("weekly mon-fri 20:00", weekly(0, 1, 2, 3, 4)),
        ("weekly sat-mon 20:00", weekly(0, 5, 6)),
        ("every monday 20:00", weekly(0)),
        ("every 6 hours", Timing(Kind.HOURS, hours=6)),
        ("every 6h", Timing(Kind.HOURS, hours=6)),
        ("every hour", Timing(Kind.HOURS, hours=1)),
        ("cron 0 9 * * 1-5", Timing(Kind.CRON, cron="0 9 * * 1-5")),
        ("CRON  0  9 * JAN Mon", Timing(Kind.CRON, cron="0 9 * jan mon")),
        ("window 18:00-21:00", Timing(Kind.WINDOW, window=EVENING)),
        ("window 18:00 – 21:00", Timing(Kind.WINDOW, window=EVENING)),
        ("window 22:00-24:00", Timing(Kind.WINDOW, window=Span(time(22), time(0)))),
        ("once 2026-12-24 18:30", Timing(Kind.ONCE, day=date(2026, 12, 24), times=(HALF_PAST_SIX,))),
    ],
)
def test_what_english_people_say_is_understood(words: str, timing: Timing) -> None:
    assert read(words) == (timing, "")


@pytest.mark.parametrize(
    ("words", "timing"),
    [
        ("täglich 09:00", DAILY),
        ("taeglich um 9:00 Uhr", DAILY),
        (unicodedata.normalize("NFD", "TÄGLICH um 9:00"), DAILY),
        ("jeden Tag um 09:00", DAILY),
        ("täglich 09:00 und 18:30 Uhr", Timing(Kind.DAILY, times=(NINE, HALF_PAST_SIX))),
        ("wöchentlich mo,do 20:00", weekly(0, 3)),
        ("wöchentlich montags und donnerstags um 20:00 Uhr", weekly(0, 3)),
        ("jeden Sonnabend 20:00", weekly(5)),
        ("alle 6 Stunden", Timing(Kind.HOURS, hours=6)),
        ("jede Stunde", Timing(Kind.HOURS, hours=1)),
        ("fenster 18:00-21:00", Timing(Kind.WINDOW, window=EVENING)),
        ("einmal 24.12.2026 18:30", Timing(Kind.ONCE, day=date(2026, 12, 24), times=(HALF_PAST_SIX,))),
    ],
)
def test_what_german_people_say_is_the_same(words: str, timing: Timing) -> None:
    assert read(words) == (timing, "")


@pytest.mark.parametrize(
    "words",
    [
        "daily 09:00 quiet 22:00-07:00 until 2026-12-31 grace 2h",
        "daily 09:00 grace 120m until 31.12.2026 quiet 22:00 - 07:00",
        "täglich 09:00 nachholen 2 Stunden bis 31.12.2026 ruhe 22:00-07:00",
        'daily 09:00 quiet 22:00-07:00 "" until 2026-12-31 grace 2 hours',
    ],
)
def test_options_stand_in_any_order_also_behind_a_theme(words: str) -> None:
    wanted = Timing(
        Kind.DAILY, times=(NINE,), quiet=NIGHT, until=date(2026, 12, 31), grace=timedelta(hours=2)
    )
    assert read(words) == (wanted, "")


@pytest.mark.parametrize(
    ("words", "minutes"), [("0", 0), ("0h", 0), ("5m", 5), ("90 min", 90), ("1d", 1440), ("7 Tage", 10080)]
)
def test_how_late_is_still_made_up_is_a_span(words: str, minutes: int) -> None:
    timing, theme = read(f"daily 09:00 grace {words}")
    assert (timing.grace, theme) == (timedelta(minutes=minutes), "")


@pytest.mark.parametrize(
    ("rest", "theme"),
    [
        ('"morning coffee, wherever you are"', "morning coffee, wherever you are"),
        ("“morning coffee”", "morning coffee"),
        ("„Kaffee am Morgen“", "Kaffee am Morgen"),
        ("«café»", "café"),
        ("morning coffee", "morning coffee"),
        ("on the beach", "on the beach"),
        ("at sea", "at sea"),
        ("and then some", "and then some"),
        ("3 cats", "3 cats"),
        ("quiet mornings", "quiet mornings"),
        ("until dawn", "until dawn"),
        ("grace and mercy", "grace and mercy"),
        ("bis bald", "bis bald"),
        ('"Morning", "noon"', '"Morning", "noon"'),
        ('"until 2026-12-31"', "until 2026-12-31"),
        ('"one" "two"', None),
        ('"coffee" and more', None),
        ("line one\nline two", "line one\nline two"),
    ],
)
def test_the_rest_is_the_theme(rest: str, theme: str | None) -> None:
    if theme is None:
        with pytest.raises(BadRequest, match="Behind the theme only"):
            read(f"daily 09:00 {rest}")
    else:
        assert read(f"daily 09:00 {rest}") == (DAILY, theme)


@given(st.text(st.characters(codec="utf-8", exclude_characters='"', exclude_categories=["C"]), max_size=80))
@example("quiet 22:00-07:00")
@example("Uhr")
@example("» «")
def test_whatever_stands_in_quotation_marks_is_the_theme(theme: str) -> None:
    wanted = unicodedata.normalize("NFC", theme).strip()
    assert read(f'daily 09:00 "{theme}"') == (DAILY, wanted)


# Writing

five_minutes = st.integers(0, 287).map(lambda number: time(*divmod(number * 5, 60)))
times_of_day = st.sets(five_minutes, min_size=1, max_size=4).map(lambda times: tuple(sorted(times)))
days_of_week = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))
spans = st.tuples(five_minutes, five_minutes).filter(lambda two: two[0] != two[1]).map(lambda two: Span(*two))
days = st.dates(date(2000, 1, 1), date(2999, 12, 31))
fields = (
    st.sampled_from(["0", "59", "*/5", "*/30", "7,37", "10-40/10", "3/20"]),
    st.sampled_from(["*", "0", "23", "*/2", "9-17", "6,18", "1/5"]),
    st.sampled_from(["*", "1", "28", "*/3", "1-7", "13,26"]),
    st.sampled_from(["*", "1", "jan", "feb-apr", "*/4", "6,12"]),
    st.sampled_from(["*", "0", "7", "mon", "1-5", "sat-sun", "sun-tue", "*/2", "5-7"]),
)
kinds = st.one_of(
    st.builds(Timing, st.just(Kind.DAILY), times=times_of_day),
    st.builds(Timing, st.just(Kind.WEEKLY), times=times_of_day, days=days_of_week),
    st.builds(Timing, st.just(Kind.HOURS), hours=st.sampled_from(HOURS)),
    st.builds(Timing, st.just(Kind.CRON), cron=st.tuples(*fields).map(" ".join)),
    st.builds(Timing, st.just(Kind.WINDOW), window=spans),
    st.builds(Timing, st.just(Kind.ONCE), day=days, times=five_minutes.map(lambda one: (one,))),
)


@st.composite
def timings(draw: st.DrawFn) -> Timing:
    """Anything that can be said."""
    timing = draw(kinds)
    quiet = draw(st.none() | spans)
    until = draw(st.none() | days)
    grace = timedelta(minutes=draw(st.sampled_from([0, 1, 59, 60, 61, 120, 1440, 10080])))
    if quiet and timing.times:
        assume(not all(one in quiet for one in timing.times))
    if quiet and timing.window:
        waking = {time(minute // 60 % 24, minute % 60) for minute in timing.window.minutes}
        assume(not all(one in quiet for one in waking))
    if quiet and timing.cron:
        cron = cron_of(timing.cron)
        assume(not all(time(hour, minute) in quiet for hour in cron.hours for minute in cron.minutes))
    if until and timing.day:
        assume(until >= timing.day)
    return Timing(
        timing.kind,
        timing.times,
        timing.days,
        timing.hours,
        timing.cron,
        timing.window,
        timing.day,
        quiet,
        until,
        grace,
    )


@given(timings())
def test_what_is_written_is_read_as_the_same(timing: Timing) -> None:
    assert read(written(timing)) == (timing, "")


@given(timings(), st.sampled_from(["coffee", "a walk in the rain", "Über den Dächern"]))
def test_a_theme_behind_it_changes_nothing(timing: Timing, theme: str) -> None:
    assert read(f"{written(timing)} {theme}") == (timing, theme)
    assert read(f'{written(timing)} "{theme}"') == (timing, theme)
    assert reread(written(timing), f'"{theme}"') == (timing, theme)
    assert reread("daily 03:00", f'{written(timing)} "{theme}"') == (timing, theme)


@given(timings())
def test_everything_can_be_told_in_every_language(timing: Timing) -> None:
    for language in languages():
        told = described(timing, locale_of(language))
        assert told
        assert "{" not in told


@pytest.mark.parametrize(
    ("words", "english", "german"),
    [
        ("daily 09:00", "daily at 09:00", "täglich um 09:00"),
        (
            "daily 09:00,18:30 quiet 22:00-07:00",
            "daily at 09:00 and 18:30, never between 22:00 and 07:00",
            "täglich um 09:00 und 18:30, nie zwischen 22:00 und 07:00",
        ),
        (
            "weekly mon,thu 20:00",
            "every Monday and Thursday at 20:00",
            "jeden Montag und Donnerstag um 20:00",
        ),
        ("every hour", "every hour", "jede Stunde"),
        ("every 6 hours", "every 6 hours", "alle 6 Stunden"),
        (
            "cron 0 9 * * 1-5 grace 90m",
            "as cron says: 0 9 * * 1-5, made up when at most 90 minutes late",
            "wie der Cron es sagt: 0 9 * * 1-5, nachgeholt, wenn höchstens 90 Minuten zu spät",
        ),
        (
            "window 18:00-21:00 grace 0",
            "every day, some time between 18:00 and 21:00, not made up when missed",
            "jeden Tag irgendwann zwischen 18:00 und 21:00, Versäumtes wird nicht nachgeholt",
        ),
        (
            "once 2026-12-24 18:00 until 2026-12-31",
            "once, on December 24, 2026 at 18:00, the last time on December 31, 2026",
            "einmal, am 24. Dezember 2026 um 18:00, zum letzten Mal am 31. Dezember 2026",
        ),
    ],
)
def test_a_person_is_told_in_their_own_language(words: str, english: str, german: str) -> None:
    timing, _ = read(words)
    assert described(timing, locale_of("en")) == english
    assert described(timing, locale_of("de")) == german


# Crons


@pytest.mark.parametrize(
    ("weekday", "meant"),
    [
        ("0", "sun"),
        ("7", "sun"),
        ("1-5", "mon tue wed thu fri"),
        ("5-7", "fri sat sun"),
        ("0-2", "mon tue sun"),
        ("sat-sun", "sat sun"),
        ("sun-tue", "mon tue sun"),
        ("SUN,wed", "wed sun"),
        ("*/2", "tue thu sat sun"),
        ("*", "mon tue wed thu fri sat sun"),
    ],
)
def test_sunday_is_0_and_7_in_a_cron(weekday: str, meant: str) -> None:
    assert " ".join(WEEK[day] for day in cron_of(f"0 9 * * {weekday}").weekdays) == meant


def test_a_cron_is_lists_and_ranges_and_steps() -> None:
    cron = cron_of("*/20 8-10,22 1,15 jan,6-8 *")
    assert cron.minutes == (0, 20, 40)
    assert cron.hours == (8, 9, 10, 22)
    assert cron.days == (1, 15)
    assert cron.months == (1, 6, 7, 8)
    assert not cron.either
    assert not cron.every_hour
    assert cron_of("5/30 * * * *").minutes == (5, 35)
    assert cron_of("5 * * * *").every_hour
    assert cron_of("0 9 13 * fri").either


def test_where_a_day_never_comes_its_weekdays_still_do() -> None:
    assert not cron_of("0 9 30 2 mon").either
    with pytest.raises(BadRequest, match="no such month has such a day"):
        cron_of("0 9 30 2 *")


# What is no time


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("", "Begin with when it is to be, such as: daily 09:00"),
        ("   ", "Begin with when"),
        ("coffee", "Begin with when"),
        ("\x00\x01\x02", "Begin with when"),
        ("09:00 daily", "Begin with when"),
        ("daily", "Write it as: daily 09:00"),
        ("daily coffee", "Write it as: daily 09:00"),
        ("daily 25:61", "“25:61” is no time of day"),
        ("daily 24:00", "“24:00” is no time of day"),
        ("daily 9", "“9” is no time of day"),
        ("daily 09:00,coffee", "“coffee” is no time of day"),
        ("daily 09:00,", "Write it as: daily 09:00"),
        ("daily ٠٩:٠٠", "Write it as: daily 09:00"),
        ("daily 09:00:00", "“09:00:00” is no time of day"),
        ("daily 99999999999999999999999:00", "“99999999999999999999” is no time of day"),
        ("weekly", "Write it as: weekly mon,thu 20:00"),
        ("weekly 20:00", "Write it as: weekly"),
        ("weekly mon", "Write it as: weekly"),
        ("weekly foo 20:00", "“foo” is no day of the week"),
        ("weekly mon-foo 20:00", "“mon-foo” is no day of the week"),
        ("weekly mon,,thu 20:00", "Write it as: weekly"),
        ("every", "Write it as: every hour"),
        ("every coffee", "“coffee” is no day of the week"),
        ("every 6", "Write it as: every hour"),
        ("every 2 days", "Write it as: every hour"),
        ("every 0 hours", "from 1 to 168 hours"),
        ("every 169 hours", "from 1 to 168 hours"),
        ("every 999999999 hours", "Write it as: every hour"),
        ("every -6 hours", "is no day of the week"),
        ("every second", "5 minutes have to lie between"),
        ("every 10 minutes", "5 minutes have to lie between"),
        ("jede Minute", "5 minutes have to lie between"),
        ("daily 09:00,09:04", "5 minutes have to lie between"),
        ("daily 00:01,23:59", "5 minutes have to lie between"),
        ("weekly mon,tue 00:01,23:59", "5 minutes have to lie between"),
        ("weekly sun,mon 00:01,23:59", "5 minutes have to lie between"),
        ("window 00:00-23:58", "5 minutes have to lie between"),
        ("cron * * * * *", "5 minutes have to lie between"),
        ("cron */4 * * * *", "5 minutes have to lie between"),
        ("cron 0,58 * * * *", "5 minutes have to lie between"),
        ("cron 0,59 0,23 1-31 * 1", "5 minutes have to lie between"),
        ("cron * * * * * *", "five fields"),
        ("cron 0 0 9 * * *", "five fields"),
        ("cron 0 9 * * ?", "“\\?” cannot be the weekday"),
        ("cron 0 9 *", "five fields"),
        ("cron @daily", "five fields"),
        ("cron 60 9 * * *", "“60” cannot be the minute"),
        ("cron 0 24 * * *", "“24” cannot be the hour"),
        ("cron 0 9 0 * *", "“0” cannot be the day"),
        ("cron 0 9 * 13 *", "“13” cannot be the month"),
        ("cron 0 9 * * 8", "“8” cannot be the weekday"),
        ("cron 0 9 * * foo", "“foo” cannot be the weekday"),
        ("cron 5-1 9 * * *", "“5-1” cannot be the minute"),
        ("cron */0 9 * * *", "“\\*/0” cannot be the minute"),
        ("cron */61 9 * * *", "“\\*/61” cannot be the minute"),
        ("cron 1,,2 9 * * *", "“1,,2” cannot be the minute"),
        ("cron 0 9 31 4,6,9,11 *", "no such month has such a day"),
        ("cron 0 9 30 feb *", "no such month has such a day"),
        ("window", "Write it as: window 18:00-21:00"),
        ("window 18-21", "Write it as: window"),
        ("window 18:00", "Write it as: window"),
        ("window 18:00-25:00", "“25:00” is no time of day"),
        ("window 18:00-18:00", "begins when it ends"),
        ("once", "Write it as: once 2026-12-24 18:00"),
        ("once 2026-12-24", "Write it as: once"),
        ("once 2026-02-30 18:00", "“2026-02-30” is no date"),
        ("once 0001-01-01 18:00", "“0001-01-01” is no date"),
        ("once tomorrow 18:00", "“tomorrow” is no date"),
        ("once 2026-12-24 18:00,19:00", "Write it as: once"),
        ("daily 09:00 until 2026-13-01", "“2026-13-01” is no date"),
        ("daily 09:00 until 2026-12-31 until 2027-12-31", "“until” stands there twice"),
        ("daily 09:00 quiet 22", "Write quiet hours as"),
        ("daily 09:00 quiet 22:00-22:00", "begins when it ends"),
        ("daily 09:00 grace 9d", "It can be 1 week at most"),
        ("daily 09:00 grace 3 coffees", "grace 90m"),
        ("daily 03:00,05:00 quiet 22:00-07:00", "All of it falls into the quiet hours, 22:00-07:00"),
        ("window 22:00-02:00 quiet 22:00-07:00", "All of it falls into the quiet hours"),
        ("cron 30 2-4 * * * quiet 22:00-07:00", "All of it falls into the quiet hours"),
        ("once 2026-12-24 18:00 quiet 17:00-19:00", "All of it falls into the quiet hours"),
        ("once 2026-12-24 18:00 until 2026-12-23", "over before it begins"),
        (f"daily 09:00 {'x' * LONGEST}", "2,012 characters are too many"),
        ("every " + "x" * 1_000, "“x{20}” is no day of the week"),
    ],
)
def test_what_is_no_time_is_answered_with_a_sentence(words: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why) as told:
        read(words)
    assert len(str(told.value)) < 250
    assert locale_of("de").says(told.value) != str(told.value)


@pytest.mark.parametrize(
    "words",
    [
        "weekly mon 00:01,23:59",
        "weekly mon,wed 00:01,23:59",
        "cron 0,59 0,23 * * 1",
        "daily 09:00,09:05",
        "cron 30 * * * * quiet 00:31-00:30",
    ],
)
def test_what_only_looks_too_often_is_allowed(words: str) -> None:
    timing, _ = read(words)
    assert timing.grace == GRACE


beginnings = st.sampled_from(
    [
        "",
        "daily",
        "weekly mon",
        "every",
        "cron",
        "window",
        "once",
        "daily 09:00 quiet",
        "daily 09:00 grace",
        '"',
        "„",
    ]
)
pieces = st.lists(
    st.sampled_from(
        [
            "09:00",
            "-",
            ",",
            "*",
            "/",
            "1",
            "99",
            "until",
            "quiet",
            "mon",
            "h",
            '"',
            "\x00",
            "\n",
            "2026-12-24",
            "²",
            "٣",
        ]
    )
    | st.text(max_size=5),
    max_size=12,
)


@given(beginnings, pieces, st.sampled_from(["", " "]))
def test_garbage_is_understood_or_answered_and_nothing_else(begin: str, rest: list[str], glue: str) -> None:
    with suppress(BadRequest):
        timing, theme = read(f"{begin} {glue.join(rest)}")
        assert read(written(timing)) == (timing, "")
        assert theme == theme.strip()


def test_what_names_no_other_time_changes_the_options_of_the_one_there_is() -> None:
    spec = "daily 09:00 quiet 22:00-07:00 grace 2h"
    until = date(2026, 12, 31)
    there = read(spec)[0]
    assert reread(spec, "until 2026-12-31") == (replace(there, until=until), "")
    assert reread(spec, "„Tee“ bis 31.12.2026") == (replace(there, until=until), "Tee")
    assert reread(spec, 'grace 1h "tea"') == (replace(there, grace=GRACE), "tea")
    assert reread(spec, "weekly mon 20:00 tea") == read("weekly mon 20:00 tea")
    assert reread("fortnightly", "daily 10:00") == read("daily 10:00")
    for wrong in (
        "",
        "sometime",
        "until 2026-12-31 tea",
        '"tea" and more',
        "grace 1h grace 2h",
        "quiet 08:00-10:00",
    ):
        with pytest.raises(BadRequest):
            reread(spec, wrong)
    with pytest.raises(BadRequest):
        reread("fortnightly", '"tea"')
