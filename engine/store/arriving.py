"""Posts on their way to their chats: which had better not arrive any more, and what is kept of one that does not.

Each first takes the row of the post for itself, and those of deliveries after it: whoever else touches both does too.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import safety
from engine.locales import Said, say
from engine.store import people, posted, sentences
from engine.store.posts import PAUSED, SETTING
from engine.store.records import DeliveryKind, DeliveryState, PostState
from engine.store.tables import chats, deliveries, pictures, posts
from personas.persona import Rating

#: Among the options of a post that was published: after this moment nobody waits for it any more.
SHOWN_UNTIL = "shown_until"

_UNDER_WAY = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)


async def too_late(tx: AsyncConnection, delivery_ids: Collection[int], *, now: datetime) -> dict[int, Said]:
    """Those of these deliveries that are not to be shown any more, and why: posts are paused there by now, its time
    is over, or a later one of the same schedule is owed there as well.
    """
    found = (
        select(posts.c.schedule_id, posts.c.due_at, posts.c.options, deliveries.c.chat_id, chats.c.settings)
        .add_columns(deliveries.c.id.label("delivery_id"))
        .join(deliveries, deliveries.c.post_id == posts.c.id)
        .join(chats, chats.c.id == deliveries.c.chat_id)
        .where(
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.kind == DeliveryKind.POST.value,
            posts.c.state == PostState.PUBLISHED.value,
        )
        .order_by(posts.c.id)
        .with_for_update(of=posts)
    )
    late: dict[int, Said] = {}
    for row in (await tx.execute(found)).all():
        until = row.options.get(SHOWN_UNTIL)
        if row.settings.get(SETTING) == PAUSED:
            late[row.delivery_id] = say("posting.reason.place_paused")
        elif until is None:
            continue  # somebody waits for just this one
        elif now > datetime.fromisoformat(until):
            late[row.delivery_id] = say("posting.reason.not_reached")
        elif await _is_followed(tx, row.schedule_id, row.chat_id, row.due_at):
            late[row.delivery_id] = say("posting.reason.followed")
    return late


async def _is_followed(tx: AsyncConnection, schedule_id: int | None, chat_id: int, due_at: datetime) -> bool:
    if schedule_id is None:
        return False
    later = (
        select(posts.c.options)
        .join(deliveries, deliveries.c.post_id == posts.c.id)
        .where(
            posts.c.schedule_id == schedule_id,
            posts.c.due_at > due_at,
            deliveries.c.chat_id == chat_id,
            deliveries.c.kind == DeliveryKind.POST.value,
            deliveries.c.state.in_(_UNDER_WAY),
        )
    )
    return any(SHOWN_UNTIL in options for options in (await tx.execute(later)).scalars())


async def too_grown_up(
    tx: AsyncConnection, delivery_ids: Collection[int], *, most: Rating
) -> dict[int, Said]:
    """Pictures that may not be seen any more where they go are taken out of these deliveries: what a place allows may
    have been lowered since. Answers of which nothing is left, and why; `most` is what the operator allows anywhere.
    """
    found = (
        select(posts.c.id, posts.c.options, pictures.c.rating.label("picture"), chats.c.rating.label("place"))
        .add_columns(chats.c.allows_mature, deliveries.c.id.label("delivery_id"), deliveries.c.text)
        .join(deliveries, deliveries.c.post_id == posts.c.id)
        .join(chats, chats.c.id == deliveries.c.chat_id)
        .join(pictures, pictures.c.id == posts.c.picture_id)
        .where(
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.kind == DeliveryKind.POST.value,
            deliveries.c.job_id.is_not(None),
            pictures.c.rating != Rating.ALL_AGES.value,
        )
        .order_by(posts.c.id)
        .with_for_update(of=posts)
    )
    nothing_left: dict[int, Said] = {}
    for row in (await tx.execute(found)).all():
        person_id = row.options.get("person")
        allowed = safety.allowed_rating(
            operator=most,
            place=Rating(row.place),
            platform=row.allows_mature,
            confirmed_adult=person_id is None or await people.is_adult(tx, int(person_id)),
        )
        if Rating(row.picture).level <= allowed.level:
            continue
        why = say("posting.reason.picture_rated")
        # Of a picture alone, whose it is may be all that it says.
        if not row.text or not row.options.get("text", True):
            nothing_left[row.delivery_id] = why
            continue
        await tx.execute(update(deliveries).where(deliveries.c.id == row.delivery_id).values(job_id=None))
        untold = update(posts).where(posts.c.id == row.id, posts.c.error == "")
        await tx.execute(untold.values(error=sentences.kept(why)))
    return nothing_left


async def give_up(tx: AsyncConnection, delivery_id: int, why: str) -> None:
    """A post that was published has not arrived, and will not: it says why, and the talk there does not know it."""
    its = select(deliveries.c.post_id, deliveries.c.turn_id).where(
        deliveries.c.id == delivery_id, deliveries.c.kind == DeliveryKind.POST.value
    )
    row = (await tx.execute(its)).one_or_none()
    if row is None:
        return
    untold = update(posts).where(
        posts.c.id == row.post_id, posts.c.state == PostState.PUBLISHED.value, posts.c.error == ""
    )
    # What a front says is why it did not arrive; a reason of ours says all of it.
    ours = isinstance(why, Said) and why.key.startswith("posting.reason.")
    told = why if ours else say("posting.reason.not_delivered", why=why)
    await tx.execute(untold.values(error=sentences.kept(told)))
    if row.turn_id is not None:
        await posted.take_out(tx, row.turn_id)


async def wanted_again(tx: AsyncConnection, delivery_id: int) -> None:
    """Somebody wants just this one, however late it is."""
    its = select(posts.c.id, posts.c.options).join(deliveries, deliveries.c.post_id == posts.c.id)
    row = (
        await tx.execute(its.where(deliveries.c.id == delivery_id).with_for_update(of=posts))
    ).one_or_none()
    if row is not None and SHOWN_UNTIL in row.options:
        kept = {name: told for name, told in row.options.items() if name != SHOWN_UNTIL}
        await tx.execute(update(posts).where(posts.c.id == row.id).values(options=kept))
