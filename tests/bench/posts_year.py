"""A year of schedules in forty time zones, lived in minutes by a house that is killed again and again.

The house is a process that works through that time with the real loop, store and outbox: `posts_mortal`. Here it is
killed at random, and at the end what was shown is held against what the timetables say.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select as polling
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.logs import keep_quiet
from engine.engine import Engine
from engine.occurrences import occurrences, zone_of
from engine.planning import PUNCTUAL, key_of, seed_of
from engine.store import chats, personas
from engine.store.records import ChatRef, DeliveryState, PostState, Schedule
from engine.store.tables import deliveries, posts
from engine.testing import ManualClock
from engine.timewords import read
from tests.bench.harness import Figure
from tests.bench.pictures_encoding import ROOT
from tests.bench.pictures_house import settings_of
from tests.bench.posts_mortal import CLOCK, EPOCH, PLATFORMS, SHOWN, Wound
from tests.surroundings import bare

#: The first day of a year, and of a month in which clocks change on both sides of the equator.
YEAR, MONTH = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 7, tzinfo=UTC)
#: Clocks change in most of them: by half an hour too, at midnight, around Ramadan, or against the winter.
ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kathmandu", "America/Santiago",
    "Europe/London", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Chatham",
    "Asia/Beirut", "America/Los_Angeles", "Pacific/Auckland", "Pacific/Kiritimati", "Africa/Cairo",
    "Europe/Dublin", "America/Havana", "Australia/Adelaide", "Asia/Kolkata", "Pacific/Easter",
    "Europe/Lisbon", "America/Chicago", "Australia/Hobart", "Pacific/Marquesas", "Asia/Jerusalem",
    "Atlantic/Azores", "America/Nuuk", "Pacific/Norfolk", "Asia/Tehran", "Antarctica/Troll",
    "Europe/Chisinau", "America/Denver", "America/Asuncion", "UTC", "Asia/Gaza",
    "Europe/Athens", "America/Halifax", "Pacific/Apia", "America/Anchorage", "America/Adak",
)  # fmt: skip
#: Written for the day on which all begins; together some twenty posts a year for each schedule.
TIMINGS = (
    "weekly sun 02:30",
    "every 168 hours until {season:%Y-%m-%d}",
    "daily 02:30 until {week:%Y-%m-%d}",
    "cron 30 2 1,15 * *",
    "window 18:00-21:00 until {week:%Y-%m-%d} grace 2h",
    "weekly mon,thu 20:00 quiet 22:00-07:00 until {season:%Y-%m-%d}",
    "cron 15 * 25 10 *",
    "once 2026-10-25 02:30",
    "every hour until {day:%Y-%m-%d}",
    "window 23:00-03:00 quiet 01:00-02:00 until {week:%Y-%m-%d}",
    "cron 5 9 * 4 1-5",
    "every 6 hours until {day:%Y-%m-%d} quiet 03:00-05:00",
    "daily 00:00,12:30 until {week:%Y-%m-%d}",
)
#: Some go on every day of the year.
EVERY_DAY = ("daily 02:30", "window 01:00-04:00", "daily 00:00 quiet 22:00-23:30")
#: A house that is down may stay so for a while, but not as long as a missed time is made up.
LONGEST_DOWN, BETWEEN_DOWNS = timedelta(minutes=40), timedelta(hours=3)
#: Nobody dies at the very end. Time goes on for so long behind the last day, and then everything is shown.
LAST, BEHIND = timedelta(days=2), timedelta(hours=3)
#: This share of the kills comes just when a platform has taken something, and the house does not know it yet.
AIMED = 0.3
#: Simulated time that has come no further in so many real seconds will not go on.
STUCK, CREEPING = 60.0, timedelta(minutes=1)


class Lives:
    """The process that lives are forked from, and the one that lives now."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, clock: Wound, until: datetime) -> None:
        self._process = process
        self._order = {"home": str(home), "until": until.isoformat()}
        self._log, self._shown = home / "log", home / SHOWN
        self._clock = clock
        self._life: int | None = None

    def bear(self) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(self._order).encode() + b"\n")
        self._life = self._told(60.0)["born"]

    def kill(self) -> bool:
        """Whether there was somebody to kill, and it was not over."""
        if self._life is None:
            return False
        os.kill(self._life, signal.SIGKILL)
        return self._ended() == -signal.SIGKILL

    def wait_for(self, moment: datetime) -> None:
        """Until the clock shows it."""
        for _ in self._passing():
            if self._clock.now() >= moment:
                return

    def wait_for_more(self) -> None:
        """Until something is shown."""
        before = self._shown.stat().st_size if self._shown.exists() else 0
        for _ in self._passing():
            if self._shown.exists() and self._shown.stat().st_size > before:
                return

    def wait_for_the_end(self) -> None:
        for _ in self._passing():
            pass

    def _passing(self) -> Iterator[None]:
        """Again and again while a life goes on."""
        seen, since = self._clock.now(), time.monotonic()
        while not self._is_there(0.0005):
            yield
            if self._clock.now() > seen + CREEPING:
                seen, since = self._clock.now(), time.monotonic()
            elif time.monotonic() - since > STUCK:
                raise RuntimeError(f"time stands still at {seen}; see {self._log}")
        if status := self._ended():
            raise RuntimeError(f"a life ended with {status}; see {self._log}")

    def _ended(self) -> int:
        status = self._told(60.0)["ended"]
        self._life = None
        return status

    def _told(self, patience: float) -> dict[str, int]:
        assert self._process.stdout
        line = self._process.stdout.readline() if self._is_there(patience) else b""
        if not line:
            raise RuntimeError(f"whoever bears the houses says nothing; see {self._log}")
        told: dict[str, int] = json.loads(line)
        return told

    def _is_there(self, patience: float) -> bool:
        assert self._process.stdout
        return bool(polling.select([self._process.stdout], [], [], patience)[0])


@contextmanager
def lives(home: Path, clock: Wound, until: datetime) -> Iterator[Lives]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.posts_mortal"]
    with subprocess.Popen(
        command, cwd=ROOT, env=bare(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        made = Lives(process, home, clock, until)
        try:
            yield made
        finally:
            made.kill()
            assert process.stdin
            process.stdin.close()


@dataclass
class Outcome:
    """What became of all that was due."""

    due: int = 0
    kills: int = 0
    seconds: float = 0.0
    #: As the timetables have them: what never came, came twice or came without being due, came too soon.
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    #: Deliveries that were under way at a kill, and are neither listed as such nor known to have arrived.
    unlisted: list[int] = field(default_factory=list)
    unknown: int = 0
    held: int = 0
    #: Two of one schedule were missed in the same time: the newer one stands for both.
    passed_over: int = 0
    down: int = 0
    latest: timedelta = timedelta()
    states: Counter[str] = field(default_factory=Counter)


def take_year(folder: Path, *, schedules: int, kills: int, quick: bool) -> tuple[list[Figure], str]:
    keep_quiet()
    begin, days = (MONTH, 31) if quick else (YEAR, 365)
    outcome = survive(folder / "home", schedules, kills, begin, begin + timedelta(days=days))
    of_all = f"of {outcome.due:,} posts of {schedules} schedules with {outcome.kills} kills"
    counted: dict[str, Sequence[object]] = {
        f"year: lost {of_all}": outcome.lost,
        "year: shown twice, or without a time of its own": outcome.doubled,
        "year: before its time": outcome.early,
        "year: unknown after a kill and not listed": outcome.unlisted,
    }
    figures = [Figure(name, len(found), "0", "lower", "0") for name, found in counted.items()]
    states = ", ".join(f"{count:,} {state}" for state, count in outcome.states.most_common())
    notes = [
        f"{days} days in {outcome.seconds:.0f} s; {outcome.kills} kills, {outcome.down} with time passing while "
        f"nobody was there (the latest post came {outcome.latest.total_seconds() / 60:.0f} min late)",
        f"posts: {states}; {outcome.unknown} deliveries unknown after a kill, {outcome.held} held for somebody's "
        f"word; {outcome.passed_over} passed over for a newer one",
        *[f"{name}: {', '.join(map(str, found[:8]))}" for name, found in counted.items() if found],
    ]
    return figures, "\n".join(notes)


def survive(
    home: Path, many: int, kills: int, begin: datetime, end: datetime, seed: int = 20_261_128
) -> Outcome:
    dice, outcome = random.Random(seed), Outcome()
    known = asyncio.run(_order(home, many, begin))
    clock = Wound.made(home / CLOCK, begin)
    unknown: dict[int, str] = {}
    downs: list[tuple[datetime, datetime]] = []
    began = time.monotonic()
    with lives(home, clock, end + BEHIND) as house:
        for moment in sorted(begin + dice.random() * (end - LAST - begin) for _ in range(kills)):
            house.bear()
            house.wait_for(moment)
            if dice.random() < AIMED:
                house.wait_for_more()
            else:
                time.sleep(dice.uniform(0, 0.05))
            outcome.kills += house.kill()
            unknown |= _under_way(home)
            died = clock.now()
            if dice.random() < 0.4 and (not downs or died - downs[-1][1] > BETWEEN_DOWNS):
                clock.set(died + dice.random() * LONGEST_DOWN)
                downs.append((died, clock.now()))
        house.bear()
        house.wait_for_the_end()
    outcome.seconds, outcome.down, outcome.unknown = time.monotonic() - began, len(downs), len(unknown)
    asyncio.run(_compare(home, known, (begin, end), unknown, downs, outcome))
    return outcome


async def _order(home: Path, many: int, begin: datetime) -> list[Schedule]:
    days = {name: begin + timedelta(days=n) for name, n in (("day", 1), ("week", 10), ("season", 90))}
    async with Engine.open(settings_of(home), clock=ManualClock(begin)) as engine:
        async with engine.database.read() as tx:
            cast = [await personas.get(tx, one.id) for one in await personas.listing(tx)]
        known = []
        for number in range(many):
            words = TIMINGS[number % len(TIMINGS)].format(**days)
            if number % 83 == 7:
                words = EVERY_DAY[number // 83 % len(EVERY_DAY)]
            options: dict[str, Any] = {"picture": False, "approval": "post" if number % 5 == 0 else ""}
            if number % 16 == 3:
                options["ahead"] = (0, 60, 86_400)[number // 16 % 3]
            ref = ChatRef(tuple(PLATFORMS)[number % 2], "one", f"room {number}")
            async with engine.database.write() as tx:
                place = await chats.add_place(tx, ref, persona_id=None, now=begin)
            known.append(
                await engine.posting.add(
                    place=place,
                    persona=cast[number % len(cast)],
                    person=None,
                    timing=read(words)[0],
                    zone=ZONES[number % len(ZONES)],
                    theme="",
                    options=options,
                )
            )
        return known


def _under_way(home: Path) -> dict[int, str]:
    """Deliveries that nobody knows the end of, with their platforms: the rows of a house that has just died."""
    asked = (
        "SELECT d.id, c.front FROM deliveries d JOIN chats c ON c.id = d.chat_id WHERE d.state = 'sending'"
    )
    with closing(sqlite3.connect(home / "greenroom.db")) as rows:
        return dict(rows.execute(asked).fetchall())


async def _compare(
    home: Path,
    known: Sequence[Schedule],
    time_of_it: tuple[datetime, datetime],
    unknown: dict[int, str],
    downs: Sequence[tuple[datetime, datetime]],
    outcome: Outcome,
) -> None:
    begin, end = time_of_it
    wanted: dict[str, datetime] = {}
    passed_over: set[str] = set()
    for one in known:
        found = occurrences(read(one.spec)[0], zone_of(one.zone), begin, seed=seed_of(one))
        in_time = takewhile(lambda each: each.due <= end, found)
        of_it = {key_of(one, each.key): each.due for each in in_time}
        wanted |= of_it
        for died, again in downs:
            missed = sorted((at, key) for key, at in of_it.items() if died < at < again)
            passed_over |= {key for at, key in missed[:-1] if again - at > PUNCTUAL}
    async with Engine.open(settings_of(home)) as engine:
        async with engine.database.read() as tx:
            rows = {row.occurrence_key: row for row in await tx.execute(select(posts)) if row.due_at <= end}
            owed = [row for row in await tx.execute(select(deliveries)) if row.post_id is not None]
        held = {row.id for row in await engine.posting.held()}
    state_of = {row.id: DeliveryState(row.state) for row in owed}
    promised = Counter(row.post_id for row in owed)
    held_posts = {row.post_id for row in owed if row.id in held}
    shown = _shown(home)
    outcome.due, outcome.held = len(wanted), len(held)
    outcome.states = Counter(row.state for row in rows.values())
    for key, due in wanted.items():
        row = rows.get(key)
        if row is None:
            outcome.lost.append(key)
            continue
        times = shown.get(row.id, [])
        is_made = row.state == PostState.PUBLISHED.value and row.caption
        if key in passed_over and row.state == PostState.SKIPPED.value:
            outcome.passed_over += 1
        elif not is_made or not (times or row.id in held_posts):
            outcome.lost.append(key)
        elif len(times) > 1 or promised[row.id] != 1:
            outcome.doubled.append(key)
        if row.due_at != due or (times and min(times) < due):
            outcome.early.append(key)
        outcome.latest = max([outcome.latest, *(at - due for at in times)])
    outcome.doubled += sorted(rows.keys() - wanted.keys())
    outcome.unlisted = [
        one
        for one, front in unknown.items()
        if not (one in held or (PLATFORMS[front] and state_of[one] is DeliveryState.SENT))
    ]


def _shown(home: Path) -> dict[int, list[datetime]]:
    """When each post appeared. A platform that knows repeats shows the same one once."""
    seen: set[str] = set()
    found: dict[int, list[datetime]] = {}
    for line in (home / SHOWN).read_text().splitlines():
        told = json.loads(line)
        if PLATFORMS[told["on"]] and told["nonce"] in seen:
            continue
        seen.add(told["nonce"])
        found.setdefault(told["post"], []).append(EPOCH + timedelta(seconds=told["at"]))
    return found
