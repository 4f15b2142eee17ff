"""Who speaks: people, the accounts they are known by, and all that is looked up when one of them says something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.records import Account, Incoming, Person, Place
from engine.store.tables import accounts, chats, deliveries, people, posts, questions, shown_messages, turns
from personas.persona import Rating


@dataclass(frozen=True)
class Arrival:
    """All that must be known when somebody speaks, found in one read. None: not seen before."""

    person: Person | None
    place: Place | None
    #: The turn that this update was stored as, if it was heard before.
    heard_before: int | None
    by_person: int
    in_place: int
    account_name: str = ""
    language_chosen: bool = False
    #: The house had asked this person something here, at that moment: what they say now is the answer.
    question: str = ""
    asked_at: datetime | None = None
    #: Whose message the reply is to, where it is one of a persona's.
    replied_persona: int | None = None
    #: It is a reply to a message of ours, whoever spoke in it.
    replied_to_us: bool = False
    #: It is a reply to a post, whether or not the persona is there otherwise.
    replied_to_post: bool = False


_one = select(literal(1).label("one")).subquery("one")
_before = turns.alias("before")
# Both ends count: where the clock was set back, what lies in the future was not said just now.
_since = bindparam("since", type_=turns.c.created_at.type)
_now = bindparam("now", type_=turns.c.created_at.type)
_ARRIVAL = (
    select(
        accounts.c.person_id,
        accounts.c.name.label("account_name"),
        people.c.name,
        people.c.adult_confirmed_at,
        people.c.language,
        people.c.language_chosen,
        chats.c.id.label("chat_id"),
        chats.c.persona_id,
        chats.c.head_turn_id,
        chats.c.rating,
        chats.c.ledger,
        chats.c.guests,
        chats.c.shared,
        chats.c.allows_mature,
        chats.c.settings,
        chats.c.left_at,
        questions.c.order.label("question"),
        questions.c.created_at.label("asked_at"),
        _before.c.id.label("heard_before"),
        select(func.count())
        .where(turns.c.person_id == accounts.c.person_id, turns.c.created_at.between(_since, _now))
        .correlate(accounts)
        .scalar_subquery()
        .label("by_person"),
        select(func.count())
        .where(
            turns.c.chat_id == chats.c.id,
            turns.c.created_at.between(_since, _now),
            turns.c.person_id.is_not(None),
        )
        .correlate(chats)
        .scalar_subquery()
        .label("in_place"),
    )
    .select_from(_one)
    .outerjoin(
        accounts,
        and_(
            accounts.c.front == bindparam("front"),
            accounts.c.platform_id == bindparam("platform_id"),
        ),
    )
    .outerjoin(people, people.c.id == accounts.c.person_id)
    .outerjoin(
        chats,
        and_(
            chats.c.front == bindparam("front"),
            chats.c.account == bindparam("account"),
            chats.c.chat == bindparam("chat"),
            chats.c.thread == bindparam("thread"),
        ),
    )
    .outerjoin(_before, _before.c.dedup_key == bindparam("dedup_key"))
    .outerjoin(
        questions, and_(questions.c.chat_id == chats.c.id, questions.c.person_id == accounts.c.person_id)
    )
)
_REPLIED_TO = (
    select(
        func.coalesce(turns.c.persona_id, posts.c.persona_id).label("persona_id"),
        posts.c.id.label("post_id"),
    )
    .select_from(shown_messages)
    .outerjoin(deliveries, deliveries.c.id == shown_messages.c.delivery_id)
    .outerjoin(turns, turns.c.id == deliveries.c.turn_id)
    .outerjoin(posts, posts.c.id == deliveries.c.post_id)
    .where(shown_messages.c.chat_id == bindparam("chat_id"), shown_messages.c.message == bindparam("message"))
)


async def arrival(tx: AsyncConnection, incoming: Incoming, *, since: datetime, now: datetime) -> Arrival:
    """Who speaks, where, whether it was heard before, and how much was said since `since`."""
    ref = incoming.chat
    if tx.dialect.name == "postgresql":
        # SQLite has one writer. Here the same update, or somebody's first two words, could come in side by side.
        who = f"{ref.front}:{incoming.account.platform_id}"
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(literal(who)))))
    row = (
        await tx.execute(
            _ARRIVAL,
            {
                "front": ref.front,
                "account": ref.account,
                "chat": ref.chat,
                "thread": ref.thread,
                "platform_id": incoming.account.platform_id,
                "dedup_key": incoming.dedup_key,
                "since": since,
                "now": now,
            },
        )
    ).one()
    person = None
    if row.person_id is not None:
        person = Person(row.person_id, row.name, row.adult_confirmed_at, row.language)
    place = None
    replied = None
    if row.chat_id is not None:
        place = Place(
            row.chat_id,
            ref,
            row.persona_id,
            row.head_turn_id,
            Rating(row.rating),
            row.ledger or {},
            tuple(row.guests),
            row.shared,
            row.allows_mature,
            row.settings or {},
            row.left_at,
        )
        if incoming.reply_to:
            about = {"chat_id": row.chat_id, "message": incoming.reply_to}
            replied = (await tx.execute(_REPLIED_TO, about)).one_or_none()
    return Arrival(
        person,
        place,
        row.heard_before,
        row.by_person,
        row.in_place,
        row.account_name or "",
        bool(row.language_chosen),
        row.question or "",
        row.asked_at,
        replied.persona_id if replied else None,
        replied is not None,
        replied is not None and replied.post_id is not None,
    )


async def known(tx: AsyncConnection, account: Account) -> Person | None:
    """Somebody who has spoken to us before."""
    found = (
        select(people)
        .join(accounts, accounts.c.person_id == people.c.id)
        .where(accounts.c.front == account.front, accounts.c.platform_id == account.platform_id)
    )
    row = (await tx.execute(found)).one_or_none()
    return Person(row.id, row.name, row.adult_confirmed_at, row.language) if row else None


_ADD_ACCOUNT = {
    name: made(accounts)
    .on_conflict_do_nothing(index_elements=[accounts.c.front, accounts.c.platform_id])
    .returning(accounts.c.person_id)
    for name, made in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


async def add_person(tx: AsyncConnection, account: Account, *, now: datetime) -> Person:
    """Somebody new: a person, and the account that they are known by. Who comes in twice at once is one person."""
    added = insert(people).values(name=account.name, language=account.language, created_at=now)
    person_id = (await tx.execute(added.returning(people.c.id))).scalar_one()
    known_by = {
        "person_id": person_id,
        "front": account.front,
        "platform_id": account.platform_id,
        "name": account.name,
    }
    if (await tx.execute(_ADD_ACCOUNT[tx.dialect.name], known_by)).scalar_one_or_none() is None:
        # Somebody was quicker, and what they wrote can be read by now.
        await tx.execute(delete(people).where(people.c.id == person_id))
        return await known(tx, account) or await add_person(tx, account, now=now)
    return Person(person_id, account.name, language=account.language)


async def rename(tx: AsyncConnection, person_id: int, account: Account, *, before: str) -> None:
    """The platform says that somebody has a new name: theirs everywhere, where the old one was."""
    await tx.execute(
        update(people).where(people.c.id == person_id, people.c.name == before).values(name=account.name)
    )
    await tx.execute(
        update(accounts)
        .where(accounts.c.front == account.front, accounts.c.platform_id == account.platform_id)
        .values(name=account.name)
    )


async def platform_ids(tx: AsyncConnection, person_id: int, front: str) -> list[str]:
    """Under which ids a front knows somebody."""
    found = select(accounts.c.platform_id).where(accounts.c.person_id == person_id, accounts.c.front == front)
    return list((await tx.execute(found)).scalars())


async def speak(tx: AsyncConnection, person_id: int, language: str, *, chosen: bool = False) -> None:
    """What somebody wants to be spoken to in: `chosen` by themselves, or as their platform says."""
    changed = update(people).where(people.c.id == person_id)
    if not chosen:
        changed = changed.where(people.c.language_chosen.is_(False))
    await tx.execute(changed.values(language=language, language_chosen=chosen))


async def is_adult(tx: AsyncConnection, person_id: int) -> bool:
    """Whether somebody has confirmed that they are of age; nobody has who is not known any more."""
    found = select(people.c.adult_confirmed_at).where(people.c.id == person_id)
    return (await tx.execute(found)).scalar_one_or_none() is not None


async def confirm_adult(tx: AsyncConnection, person_id: int, now: datetime | None) -> None:
    """Somebody said that they are of age, at that moment; None takes it back."""
    await tx.execute(update(people).where(people.c.id == person_id).values(adult_confirmed_at=now))


async def ask(tx: AsyncConnection, chat_id: int, person_id: int, order: str, now: datetime) -> None:
    """The house waits for somebody's words; what it asked before is no longer meant."""
    await asked(tx, chat_id, person_id)
    await tx.execute(
        insert(questions).values(chat_id=chat_id, person_id=person_id, order=order, created_at=now)
    )


async def asked(tx: AsyncConnection, chat_id: int, person_id: int) -> None:
    """The answer came, or something else did."""
    await tx.execute(
        delete(questions).where(questions.c.chat_id == chat_id, questions.c.person_id == person_id)
    )
