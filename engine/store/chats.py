"""What was said, and where: places, turns and the branches they form. One function per use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import RowMapping, and_, bindparam, case, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.language import Source
from engine.locales import say
from engine.store.records import (
    Attachment,
    ChatRef,
    Person,
    Place,
    Turn,
    TurnKind,
    TurnState,
)
from engine.store.tables import chats, people, personas, shown_messages, turns
from personas.persona import Rating
from personas.prompting import Line

#: Open means: stored, acknowledged, and not answered yet.
OPEN = (TurnState.RECEIVED.value, TurnState.ANSWERING.value)


@dataclass(frozen=True)
class Said:
    """A stored turn of a person, and everything needed to answer it."""

    turn: Turn
    #: Whoever spoke; where a persona did, whoever made it speak.
    person: Person
    place: Place
    #: Nobody has heard from them before: what they are told of this house comes before anything else.
    is_first: bool = False


@dataclass(frozen=True)
class Talk:
    """Where a talk stands: the persona that is there, and the lines from the first to the last."""

    persona_id: int | None
    revision: int | None
    head: int | None
    lines: tuple[Line, ...]
    #: Which persona said each of the lines; None: a person.
    speakers: tuple[int | None, ...] = ()


async def add_place(
    tx: AsyncConnection,
    ref: ChatRef,
    *,
    persona_id: int | None,
    now: datetime,
    shared: bool = False,
    allows_mature: bool = True,
) -> Place:
    """A chat that was never seen. Two who come in at the same moment find the same one."""
    made = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(chats)
    added = made.values(
        front=ref.front,
        account=ref.account,
        chat=ref.chat,
        thread=ref.thread,
        persona_id=persona_id,
        shared=shared,
        allows_mature=allows_mature,
        created_at=now,
    )
    await tx.execute(added.on_conflict_do_nothing())
    found = await place(tx, ref)
    if found is None:
        raise NotFound(say("talk.chat_gone"))
    return found


async def place(tx: AsyncConnection, ref: ChatRef) -> Place | None:
    row = (
        (
            await tx.execute(
                select(chats).where(
                    chats.c.front == ref.front,
                    chats.c.account == ref.account,
                    chats.c.chat == ref.chat,
                    chats.c.thread == ref.thread,
                )
            )
        )
        .mappings()
        .one_or_none()
    )
    return _place(row) if row else None


async def place_of(tx: AsyncConnection, chat_id: int) -> Place | None:
    """A chat as it is now, whatever its platform calls it by now."""
    row = (await tx.execute(select(chats).where(chats.c.id == chat_id))).mappings().one_or_none()
    return _place(row) if row else None


async def hold(tx: AsyncConnection, chat_id: int) -> None:
    """Of those who ask for this, each waits until the transaction of the one before is over.

    What is said there meanwhile does not have to wait. SQLite has a single writer anyway.
    """
    held = select(chats.c.id).where(chats.c.id == chat_id).with_for_update(key_share=True)
    await tx.execute(held)


_ADD_TURN = insert(turns).returning(turns.c.id)


async def add_turn(
    tx: AsyncConnection,
    chat_id: int,
    text: str,
    *,
    now: datetime,
    kind: TurnKind = TurnKind.WORDS,
    state: TurnState = TurnState.RECEIVED,
    parent_id: int | None = None,
    person_id: int | None = None,
    persona_id: int | None = None,
    source: Source | None = None,
    dedup_key: str | None = None,
    message: str = "",
    answer_to: str = "",
    attachments: Sequence[Attachment] = (),
    wanted: Sequence[int] = (),
    asked_by: int | None = None,
) -> Turn:
    values = {
        "chat_id": chat_id,
        "parent_id": parent_id,
        "kind": kind.value,
        "state": state.value,
        "text": text,
        "created_at": now,
        "person_id": person_id,
        "persona_id": persona_id,
        "source": source.value if source else None,
        "dedup_key": dedup_key,
        "message": message,
        "answer_to": answer_to,
        "attachments": [asdict(one) for one in attachments],
        "wanted": list(wanted),
        "asked_by": asked_by,
    }
    turn_id = (await tx.execute(_ADD_TURN, values)).scalar_one()
    return Turn(
        id=turn_id,
        chat_id=chat_id,
        parent_id=parent_id,
        kind=kind,
        state=state,
        text=text,
        created_at=now,
        person_id=person_id,
        persona_id=persona_id,
        source=source,
        dedup_key=dedup_key,
        message=message,
        answer_to=answer_to,
        attachments=tuple(attachments),
        wanted=tuple(wanted),
        asked_by=asked_by,
    )


_HEARD = select(turns.c.id).where(turns.c.dedup_key == bindparam("dedup_key"))


async def heard(tx: AsyncConnection, dedup_key: str) -> int | None:
    """The turn that was heard under this key, if any was."""
    return (await tx.execute(_HEARD, {"dedup_key": dedup_key})).scalar_one_or_none()


#: The branch that ends at the head of a chat, newest first, with the persona that is there.
_head = (
    select(
        chats.c.persona_id,
        personas.c.revision,
        chats.c.head_turn_id.label("head"),
        chats.c.head_turn_id.label("turn_id"),
        literal(0).label("depth"),
    )
    .outerjoin(personas, and_(personas.c.id == chats.c.persona_id, personas.c.deleted_at.is_(None)))
    .where(chats.c.id == bindparam("chat_id"))
    .cte("branch", recursive=True)
)
_branch = _head.union_all(
    select(_head.c.persona_id, _head.c.revision, _head.c.head, turns.c.parent_id, _head.c.depth + 1)
    .join(turns, turns.c.id == _head.c.turn_id)
    .where(_head.c.depth < bindparam("most"), turns.c.parent_id.is_not(None))
)
_TALK = (
    select(
        _branch.c.persona_id,
        _branch.c.revision,
        _branch.c.head,
        turns.c.id,
        turns.c.text,
        turns.c.persona_id.label("author_persona_id"),
    )
    .select_from(_branch)
    .outerjoin(turns, turns.c.id == _branch.c.turn_id)
    .order_by(_branch.c.depth.desc())
)
_speaking = personas.alias("speaking")
#: Where several people or personas talk, with who said it.
_TALK_OF_MANY = (
    _TALK.add_columns(func.coalesce(_speaking.c.name, people.c.name).label("name"))
    .outerjoin(_speaking, _speaking.c.id == turns.c.persona_id)
    .outerjoin(people, people.c.id == turns.c.person_id)
)


#: A long talk is read from about this far back, ...
FAR_BACK = 400
#: ... exactly: from a turn whose id is a multiple of this. Such a turn stays the first one for many turns, where a
#: plain count would move the beginning at every turn, and with it everything that was computed from it.
ANCHOR = 64


async def talk(tx: AsyncConnection, chat_id: int, *, of_many: bool = False) -> Talk:
    """The talk as it stands, in one read; `of_many` reads also who said each line."""
    rows = (
        await tx.execute(_TALK_OF_MANY if of_many else _TALK, {"chat_id": chat_id, "most": FAR_BACK})
    ).all()
    if not rows:
        return Talk(None, None, None, ())
    persona_id, revision, head = rows[0].persona_id, rows[0].revision, rows[0].head
    if len(rows) > FAR_BACK:
        first = next((place for place, row in enumerate(rows) if row.id % ANCHOR == 0), 0)
        rows = rows[first:]
    rows = [row for row in rows if row.text is not None]
    lines = tuple(
        Line(row.author_persona_id is not None, row.text, (row.name or "") if of_many else "") for row in rows
    )
    return Talk(persona_id, revision, head, lines, tuple(row.author_persona_id for row in rows))


async def recent(tx: AsyncConnection, chat_id: int, *, most: int) -> list[Turn]:
    """The last turns of the talk as it stands, oldest first."""
    found = select(turns).join(_branch, turns.c.id == _branch.c.turn_id).order_by(_branch.c.depth.desc())
    rows = (await tx.execute(found, {"chat_id": chat_id, "most": most - 1})).mappings().all()
    return [_turn(row) for row in rows]


_ANSWERED = (
    update(turns)
    .where(turns.c.id == bindparam("turn"), turns.c.state.in_(OPEN))
    .values(state=bindparam("now_state"), parent_id=bindparam("parent"))
)
_MOVE_HEAD = (
    update(chats)
    .where(chats.c.id == bindparam("in_chat"), chats.c.persona_id == bindparam("persona"))
    .values(head_turn_id=bindparam("new_head"))
)


async def close_turn(
    tx: AsyncConnection,
    turn: Turn,
    *,
    state: TurnState = TurnState.ANSWERED,
    parent_id: int | None = None,
) -> bool:
    """Mark a turn as dealt with; False when that has happened already, and nothing must happen again."""
    done = await tx.execute(_ANSWERED, {"turn": turn.id, "now_state": state.value, "parent": parent_id})
    return done.rowcount == 1


async def move_head(tx: AsyncConnection, chat_id: int, turn_id: int, *, of_persona: int) -> None:
    """The talk with a persona goes on from this turn, unless another persona came in meanwhile."""
    await tx.execute(_MOVE_HEAD, {"in_chat": chat_id, "new_head": turn_id, "persona": of_persona})


async def persona_here(tx: AsyncConnection, chat_id: int) -> int | None:
    """Who is in a chat now."""
    here = await tx.execute(select(chats.c.persona_id).where(chats.c.id == chat_id))
    return here.scalar_one_or_none()


async def set_persona(tx: AsyncConnection, chat_id: int, persona_id: int) -> int | None:
    """Another persona comes into a chat; answers where its last talk there stood, if there was one."""
    stood = select(func.max(turns.c.id)).where(
        turns.c.chat_id == chat_id, turns.c.persona_id == persona_id, turns.c.kind == TurnKind.WORDS.value
    )
    head = (await tx.execute(stood)).scalar_one()
    changed = update(chats).where(chats.c.id == chat_id)
    await tx.execute(changed.values(persona_id=persona_id, head_turn_id=head))
    return None if head is None else int(head)


async def set_host(tx: AsyncConnection, chat_id: int, persona_id: int) -> None:
    """Who answers where nobody is named. The talk goes on as it stands."""
    await tx.execute(update(chats).where(chats.c.id == chat_id).values(persona_id=persona_id))


async def set_guests(tx: AsyncConnection, chat_id: int, guests: Sequence[int]) -> None:
    await tx.execute(update(chats).where(chats.c.id == chat_id).values(guests=list(guests)))


async def seen(tx: AsyncConnection, chat_id: int, *, shared: bool, allows_mature: bool) -> None:
    """What a platform says of a chat in which somebody has just spoken to us."""
    changed = update(chats).where(chats.c.id == chat_id)
    await tx.execute(changed.values(shared=shared, allows_mature=allows_mature, left_at=None))


async def left(tx: AsyncConnection, chat: ChatRef, now: datetime) -> list[int]:
    """We were shown the door, in all threads where none is named. Answers the ids of the chats it was news for."""
    there = update(chats).where(
        chats.c.front == chat.front,
        chats.c.account == chat.account,
        chats.c.chat == chat.chat,
        chats.c.left_at.is_(None),
    )
    if chat.thread:
        there = there.where(chats.c.thread == chat.thread)
    return list((await tx.execute(there.values(left_at=now).returning(chats.c.id))).scalars())


async def moved(tx: AsyncConnection, old: ChatRef, new: ChatRef) -> int:
    """A chat has a new name on its platform, its threads too. Where the new one is known already, it stays."""
    there = select(chats.c.thread).where(
        chats.c.front == new.front, chats.c.account == new.account, chats.c.chat == new.chat
    )
    taken = list((await tx.execute(there)).scalars())
    changed = await tx.execute(
        update(chats)
        .where(
            chats.c.front == old.front,
            chats.c.account == old.account,
            chats.c.chat == old.chat,
            chats.c.thread.not_in(taken),
        )
        .values(chat=new.chat)
        .returning(chats.c.id)
    )
    ids = list(changed.scalars())
    # Messages are numbered anew there: an old number would be somebody else's message.
    await tx.execute(delete(shown_messages).where(shown_messages.c.chat_id.in_(ids)))
    await tx.execute(update(turns).where(turns.c.chat_id.in_(ids), turns.c.message != "").values(message=""))
    return len(ids)


async def turn(tx: AsyncConnection, turn_id: int) -> Turn | None:
    row = (await tx.execute(select(turns).where(turns.c.id == turn_id))).mappings().one_or_none()
    return _turn(row) if row else None


async def alternatives(tx: AsyncConnection, parent_id: int, persona_id: int) -> list[Turn]:
    """What a persona has answered to a turn so far, the oldest first."""
    found = select(turns).where(
        turns.c.parent_id == parent_id,
        turns.c.persona_id == persona_id,
        turns.c.kind == TurnKind.WORDS.value,
    )
    return [_turn(row) for row in (await tx.execute(found.order_by(turns.c.id))).mappings()]


async def branch_from(tx: AsyncConnection, turn_id: int) -> list[int]:
    """A turn and all that was said after it, on every branch."""
    first = select(turns.c.id).where(turns.c.id == turn_id).cte("said", recursive=True)
    later = turns.alias("later")
    said = first.union_all(select(later.c.id).join(first, later.c.parent_id == first.c.id))
    return list((await tx.execute(select(said.c.id))).scalars())


async def cut(tx: AsyncConnection, turn_ids: Sequence[int]) -> None:
    """These turns are as if never said."""
    await tx.execute(delete(turns).where(turns.c.id.in_(turn_ids)))


async def set_head(tx: AsyncConnection, chat_id: int, turn_id: int | None) -> None:
    """The talk goes on from this turn, whoever is here; None: from nothing."""
    await tx.execute(update(chats).where(chats.c.id == chat_id).values(head_turn_id=turn_id))


async def reopen(tx: AsyncConnection, *, most_attempts: int) -> tuple[list[Said], list[Said]]:
    """Turns that a stop left without an answer: those to answer now, and those tried too often.

    A chat is answered in order: only its first open turn can have been in work, and only that one is counted.
    """
    others = turns.alias()
    first = select(func.min(others.c.id)).where(others.c.state.in_(OPEN)).group_by(others.c.chat_id)
    tries = turns.c.attempts + case((turns.c.id.in_(first), 1), else_=0)
    counted = (
        update(turns)
        .where(turns.c.state.in_(OPEN))
        .values(state=TurnState.ANSWERING.value, attempts=tries)
        .returning(turns.c.id)
    )
    ids = list((await tx.execute(counted)).scalars())
    rows = await _said(tx, ids)
    return (
        [said for said in rows if said.turn.attempts <= most_attempts],
        [said for said in rows if said.turn.attempts > most_attempts],
    )


async def _said(tx: AsyncConnection, ids: Sequence[int]) -> list[Said]:
    found = (
        select(turns, people.c.id, people.c.name, people.c.adult_confirmed_at, people.c.language, chats)
        .join(people, people.c.id == func.coalesce(turns.c.person_id, turns.c.asked_by))
        .join(chats, chats.c.id == turns.c.chat_id)
        .where(turns.c.id.in_(ids))
        # First what personas had still to say to one another: their hops are counted from the last words of a person.
        .order_by(turns.c.person_id.is_not(None), turns.c.id)
    )
    rows = (await tx.execute(found)).mappings().all()
    return [
        Said(
            turn=_turn(row),
            person=Person(
                row[people.c.id],
                row[people.c.name],
                row[people.c.adult_confirmed_at],
                row[people.c.language],
            ),
            place=_place(row),
        )
        for row in rows
    ]


def _turn(row: RowMapping) -> Turn:
    return Turn(
        id=row[turns.c.id],
        chat_id=row[turns.c.chat_id],
        parent_id=row[turns.c.parent_id],
        kind=TurnKind(row[turns.c.kind]),
        state=TurnState(row[turns.c.state]),
        text=row[turns.c.text],
        created_at=row[turns.c.created_at],
        person_id=row[turns.c.person_id],
        persona_id=row[turns.c.persona_id],
        source=Source(row[turns.c.source]) if row[turns.c.source] else None,
        dedup_key=row[turns.c.dedup_key],
        attempts=row[turns.c.attempts],
        message=row[turns.c.message],
        answer_to=row[turns.c.answer_to],
        attachments=tuple(Attachment(**one) for one in row[turns.c.attachments]),
        wanted=tuple(row[turns.c.wanted]),
        asked_by=row[turns.c.asked_by],
    )


def _place(row: RowMapping) -> Place:
    return Place(
        row[chats.c.id],
        ChatRef(row[chats.c.front], row[chats.c.account], row[chats.c.chat], row[chats.c.thread]),
        row[chats.c.persona_id],
        row[chats.c.head_turn_id],
        Rating(row[chats.c.rating]),
        row[chats.c.ledger] or {},
        tuple(row[chats.c.guests]),
        row[chats.c.shared],
        row[chats.c.allows_mature],
        row[chats.c.settings] or {},
        row[chats.c.left_at],
    )


async def set_rating(tx: AsyncConnection, chat_id: int, rating: Rating) -> None:
    """The operator's word on how grown-up a place may be."""
    await tx.execute(update(chats).where(chats.c.id == chat_id).values(rating=rating.value))


async def set_setting(tx: AsyncConnection, chat_id: int, name: str, value: str) -> None:
    """Something that the people of a place decided. What else they decided stays."""
    here = select(chats.c.settings).where(chats.c.id == chat_id).with_for_update()
    settings = (await tx.execute(here)).scalar_one() or {}
    await tx.execute(update(chats).where(chats.c.id == chat_id).values(settings={**settings, name: value}))
