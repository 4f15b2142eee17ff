"""Schedules and posts of a place, as the tests of their commands make them and look at them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.engine import Engine
from engine.language import Source
from engine.store import chats, messages, outbox, personas
from engine.store import posts as store
from engine.store.records import DeliveryKind, Place, Post, PostState, Schedule
from tests.bot.commands.guest import Guest

#: The manual clock begins on Sunday, 1 March 2026, at six in the morning, UTC.
NINE = '/schedule daily 09:00 "morning coffee"'


async def place_of(guest: Guest) -> Place:
    async with guest.engine.database.read() as tx:
        return await place_in(tx, guest)


async def place_in(tx: AsyncConnection, guest: Guest) -> Place:
    place = await chats.place(tx, guest.chat)
    assert place is not None
    return place


async def schedules(engine: Engine) -> list[Schedule]:
    return await engine.posting.listing()


async def only(engine: Engine) -> Schedule:
    [schedule] = await schedules(engine)
    return schedule


async def made(
    guest: Guest,
    state: PostState,
    *,
    caption: str = "Good morning.",
    key: str = "k",
    job_id: int | None = None,
    also_in: Sequence[Place] = (),
) -> Post:
    """A post of this place, as it stands in the store."""
    place = await place_of(guest)
    options = {"targets": [there.id for there in also_in]} if also_in else {}
    now = guest.engine.clock.now()
    async with guest.engine.database.write() as tx:
        who = (await personas.listing(tx))[0]
        post = await store.add(
            tx,
            key=key,
            due_at=now + timedelta(hours=2),
            chat_id=place.id,
            persona_id=who.id,
            options=options,
            now=now,
        )
        assert post is not None
        told: dict[str, Any] = {"caption": caption, "source": Source.MODEL, "job_id": job_id}
        changed = await store.change(tx, post.id, was=[post.state], state=state, **told)
        assert changed is not None
        if state is PostState.PUBLISHED:
            for there, shown in ((place, ["m1", "m2"]), *((there, [f"m{there.id}0"]) for there in also_in)):
                delivery = await outbox.owe(
                    tx, there.id, DeliveryKind.POST, text=caption, post_id=post.id, now=now
                )
                await outbox.sent(tx, delivery, shown, now=now)
                await messages.shown(tx, there.id, delivery, shown)
    return changed


async def post_of(engine: Engine, post_id: int) -> Post:
    async with engine.database.read() as tx:
        return await store.get(tx, post_id)
