"""Posts, as orders change them: each order is one function, and part of its caller's transaction.

What follows from an order, and how a post is made and shown, is none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import schedules
from engine.errors import BadRequest
from engine.language import Source
from engine.locales import say
from engine.planning import about_of, is_by_hand, state_made, take_of, targets_of, wants
from engine.store import outbox, posted, posts
from engine.store import schedules as rows
from engine.store.records import DeliveryKind, DeliveryState, Manner, Post, PostState

#: Where a post keeps the chats that took their copy of it back.
TAKEN_BACK = "taken_back"


async def open_one(tx: AsyncConnection, post_id: int) -> Post:
    """It is not shown yet, and still to be shown; `BadRequest` where it is over."""
    known = await posts.get(tx, post_id, alone=True)
    if known.state not in posts.OPEN:
        raise _over(known)
    return known


async def approve(tx: AsyncConnection, post_id: int, *, now: datetime) -> Post:
    known = await open_one(tx, post_id)
    state = PostState.READY if known.state is PostState.WAITING else known.state
    options = known.options | {"approved": True}
    # News has no time of its own: it only waited for this.
    due = min(known.due_at, now) if about_of(known) else known.due_at
    changed = await posts.change(tx, post_id, was=(known.state,), state=state, options=options, due_at=due)
    return _unchanged(changed)


async def skip(tx: AsyncConnection, post_id: int, *, now: datetime) -> Post:
    known = await posts.get(tx, post_id)
    if known.schedule_id is not None and not is_by_hand(known):
        schedule = await rows.get(tx, known.schedule_id)
        await schedules.with_skipped(tx, schedule, known, now=now)
    known = await open_one(tx, post_id)
    why = say("posting.reason.by_hand")
    return _unchanged(await posts.change(tx, post_id, was=(known.state,), state=PostState.SKIPPED, error=why))


async def reword(tx: AsyncConnection, post_id: int, *, text: str, source: Source) -> Post:
    """What a person wrote needs nobody's word any more; what anybody else did is to be approved like any other."""
    known = await open_one(tx, post_id)
    options, state = known.options | {"text": True}, known.state
    if source is not Source.PERSON:
        options = _unapproved(options)
        if state in (PostState.WAITING, PostState.READY):
            state = state_made(replace(known, options=options))
    changes: dict[str, Any] = {"caption": text, "source": source, "options": options}
    return _unchanged(await posts.change(tx, post_id, was=(known.state,), state=state, **changes))


async def repicture(tx: AsyncConnection, post_id: int) -> tuple[Post, Post]:
    """The post that is to have another picture, and as it was before."""
    known = await open_one(tx, post_id)
    if not wants(known, "picture"):
        raise BadRequest(say("posting.no_picture_wanted", id=str(post_id)))
    options = _unapproved(known.options) | {"take": take_of(known) + 1}
    state = known.state if known.state is PostState.PLANNED else PostState.MAKING
    changed = await posts.change(
        tx,
        post_id,
        was=(known.state,),
        state=state,
        job_id=None,  # the picture that it has is kept until there is another
        error="",
        options=options,
    )
    return _unchanged(changed), known


async def recall(tx: AsyncConnection, post_id: int, *, chat_id: int | None, now: datetime) -> int:
    """Taken back, everywhere or in one chat; answers how many messages that are."""
    known = await posts.get(tx, post_id, alone=True)
    before = tuple(known.options.get(TAKEN_BACK, ()))
    after = (*before, *(targets_of(known) if chat_id is None else (chat_id,)))
    state = PostState.RECALLED if set(after) >= set(targets_of(known)) else PostState.PUBLISHED
    options = known.options if chat_id is None else known.options | {TAKEN_BACK: list(after)}
    back = await posts.change(tx, post_id, was=(PostState.PUBLISHED,), state=state, options=options)
    if back is None:
        if known.state in posts.OPEN:
            raise BadRequest(say("posting.not_published", id=str(post_id)))
        raise _over(known)
    if chat_id in before:
        raise _over(replace(known, state=PostState.RECALLED))
    count = 0
    for shown in await posts.shown(tx, post_id):
        if shown.chat_id in before or chat_id not in (None, shown.chat_id):
            continue
        if shown.state is DeliveryState.SENDING and state is PostState.PUBLISHED:
            # What arrives is taken back by itself only where the whole post is.
            raise BadRequest(say("posting.on_its_way", id=str(post_id)))
        if shown.state is DeliveryState.SENT and shown.messages:
            gone = Manner(removes=shown.messages)
            await outbox.owe(tx, shown.chat_id, DeliveryKind.REMOVAL, manner=gone, now=now)
            count += len(shown.messages)
        elif shown.state in (DeliveryState.PENDING, DeliveryState.HELD):
            gone_with = "The post was taken back."
            await outbox.give_up(tx, shown.delivery_id, error=gone_with, untold=True)
            count += 1
        if shown.turn_id is not None:
            await posted.take_out(tx, shown.turn_id)
    return count


def _over(post: Post) -> BadRequest:
    return BadRequest(say("posting.is_over", id=str(post.id), state=say(f"posting.state.{post.state.value}")))


def _unchanged(post: Post | None) -> Post:
    if post is None:
        raise BadRequest(say("posting.changed_meanwhile"))
    return post


def _unapproved(options: Mapping[str, Any]) -> dict[str, Any]:
    """Nobody has seen it as it is now; but who orders a post by hand wants it whatever it is."""
    return {**options, "approved": bool(options.get("by_hand"))}
