"""What was said, and where: places, turns and the branches they form. One function per use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, and_, bindparam, case, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.language import Source
from engine.store.records import (
    ChatRef,
    Person,
    Place,
    Turn,
    TurnKind,
    TurnState,
)
from engine.store.tables import chats, people, personas, turns
from personas.persona import Rating
from personas.prompting import Line

#: Open means: stored, acknowledged, and not answered yet.
OPEN = (TurnState.RECEIVED.value, TurnState.ANSWERING.value)


@dataclass(frozen=True)
class Said:
    """A stored turn of a person, and everything needed to answer it."""

    turn: Turn
    person: Person
    place: Place


@dataclass(frozen=True)
class Talk:
    """Where a talk stands: the persona that is there, and the lines from the first to the last."""

    persona_id: int | None
    revision: int | None
    head: int | None
    lines: tuple[Line, ...]


async def add_place(tx: AsyncConnection, ref: ChatRef, *, persona_id: int | None, now: datetime) -> Place:
    """A chat that was never seen. Two who come in at the same moment find the same one."""
    made = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(chats)
    added = made.values(
        front=ref.front,
        account=ref.account,
        chat=ref.chat,
        thread=ref.thread,
        persona_id=persona_id,
        created_at=now,
    )
    await tx.execute(added.on_conflict_do_nothing())
    found = await place(tx, ref)
    if found is None:
        raise NotFound("That chat is no longer here.")
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
    )


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


#: A long talk is read from about this far back, ...
FAR_BACK = 400
#: ... exactly: from a turn whose id is a multiple of this. Such a turn stays the first one for many turns, where a
#: plain count would move the beginning at every turn, and with it everything that was computed from it.
ANCHOR = 64


async def talk(tx: AsyncConnection, chat_id: int) -> Talk:
    """The talk as it stands, in one read."""
    rows = (await tx.execute(_TALK, {"chat_id": chat_id, "most": FAR_BACK})).all()
    if not rows:
        return Talk(None, None, None, ())
    persona_id, revision, head = rows[0].persona_id, rows[0].revision, rows[0].head
    if len(rows) > FAR_BACK:
        first = next((place for place, row in enumerate(rows) if row.id % ANCHOR == 0), 0)
        rows = rows[first:]
    lines = tuple(Line(row.author_persona_id is not None, row.text) for row in rows if row.text is not None)
    return Talk(persona_id, revision, head, lines)


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
        select(turns, people.c.name, people.c.adult_confirmed_at, chats)
        .join(people, people.c.id == turns.c.person_id)
        .join(chats, chats.c.id == turns.c.chat_id)
        .where(turns.c.id.in_(ids))
        .order_by(turns.c.id)
    )
    rows = (await tx.execute(found)).mappings().all()
    return [
        Said(
            turn=_turn(row),
            person=Person(row[turns.c.person_id], row[people.c.name], row[people.c.adult_confirmed_at]),
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
    )


def _place(row: RowMapping) -> Place:
    return Place(
        row[chats.c.id],
        ChatRef(row[chats.c.front], row[chats.c.account], row[chats.c.chat], row[chats.c.thread]),
        row[chats.c.persona_id],
        row[chats.c.head_turn_id],
        Rating(row[chats.c.rating]),
        row[chats.c.ledger] or {},
    )
