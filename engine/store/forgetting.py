"""What is let go for good: a job's pictures, and all that is kept of a person.

Somebody who is forgotten leaves one row behind for as long as they have not been told so: the order that asked for
it, said by nobody, in which the numbers of their jobs stand. `finish` takes that away too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import ColumnElement, Text, and_, cast, delete, exists, func, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store import pages, unposting
from engine.store.jobs import OPEN, request_from_json
from engine.store.records import DeliveryKind, DeliveryState, TurnKind
from engine.store.tables import (
    accounts,
    chats,
    deliveries,
    feeds,
    jobs,
    people,
    persona_revisions,
    personas,
    pictures,
    schedules,
    turns,
)
from personas.persona import Rating

Item = TypeVar("Item")

#: Databases take only so many values in one statement.
AT_ONCE = 500
#: Marks a private chat that goes when its last notice has arrived.
FORGOTTEN = "forgotten"
#: What is left of the order: the numbers of the jobs whose files may still lie there.
MARK = "/forget of jobs:"
#: A turn that keeps prompts for its buttons is a JSON object with this key.
PROMPTS_KEPT = "prompts"
#: What a revision of a persona says of whoever made it, once nobody knows them any more.
BY_NOBODY = "by somebody"


@dataclass(frozen=True)
class Belongings:
    """What is kept of somebody, counted."""

    messages: int
    pictures: int


async def delete_pictures(tx: AsyncConnection, job_id: int, now: datetime) -> list[str]:
    """A job's pictures are shown nowhere any more; answers their files, also of those that were deleted before."""
    gone = pictures.c.job_id == job_id
    ids = select(pictures.c.id).where(gone)
    await tx.execute(update(personas).where(personas.c.face_picture_id.in_(ids)).values(face_picture_id=None))
    await tx.execute(update(pictures).where(gone, pictures.c.deleted_at.is_(None)).values(deleted_at=now))
    return list((await tx.execute(select(pictures.c.file).where(gone))).scalars())


async def belongings(tx: AsyncConnection, person_id: int) -> Belongings:
    counted = select(
        select(func.count())
        .select_from(turns)
        .where(turns.c.person_id == person_id, turns.c.kind != TurnKind.COMMAND.value)
        .scalar_subquery()
        .label("messages"),
        select(func.count())
        .select_from(pictures)
        .join(jobs, jobs.c.id == pictures.c.job_id)
        .where(jobs.c.person_id == person_id, pictures.c.deleted_at.is_(None))
        .scalar_subquery()
        .label("pictures"),
    )
    row = (await tx.execute(counted)).one()
    return Belongings(row.messages, row.pictures)


async def accounts_of(tx: AsyncConnection, person_id: int) -> list[str]:
    """All that somebody is known by, as `front:platform-id`."""
    found = select(accounts.c.front, accounts.c.platform_id).where(accounts.c.person_id == person_id)
    return [f"{row.front}:{row.platform_id}" for row in await tx.execute(found)]


async def open_jobs(tx: AsyncConnection, person_id: int) -> list[int]:
    """What is being made, or is to be, for them or for their posts."""
    found = select(jobs.c.id).where(jobs.c.person_id == person_id, jobs.c.state.in_(OPEN))
    open_ones = set((await tx.execute(found)).scalars())
    for some in _parts(await unposting.jobs_of(tx, person_id)):
        of_posts = select(jobs.c.id).where(jobs.c.id.in_(some), jobs.c.state.in_(OPEN))
        open_ones |= set((await tx.execute(of_posts)).scalars())
    return sorted(open_ones)


async def forget(tx: AsyncConnection, person_id: int, *, order_id: int) -> None:
    """Delete all that is kept of somebody, but for the turn `order_id`, which is nobody's from now on."""
    private = await _private_chats(tx, person_id, order_id)
    doomed_jobs = await _jobs_of(tx, person_id)
    doomed = await _doomed_turns(tx, person_id, private) | await unposting.turns_of(tx, person_id)
    await pages.forgotten(tx, chat_ids=private, turn_ids=doomed, job_ids=doomed_jobs)
    await unposting.clear(tx, person_id)
    await _delete_turns(tx, doomed, order_id, doomed_jobs)
    await _delete_jobs(tx, doomed_jobs)
    for ordered in (schedules, feeds):
        await tx.execute(delete(ordered).where(ordered.c.person_id == person_id))
    noted = persona_revisions.c.note.like(f"%by person {person_id}")
    await tx.execute(update(persona_revisions).where(noted).values(note=BY_NOBODY))
    await tx.execute(delete(people).where(people.c.id == person_id))
    await _leave_to_scrub(tx)
    here = select(turns.c.chat_id).where(turns.c.id == order_id).scalar_subquery()
    for some in _parts(private):
        gone = and_(chats.c.id.in_(some), chats.c.id != here)
        await tx.execute(delete(chats).where(gone))
        left = and_(chats.c.id.in_(some), chats.c.id == here)
        as_new = (
            update(chats)
            .where(left)
            .values(head_turn_id=None, ledger={}, guests=[], rating=Rating.ALL_AGES.value)
        )
        await tx.execute(as_new.values(settings={FORGOTTEN: "yes"}))


async def _private_chats(tx: AsyncConnection, person_id: int, order_id: int) -> list[int]:
    """Where they are the only person: all threads of each chat in which nobody else ever spoke."""
    theirs, others = turns.alias(), turns.alias()
    spoke = select(theirs.c.chat_id).where(
        or_(theirs.c.person_id == person_id, theirs.c.asked_by == person_id, theirs.c.id == order_id)
    )
    threads = chats.alias()
    same = and_(
        threads.c.front == chats.c.front, threads.c.account == chats.c.account, threads.c.chat == chats.c.chat
    )
    named = exists().where(
        accounts.c.person_id == person_id,
        accounts.c.front == chats.c.front,
        accounts.c.platform_id == chats.c.chat,
    )
    someone_else = exists().where(
        others.c.chat_id == chats.c.id, others.c.person_id.is_not(None), others.c.person_id != person_id
    )
    found = select(chats.c.id).where(
        chats.c.shared.is_(False),
        or_(named, exists().where(same, threads.c.id.in_(spoke))),
        ~someone_else,
    )
    return list((await tx.execute(found)).scalars())


async def _doomed_turns(tx: AsyncConnection, person_id: int, private: Sequence[int]) -> set[int]:
    """What they said, what was answered to it, and all that was said where nobody else was."""
    doomed: set[int] = set()
    for some in _parts(private):
        doomed |= await _ids(tx, turns.c.chat_id.in_(some))
    theirs = await _ids(tx, or_(turns.c.person_id == person_id, turns.c.asked_by == person_id))
    doomed |= theirs | await _greetings(tx, person_id)
    newest = theirs
    while newest:
        answers: set[int] = set()
        for some in _parts(newest):
            # A post comes after what was said last, and answers nobody.
            answers |= await _ids(
                tx, turns.c.parent_id.in_(some), turns.c.persona_id.is_not(None), ~_is_post()
            )
        newest = answers - doomed
        doomed |= newest
    return doomed


async def _greetings(tx: AsyncConnection, person_id: int) -> set[int]:
    """Greetings that call them by name, in places where others are too: nobody asked for these in words."""
    known = union(
        select(people.c.name).where(people.c.id == person_id),
        select(accounts.c.name).where(accounts.c.person_id == person_id),
    )
    names = [name for name in (await tx.execute(known)).scalars() if name]
    spoke = select(turns.c.chat_id).where(turns.c.person_id == person_id)
    greeted = and_(turns.c.persona_id.is_not(None), turns.c.source.is_(None), turns.c.chat_id.in_(spoke))
    if not names:
        return set()
    called = or_(*(turns.c.text.contains(name, autoescape=True) for name in names))
    return await _ids(tx, greeted, called)


async def _delete_turns(
    tx: AsyncConnection, doomed: set[int], order_id: int, doomed_jobs: Sequence[int]
) -> None:
    doomed.discard(order_id)
    parents: dict[int, int | None] = {}
    for some in _parts(doomed):
        rows = await tx.execute(select(turns.c.id, turns.c.parent_id).where(turns.c.id.in_(some)))
        parents |= {row.id: row.parent_id for row in rows}
    for some in _parts(doomed):
        # What others said goes on from what is left before it.
        rows = await tx.execute(select(turns.c.id, turns.c.parent_id).where(turns.c.parent_id.in_(some)))
        for row in rows.all():
            if row.id not in doomed:
                kept = _kept(row.parent_id, parents)
                await tx.execute(update(turns).where(turns.c.id == row.id).values(parent_id=kept))
        rows = await tx.execute(
            select(chats.c.id, chats.c.head_turn_id).where(chats.c.head_turn_id.in_(some))
        )
        for row in rows.all():
            head = _kept(row.head_turn_id, parents)
            await tx.execute(update(chats).where(chats.c.id == row.id).values(head_turn_id=head))
    for some in _parts(doomed):
        about = or_(deliveries.c.turn_id.in_(some), deliveries.c.answers_id.in_(some))
        await tx.execute(delete(deliveries).where(about))
        await tx.execute(delete(turns).where(turns.c.id.in_(some)))
    await tx.execute(delete(deliveries).where(deliveries.c.answers_id == order_id))
    await tx.execute(
        update(turns)
        .where(turns.c.id == order_id)
        .values(
            person_id=None,
            asked_by=None,
            parent_id=None,
            attachments=[],
            text=f"{MARK} {' '.join(map(str, doomed_jobs))}",
        )
    )


def _kept(turn_id: int | None, parents: dict[int, int | None]) -> int | None:
    """The nearest turn before that stays."""
    while turn_id in parents:
        turn_id = parents[turn_id]
    return turn_id


async def _jobs_of(tx: AsyncConnection, person_id: int) -> list[int]:
    """Their jobs and those of their posts, and what others made from their words: the same prompt, or one that began
    with their picture.
    """
    of_posts = await unposting.jobs_of(tx, person_id)
    rows = list(await tx.execute(select(jobs.c.id, jobs.c.request).where(jobs.c.person_id == person_id)))
    for some in _parts(of_posts):
        rows += await tx.execute(select(jobs.c.id, jobs.c.request).where(jobs.c.id.in_(some)))
    theirs = {row.id for row in rows}
    prompts = {request_from_json(row.request).prompt for row in rows}
    prompts = (prompts | await _prompts_kept_for(tx, person_id)) - {""}
    spoke = select(turns.c.chat_id).where(turns.c.person_id == person_id)
    beside = select(jobs.c.id, jobs.c.request).where(
        jobs.c.chat_id.in_(spoke), or_(jobs.c.person_id != person_id, jobs.c.person_id.is_(None))
    )
    same = {row.id for row in await tx.execute(beside) if request_from_json(row.request).prompt in prompts}
    found = newest = theirs | same
    while newest:
        made: set[int] = set()
        for some in _parts(newest):
            from_these = select(pictures.c.id).where(pictures.c.job_id.in_(some))
            after = select(jobs.c.id).where(jobs.c.parent_picture_id.in_(from_these))
            made |= set((await tx.execute(after)).scalars())
        newest = made - found
        found |= newest
    return sorted(found)


async def _prompts_kept_for(tx: AsyncConnection, person_id: int) -> set[str]:
    """Prompts that were written for them, of which anybody beside them could have a picture made."""
    kept = select(turns.c.text).where(
        turns.c.asked_by == person_id,
        turns.c.kind == TurnKind.COMMAND.value,
        turns.c.text.startswith(f'{{"{PROMPTS_KEPT}"', autoescape=True),
    )
    told = [json.loads(text) for text in (await tx.execute(kept)).scalars()]
    return {one["request"]["prompt"] for kept_turn in told for one in kept_turn[PROMPTS_KEPT]}


async def _delete_jobs(tx: AsyncConnection, job_ids: Sequence[int]) -> None:
    for some in _parts(job_ids):
        shown = select(pictures.c.id).where(pictures.c.job_id.in_(some))
        faces = update(personas).where(personas.c.face_picture_id.in_(shown))
        await tx.execute(faces.values(face_picture_id=None))
        await tx.execute(delete(deliveries).where(deliveries.c.job_id.in_(some)))
        await tx.execute(delete(jobs).where(jobs.c.id.in_(some)))


@dataclass(frozen=True)
class Forgotten:
    """An order to forget that was carried out, and the jobs whose files must be gone."""

    turn_id: int
    job_ids: frozenset[int]
    #: The notice that says so has arrived, or never will.
    told: bool


async def forgotten(tx: AsyncConnection) -> list[Forgotten]:
    owed = exists().where(
        deliveries.c.answers_id == turns.c.id,
        deliveries.c.state.in_([DeliveryState.PENDING.value, DeliveryState.SENDING.value]),
    )
    found = select(turns.c.id, turns.c.text, (~owed).label("told")).where(_of_nobody())
    return [
        Forgotten(row.id, frozenset(map(int, re.findall(r"\d+", row.text))), bool(row.told))
        for row in await tx.execute(found)
    ]


async def finish(tx: AsyncConnection, turn_ids: Sequence[int]) -> None:
    """They have been told: nothing of them is left, also not the chat that was theirs alone."""
    for some in _parts(turn_ids):
        here = select(turns.c.chat_id).where(turns.c.id.in_(some), _of_nobody())
        marked = cast(chats.c.settings, Text).contains(FORGOTTEN)
        rows = await tx.execute(select(chats.c.id).where(chats.c.id.in_(here), marked))
        chat_ids = list(rows.scalars())
        await tx.execute(delete(deliveries).where(deliveries.c.answers_id.in_(some)))
        await tx.execute(delete(turns).where(turns.c.id.in_(some), _of_nobody()))
        # Somebody who has begun to talk again meanwhile is somebody new, and stays.
        again = exists().where(turns.c.chat_id == chats.c.id, turns.c.person_id.is_not(None))
        await tx.execute(delete(chats).where(chats.c.id.in_(chat_ids), ~again))
        await tx.execute(update(chats).where(chats.c.id.in_(chat_ids)).values(settings={}))
    await _leave_to_scrub(tx)


async def _leave_to_scrub(tx: AsyncConnection) -> None:
    """A number in the head of the file that is ours to use says it, also after a crash."""
    if tx.dialect.name == "sqlite":
        await tx.exec_driver_sql("PRAGMA user_version = 1")


async def to_scrub(tx: AsyncConnection) -> bool:
    """Whether something was deleted that may still be read in the file."""
    if tx.dialect.name != "sqlite":
        return False
    return bool((await tx.exec_driver_sql("PRAGMA user_version")).scalar_one())


async def scrub(tx: AsyncConnection) -> None:
    """SQLite leaves what was deleted in the file until something else is written over it; not here.

    It ends the transaction that it is given, which must have changed nothing.
    """
    if tx.dialect.name != "sqlite":
        return
    # The file cannot be rewritten inside a transaction.
    for order in ("COMMIT", "VACUUM", "PRAGMA user_version = 0", "PRAGMA wal_checkpoint(TRUNCATE)"):
        await tx.exec_driver_sql(order)


def _of_nobody() -> ColumnElement[bool]:
    return and_(
        turns.c.kind == TurnKind.COMMAND.value,
        turns.c.person_id.is_(None),
        turns.c.persona_id.is_(None),
        turns.c.text.startswith(MARK),
    )


def _is_post() -> ColumnElement[bool]:
    return exists().where(deliveries.c.turn_id == turns.c.id, deliveries.c.kind == DeliveryKind.POST.value)


async def _ids(tx: AsyncConnection, *where: ColumnElement[bool]) -> set[int]:
    return set((await tx.execute(select(turns.c.id).where(*where))).scalars())


def _parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(list(items))
    while some := list(islice(left, AT_ONCE)):
        yield some
