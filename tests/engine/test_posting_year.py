"""A year of schedules, with the process killed again and again: every due post once, none early, none lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from sqlalchemy import select

from engine.borrowing import Borrowing
from engine.captions import Captions
from engine.engine import Engine
from engine.language.understudy import Understudy
from engine.language.writers import Writers
from engine.making import Making
from engine.occurrences import Occurrence, occurrences, zone_of
from engine.planning import PICTURE_PATIENCE, PUNCTUAL, key_of, seed_of
from engine.presence import Presence
from engine.publishing import Publishing
from engine.store import chats, personas
from engine.store.database import Database
from engine.store.records import ChatRef, PostState, Schedule
from engine.store.tables import deliveries, posts
from engine.testing import ManualClock
from engine.timewords import read

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
#: Where clocks change at odd times, by half an hour, not at all, or around Ramadan; and both sides of the date line.
ZONES = (
    "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca",
    "Asia/Kathmandu", "Pacific/Chatham", "America/Santiago", "Asia/Beirut", "Pacific/Kiritimati",
)  # fmt: skip
TIMES = ("weekly sun 02:30", "every 150 hours", "weekly thu 20:00", "cron 30 2 1,15 * *")
#: Two of them, by their number, every day.
DAILY = {0: "daily 02:30", 7: "window 23:00-03:00 quiet 01:00-02:00"}
KILLS = 200


class Killed(BaseException):
    """What a kill -9 is to the code that it hits."""


class Mortal:
    """A database whose process dies before a change, or just behind its commit; then nothing of it moves any more."""

    def __init__(self, database: Database, dies: Callable[[], bool], chance: random.Random) -> None:
        self._database = database
        self._dies = dies
        self._chance = chance
        self.dead = False

    async def look(self, work: Any) -> Any:
        self._alive()
        return await self._database.look(work)

    async def change(self, work: Any, *, hurried: bool = False) -> Any:
        self._alive()
        if self._dies():
            self.dead = True
            if self._chance.random() < 0.5:
                raise Killed
            await self._database.change(work, hurried=hurried)
        answer = None if self.dead else await self._database.change(work, hurried=hurried)
        self._alive()
        return answer

    def _alive(self) -> None:
        if self.dead:
            raise Killed


@pytest.mark.timeout(400)  # some twenty seconds, on a machine that has nothing else to do
async def test_a_year_of_forty_schedules_and_two_hundred_kills(engine: Engine) -> None:
    chance, clock = random.Random(2026), engine.clock
    assert isinstance(clock, ManualClock)
    clock.jump(BEGIN - clock.now())
    known = await forty(engine)
    changes, deaths = 0, 0

    def dies() -> bool:
        # Seldom enough for a year, and often at the same moment again.
        nonlocal changes, deaths
        changes += 1
        dead = deaths < KILLS and chance.random() < 0.03
        deaths += dead
        return dead

    loop = born(engine, dies, chance)
    while clock.now() < END:
        try:
            coming = await loop.round()
            if await loop.make():
                coming = await loop.round()
        except Killed:
            loop = born(engine, dies, chance)
            continue
        assert coming is not None
        clock.jump(max(timedelta(), min(coming, END) - clock.now()))
    async with engine.database.read() as tx:
        rows = list(await tx.execute(select(posts)))
        shown = list(await tx.execute(select(deliveries)))

    assert deaths == KILLS
    wanted = {key_of(one, time.key): time.due for one in known for time in times_of(one)}
    made = {row.occurrence_key: row for row in rows}
    assert wanted.keys() - made.keys() == set(), "lost"
    assert len(made) == len(rows)
    early = [key for key, due in wanted.items() if made[key].due_at != due]
    assert early == []
    assert {made[key].state for key in wanted} == {PostState.PUBLISHED.value}
    assert all(made[key].caption for key in wanted)
    assert set(Counter(row.post_id for row in shown).values()) == {1}, "none doubled"
    due_of = {row.id: row.due_at for row in rows}
    late = [row.created_at - due_of[row.post_id] for row in shown]
    assert min(late) >= timedelta(), "none early"
    assert max(late) <= PICTURE_PATIENCE + PUNCTUAL
    assert len(shown) >= len(wanted)


async def forty(engine: Engine) -> list[Schedule]:
    async with engine.database.write() as tx:
        cast = await personas.listing(tx)
        there = [await personas.get(tx, one.id) for one in cast]
    known = []
    for number, (zone, words) in enumerate((zone, words) for zone in ZONES for words in TIMES):
        async with engine.database.write() as tx:
            place = await chats.add_place(
                tx, ChatRef("stage", "one", f"room {number}"), persona_id=None, now=BEGIN
            )
        known.append(
            await engine.posting.add(
                place=place,
                persona=there[number % len(there)],
                person=None,
                timing=read(DAILY.get(number, words))[0],
                zone=zone,
                theme="",
                # Nobody paints here: these go out without their pictures, some minutes late.
                options={"picture": number % 20 == 2, **({"ahead": 60 * number} if number % 3 else {})},
            )
        )
    return known


def times_of(schedule: Schedule) -> list[Occurrence]:
    timing, zone = read(schedule.spec)[0], zone_of(schedule.zone)
    last = END - PICTURE_PATIENCE - PUNCTUAL
    found = occurrences(timing, zone, BEGIN, seed=seed_of(schedule))
    return list(takewhile(lambda one: one.due < last, found))


def born(engine: Engine, dies: Callable[[], bool], chance: random.Random) -> Publishing:
    """A new process on the same rows."""
    database: Any = Mortal(engine.database, dies, chance)
    understudy = Understudy()
    captions = Captions(Writers([understudy]), "You are {{char}}.", understudy.captions, lambda _text: True)
    presence = Presence(database, engine.settings, engine.clock)
    borrowing = Borrowing(database, engine.files, engine.atelier, engine.settings, engine.clock)
    making = Making(database, captions, engine.imagining, borrowing, presence, engine.settings, engine.clock)
    return Publishing(database, making, engine.imagining, engine.events, engine.clock)
