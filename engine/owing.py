"""A post whose time has come is owed to its chats: the words and the picture that may be shown in each.

When that is, and what else becomes of posts, is none of its business.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.locales import say
from engine.making import Making
from engine.pictures.borrowed import Origin
from engine.planning import shown_until, wants, words_of
from engine.reaching import Reached
from engine.store import outbox, pictures, posted, posts
from engine.store.arriving import SHOWN_UNTIL
from engine.store.posts import Under
from engine.store.records import DeliveryKind, Picture, Place, Post, PostState


@dataclass(frozen=True)
class Published:
    post: Post
    deliveries: tuple[int, ...]


async def published(tx: AsyncConnection, under: Under, making: Making, now: datetime) -> Published | None:
    """It is owed to all chats that it reaches; None where somebody else was quicker."""
    post = await posts.get(tx, under.post.id, alone=True)
    if post.state is not under.post.state:
        return None
    change = partial(posts.change, tx, post.id, was=(post.state,))
    there = await reached(tx, post, making)
    if not there.places:
        skipped = await change(state=PostState.SKIPPED, error=there.why)
        return Published(skipped, ()) if skipped else None
    picture = await _picture(tx, under.picture_id or post.picture_id)
    why, text = post.error, words_of(post)
    lent = Origin.of(picture.facts) if picture is not None else None
    places: list[tuple[Place, Picture | None]] = []
    if picture is None and wants(post, "picture"):
        why = why or say("posting.reason.picture_late")
    for place in there.places:
        # It was made for what could be shown everywhere then.
        fits = picture is not None and there.may_show(place, picture.rating)
        if picture is not None and not fits:
            why = why or say("posting.reason.picture_rated")
        if text or fits:
            places.append((place, picture if fits else None))
    if not places:
        skipped = await change(state=PostState.SKIPPED, error=why)
        return Published(skipped, ()) if skipped else None
    until = shown_until(post, now)
    shown = await change(
        state=PostState.PUBLISHED,
        picture_id=picture.id if picture else None,
        job_id=picture.job_id if picture else post.job_id,
        error=why,
        options=post.options | ({SHOWN_UNTIL: until.isoformat()} if until else {}),
    )
    if shown is None:
        return None
    owed = [
        await outbox.owe(
            tx,
            place.id,
            DeliveryKind.POST,
            text=f"{text}\n\n{lent.credit}".strip() if seen and lent else text,
            turn_id=await posted.remember(tx, place, shown, text, now=now),
            post_id=shown.id,
            job_id=seen.job_id if seen else None,
            source=shown.source,
            now=now,
        )
        for place, seen in places
    ]
    return Published(shown, tuple(owed))


async def reached(tx: AsyncConnection, post: Post, making: Making) -> Reached:
    try:
        return await making.reached(tx, post)
    except NotFound:
        return Reached((), why=say("posting.reason.persona_gone"))


async def _picture(tx: AsyncConnection, picture_id: int | None) -> Picture | None:
    if picture_id is not None:
        with suppress(NotFound):  # somebody has deleted it
            return await pictures.get(tx, picture_id)
    return None
