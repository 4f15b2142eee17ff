"""What chats are owed: pending, sending, sent. A row here is a promise that outlives the process.

`sending` is written before the platform is asked, so that after a crash a row in that state is *unknown*:
it may have arrived. Replies, notices and pictures are sent again; posts on a front that cannot recognise a
repeat are held for the admin.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Integer,
    RowMapping,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.locales import Said
from engine.store import arriving
from engine.store.records import (
    Button,
    ChatRef,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Manner,
    PostState,
    Question,
)
from engine.store.tables import chats, deliveries, jobs, people, personas, posts, turns
from engine.store.tables import messages as page_messages
from personas.persona import Rating

#: What stands where a secret stood.
STRUCK = "•••"
#: No pause between two tries is longer.
LONGEST_PAUSE = timedelta(minutes=5)

_OWE = insert(deliveries).returning(deliveries.c.id)


async def owe(
    tx: AsyncConnection,
    chat_id: int,
    kind: DeliveryKind,
    *,
    now: datetime,
    text: str = "",
    turn_id: int | None = None,
    job_id: int | None = None,
    post_id: int | None = None,
    source: Source | None = None,
    answers_id: int | None = None,
    manner: Manner | None = None,
) -> int:
    """Promise something to a chat. The words of a turn stay with the turn; `text` is for all else."""
    values = {
        "chat_id": chat_id,
        "kind": kind.value,
        "state": DeliveryState.PENDING.value,
        "text": text,
        "turn_id": turn_id,
        "job_id": job_id,
        "post_id": post_id,
        "source": source.value if source else None,
        "answers_id": answers_id,
        "manner": _manner_to_json(manner) if manner else {},
        "nonce": secrets.token_hex(8),
        "created_at": now,
    }
    return int((await tx.execute(_OWE, values)).scalar_one())


async def anything(tx: AsyncConnection, fronts: Collection[tuple[str, str]], *, now: datetime) -> bool:
    """Whether `take` would find something. It only reads, and is in nobody's way."""
    return (await tx.execute(_READY, _asked(fronts, now, 1))).scalar() is not None


async def take(
    tx: AsyncConnection,
    fronts: Collection[tuple[str, str]],
    *,
    now: datetime,
    most: int = 50,
    most_rated: Rating = Rating.ADULT,
) -> list[Delivery]:
    """Mark what may go out now as `sending`: in order within a chat, and nothing past one that waits.

    Posts whose time is over are given up instead, and go without a picture that may not be seen there any more;
    `most_rated` is what the operator allows anywhere.
    """
    while True:
        ready = (await tx.execute(_READY, _asked(fronts, now, most))).all()
        if not ready:
            return []
        posted = [row.id for row in ready if row.kind == DeliveryKind.POST.value]
        late: dict[int, Said] = {}
        if posted:
            late = await arriving.too_late(tx, posted, now=now)
            late |= await arriving.too_grown_up(tx, posted, most=most_rated)
        for delivery_id, why in late.items():
            await give_up(tx, delivery_id, error=why)
        if not (ids := [row.id for row in ready if row.id not in late]):
            continue
        # Whoever was quicker has given some of them up, or taken them.
        if ids := list((await tx.execute(_TAKE, {"ids": ids})).scalars()):
            return [_delivery(row) for row in (await tx.execute(_WHOLE, {"ids": ids})).mappings()]


def _due(rows: FromClause) -> ColumnElement[bool]:
    """Its pause is over; so is one that ends impossibly late, because the clock was set back meanwhile."""
    ends = rows.c.available_at
    return ends.is_(None) | (ends <= bindparam("now")) | (ends > bindparam("late"))


def _ready() -> Select[Any]:
    # However much was ever sent, only the few rows that are owed are read: their index is found by these very words.
    owed = (
        select(
            deliveries.c.id,
            deliveries.c.chat_id,
            deliveries.c.state,
            deliveries.c.kind,
            deliveries.c.available_at,
        )
        .where(text("deliveries.state IN ('pending', 'sending')"))
        .cte("owed")
        .prefix_with("MATERIALIZED")
    )
    earlier = owed.alias("earlier")
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.chat_id == owed.c.chat_id,
            earlier.c.id < owed.c.id,
            (earlier.c.state == DeliveryState.SENDING.value)
            | ((earlier.c.state == DeliveryState.PENDING.value) & ~_due(earlier)),
        )
        .exists()
    )
    return (
        select(owed.c.id, owed.c.kind)
        .join(chats, chats.c.id == owed.c.chat_id)
        .where(
            owed.c.state == DeliveryState.PENDING.value,
            _due(owed),
            ~blocked,
            _on(bindparam("fronts", expanding=True)),
        )
        .order_by(owed.c.id)
        .limit(bindparam("most", type_=Integer))
    )


def _asked(fronts: Collection[tuple[str, str]], now: datetime, most: int) -> dict[str, Any]:
    return {"now": now, "late": now + 2 * LONGEST_PAUSE, "fronts": list(fronts), "most": most}


def _on(fronts: Sequence[tuple[str, str]] | BindParameter[Any]) -> ColumnElement[bool]:
    return tuple_(chats.c.front, chats.c.account).in_(fronts)


#: Made once: it is asked many times a second, and a statement like this is a thousand objects for the garbage.
_READY = _ready()

_TAKE = (
    update(deliveries)
    .where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        deliveries.c.state == DeliveryState.PENDING.value,
    )
    .values(state=DeliveryState.SENDING.value, attempts=deliveries.c.attempts + 1)
    .returning(deliveries.c.id)
)


def _manner_to_json(manner: Manner) -> dict[str, Any]:
    told = asdict(manner)
    return {name: value for name, value in told.items() if value}


def _manner(told: dict[str, Any]) -> Manner:
    question = told.get("question")
    return Manner(
        buttons=tuple(tuple(Button(**one) for one in row) for row in told.get("buttons", ())),
        quiet=bool(told.get("quiet")),
        question=Question(**question) if question else None,
        removes=tuple(told.get("removes", ())),
        faces=tuple(told.get("faces", ())),
        replaces_turns=tuple(told.get("replaces_turns", ())),
        drafted_under=told.get("drafted_under"),
        code=tuple(told.get("code", ())),
        secrets=tuple(told.get("secrets", ())),
    )


_answered = turns.alias("answered")


#: Under the words of a post that are remembered of it may stand whose its picture is.
_of_post = case((deliveries.c.kind == DeliveryKind.POST.value, deliveries.c.text))

_WHOLE = (
    select(
        deliveries,
        func.coalesce(_of_post, turns.c.text, deliveries.c.text).label("words"),
        func.coalesce(turns.c.source, deliveries.c.source).label("written_by"),
        personas.c.name.label("persona_name"),
        personas.c.slug.label("persona_slug"),
        personas.c.id.label("persona_id"),
        chats.c.front,
        chats.c.account,
        chats.c.chat,
        chats.c.thread,
        _answered.c.message.label("answers_message"),
        _answered.c.answer_to,
        people.c.id.label("person_id"),
        people.c.language,
    )
    .join(chats, chats.c.id == deliveries.c.chat_id)
    .outerjoin(turns, turns.c.id == deliveries.c.turn_id)
    .outerjoin(posts, posts.c.id == deliveries.c.post_id)
    .outerjoin(personas, personas.c.id == func.coalesce(turns.c.persona_id, posts.c.persona_id))
    .outerjoin(_answered, _answered.c.id == deliveries.c.answers_id)
    .outerjoin(jobs, jobs.c.id == deliveries.c.job_id)
    .outerjoin(
        people,
        people.c.id == func.coalesce(_answered.c.person_id, _answered.c.asked_by, jobs.c.person_id),
    )
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.id)
)


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        chat=ChatRef(row["front"], row["account"], row["chat"], row["thread"]),
        kind=DeliveryKind(row["kind"]),
        state=DeliveryState(row["state"]),
        text=row["words"],
        nonce=row["nonce"],
        created_at=row["created_at"],
        turn_id=row["turn_id"],
        job_id=row["job_id"],
        post_id=row["post_id"],
        source=Source(row["written_by"]) if row["written_by"] else None,
        persona_name=row["persona_name"] or "",
        persona_slug=row["persona_slug"] or "",
        persona_id=row["persona_id"],
        attempts=row["attempts"],
        messages=tuple(row["messages"]),
        error=row["error"],
        manner=_manner(row["manner"]),
        answers_id=row["answers_id"],
        answers_message=row["answers_message"] or "",
        answer_to=row["answer_to"] or "",
        person_id=row["person_id"],
        language=row["language"] or "",
        unsure=row["unsure"],
        chat_id=row["chat_id"],
    )


_SENT = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery"))
    .values(
        state=DeliveryState.SENT.value,
        messages=bindparam("sent_messages"),
        sent_at=bindparam("sent"),
        error="",
    )
    .returning(deliveries.c.turn_id, deliveries.c.manner)
)


@dataclass(frozen=True)
class Sent:
    """What has arrived. The words of a turn that was taken back meanwhile belong to none any more."""

    turn_id: int | None


async def sent(
    tx: AsyncConnection, delivery_id: int, messages: Sequence[str], *, now: datetime
) -> Sent | None:
    """It arrived. None where nobody is owed it any more: whoever asked for it was forgotten meanwhile."""
    told = {"delivery": delivery_id, "sent_messages": list(messages), "sent": now}
    row = (await tx.execute(_SENT, told)).one_or_none()
    if row is None:
        return None
    if row.manner.get("secrets"):
        await _strike_out(tx, [delivery_id])
    return Sent(row.turn_id)


async def _strike_out(tx: AsyncConnection, delivery_ids: Sequence[int]) -> None:
    """What was to be read once is in no row any more. Nothing happens to rows that have no secrets."""
    found = select(deliveries.c.id, deliveries.c.text, deliveries.c.manner)
    for row in (await tx.execute(found.where(deliveries.c.id.in_(delivery_ids)))).all():
        manner, words = _manner(row.manner), row.text
        for secret in manner.secrets:
            words = words.replace(secret, STRUCK)
        if manner.secrets:
            # On the page, too. It is no change that anybody is told of: who reads it just now may go on.
            shown = update(page_messages).where(page_messages.c.delivery_id == row.id)
            await tx.execute(shown.values(text=words))
            kept = replace(manner, secrets=(), code=tuple(set(manner.code) - set(manner.secrets)))
            values = {"text": words, "manner": _manner_to_json(kept)}
            await tx.execute(update(deliveries).where(deliveries.c.id == row.id).values(values))


async def wait(
    tx: AsyncConnection,
    delivery_ids: Sequence[int],
    *,
    until: datetime,
    counted: bool = True,
    error: str = "",
) -> None:
    """Not now: back to pending, and not before `until`. That nobody was there does not count as an attempt.

    A post that was taken back meanwhile is owed to nobody any more.
    """
    recalled = select(posts.c.id).where(
        posts.c.id == deliveries.c.post_id, posts.c.state == PostState.RECALLED.value
    )
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(delivery_ids), deliveries.c.state == DeliveryState.SENDING.value)
        .values(
            state=case((recalled.exists(), DeliveryState.FAILED.value), else_=DeliveryState.PENDING.value),
            available_at=until,
            attempts=deliveries.c.attempts - (0 if counted else 1),
            error=error,
        )
    )


async def give_up(tx: AsyncConnection, delivery_id: int, *, error: str, untold: bool = False) -> None:
    """It can never arrive: the chat is gone, or the front says no for good. A post says so, unless it is `untold`."""
    if not untold:
        await arriving.give_up(tx, delivery_id, error)
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(state=DeliveryState.FAILED.value, error=error)
    )
    await _strike_out(tx, [delivery_id])


async def wake(tx: AsyncConnection, chat_id: int) -> None:
    """Somebody is there again: what waited for them may go out at once."""
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.chat_id == chat_id, deliveries.c.state == DeliveryState.PENDING.value)
        .values(available_at=None)
    )


async def recover(
    tx: AsyncConnection, fronts: Collection[tuple[str, str]], *, recognises_repeats: bool
) -> tuple[int, int]:
    """After a crash: what was being sent is unknown. Answers how many are sent again, and how many held."""
    of_front = select(chats.c.id).where(_on(list(fronts)))
    unknown = update(deliveries).where(
        text("deliveries.state IN ('pending', 'sending')"),
        deliveries.c.state == DeliveryState.SENDING.value,
        deliveries.c.chat_id.in_(of_front),
    )
    held = 0
    if not recognises_repeats:
        posts = unknown.where(deliveries.c.kind == DeliveryKind.POST.value)
        held = (
            await tx.execute(
                posts.values(
                    state=DeliveryState.HELD.value,
                    error="Greenroom stopped while this was being sent; it may have arrived.",
                )
            )
        ).rowcount
    again = await tx.execute(
        unknown.values(state=DeliveryState.PENDING.value, available_at=None, unsure=true())
    )
    return again.rowcount, held


async def held(tx: AsyncConnection, *, chat_id: int | None = None) -> list[Delivery]:
    """What may have arrived and may not, and waits for somebody's word."""
    found = select(deliveries.c.id).where(deliveries.c.state == DeliveryState.HELD.value)
    if chat_id is not None:
        found = found.where(deliveries.c.chat_id == chat_id)
    ids = list((await tx.execute(found)).scalars())
    return [_delivery(row) for row in (await tx.execute(_WHOLE, {"ids": ids})).mappings()] if ids else []


async def release(tx: AsyncConnection, delivery_id: int, *, again: bool, now: datetime) -> bool:
    """Somebody has looked: it is sent again, or has arrived. False when it is not held."""
    values: dict[str, Any] = {"state": DeliveryState.SENT.value, "sent_at": now}
    if again:
        await arriving.wanted_again(tx, delivery_id)
        values = {"state": DeliveryState.PENDING.value, "attempts": 0, "available_at": None}
    released = await tx.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == DeliveryState.HELD.value)
        .values(error="", **values)
    )
    return bool(released.rowcount)


async def owed(tx: AsyncConnection, *, chat_id: int | None = None) -> int:
    """How many deliveries are still owed, to everybody or to one chat."""
    counted = select(func.count()).select_from(deliveries)
    counted = counted.where(text("deliveries.state IN ('pending', 'sending')"))
    if chat_id is not None:
        counted = counted.where(deliveries.c.chat_id == chat_id)
    return int((await tx.execute(counted)).scalar_one())


async def give_up_chat(tx: AsyncConnection, chat_id: int, *, error: str) -> None:
    """Nobody there wants to hear from us any more: what is owed is given up, and nothing is tried in vain."""
    open_states = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
    given_up = await tx.execute(
        update(deliveries)
        .where(deliveries.c.chat_id == chat_id, deliveries.c.state.in_(open_states))
        .values(state=DeliveryState.FAILED.value, error=error)
        .returning(deliveries.c.id)
    )
    await _strike_out(tx, list(given_up.scalars()))


async def drop(tx: AsyncConnection, turn_ids: Sequence[int]) -> None:
    """Words that were taken back are owed to nobody."""
    await tx.execute(
        delete(deliveries).where(
            deliveries.c.turn_id.in_(turn_ids), deliveries.c.state == DeliveryState.PENDING.value
        )
    )


async def drop_job(tx: AsyncConnection, job_id: int) -> None:
    """Nothing is owed of a job any more: its pictures were deleted."""
    await tx.execute(
        delete(deliveries).where(
            deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.PENDING.value
        )
    )
