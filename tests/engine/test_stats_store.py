"""What came of everything since a moment, counted from rows on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.language import Source
from engine.store import chats, jobs, outbox, personas, pictures, stats
from engine.store.database import Database
from engine.store.records import ChatRef, DeliveryKind, JobState, TurnState
from personas.persona import Persona
from tests.engine.test_promises import ask_for, row

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_nothing_came_of_nothing(database: Database) -> None:
    found = await database.look(lambda tx: stats.since(tx, start=NOW - HOUR, now=NOW))
    assert (found.replies, found.jobs, found.pictures, found.posts, found.deliveries) == ({}, {}, 0, {}, {})
    assert (found.reply_success, found.job_success, found.words_up, found.pictures_up) == (None,) * 4


async def test_what_was_made_failed_and_stood_in_is_told_apart(database: Database) -> None:
    async with database.write() as tx:
        for number, (stand_in, facts) in enumerate(
            [
                (False, {}),
                (True, {"because": "No memory was left."}),
                (True, {"because": "No memory was left."}),
                (True, {}),
                (False, {}),
            ]
        ):
            job = await ask_for(tx)
            at = NOW - timedelta(minutes=50 - 10 * number)
            await jobs.begin(tx, job.id, at)
            made = {"created_at": at, "stand_in": stand_in, "facts": facts}
            await pictures.add(tx, [row(job, 1, 2.0 + number) | made])
            await jobs.end(tx, job.id, JobState.DONE, at)
        lost = await ask_for(tx)
        await jobs.end(tx, lost.id, JobState.FAILED, NOW, "It was black.")
        old = await ask_for(tx)
        await jobs.end(tx, old.id, JobState.FAILED, NOW - 2 * HOUR, "Long ago.")
    found = await database.look(lambda tx: stats.since(tx, start=NOW - HOUR, now=NOW))
    assert (found.pictures, found.stand_ins) == (5, 3)
    assert found.jobs == {"done": 5, "failed": 1}
    assert found.job_success == 5 / 6
    assert found.stood_in == [("No memory was left.", 2), (stats.NO_CAUSE, 1)]
    assert found.failures == [("It was black.", 1)]
    (way,) = found.options
    assert (way.model, way.device, way.style, way.size, way.steps) == ("sdxl", "cuda", "noir", "64x32", 4)
    assert (way.pictures, way.seconds, way.slowest) == (5, 4.0, 6.0)
    # From the first stand-in, at 20 to, until the next picture, half an hour later.
    assert found.pictures_up == stats.Uptime(0.5, 1)


async def test_replies_and_what_chats_were_owed_are_counted_by_who_and_where(database: Database) -> None:
    async with database.write() as tx:
        ada = await personas.take_in(tx, Persona(slug="ada", name="Ada"), origin="made", now=NOW)
        place = await chats.add_place(tx, ChatRef("telegram", "bot", "1"), persona_id=ada.id, now=NOW)
        for minutes, source in ((40, Source.MODEL), (30, Source.UNDERSTUDY), (20, Source.MODEL)):
            turn = await chats.add_turn(
                tx,
                place.id,
                "Well.",
                now=NOW - timedelta(minutes=minutes),
                state=TurnState.ANSWERED,
                persona_id=ada.id,
                source=source,
            )
            await outbox.owe(tx, place.id, DeliveryKind.REPLY, turn_id=turn.id, now=NOW)
    found = await database.look(lambda tx: stats.since(tx, start=NOW - HOUR, now=NOW))
    assert (found.replies, found.reply_success) == ({"model": 2, "understudy": 1}, 2 / 3)
    assert found.deliveries == {"telegram": {"pending": 3}}
    assert found.words_up == stats.Uptime(1 - 600 / 3_600, 1)
