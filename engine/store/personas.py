"""Who is in the cast: one row a persona, one a revision. The shipped files seed it and never overwrite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, and_, bindparam, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest, Conflict, NotFound
from engine.locales import say
from engine.store.jobs import LAST_ID
from engine.store.records import PersonaRecord
from engine.store.tables import persona_revisions, personas
from personas.persona import Persona, printable, slug_of


@dataclass(frozen=True)
class Entry:
    """A persona in a list: enough to show and to choose."""

    id: int
    slug: str
    name: str
    kind: str
    tags: tuple[str, ...]
    origin: str
    revision: int


def _records() -> Select[Any]:
    return (
        select(
            personas.c.id,
            personas.c.revision,
            personas.c.origin,
            personas.c.face_picture_id,
            persona_revisions.c.card,
        )
        .join(
            persona_revisions,
            (persona_revisions.c.persona_id == personas.c.id)
            & (persona_revisions.c.number == personas.c.revision),
        )
        .where(personas.c.deleted_at.is_(None))
    )


def _record(row: RowMapping) -> PersonaRecord:
    return PersonaRecord(
        row["id"],
        Persona.model_validate(row["card"]),
        row["revision"],
        row["origin"],
        row["face_picture_id"],
    )


#: Made once: it is asked for at every message.
_BY_ID = _records().where(personas.c.id == bindparam("persona"))


async def get(tx: AsyncConnection, persona_id: int) -> PersonaRecord:
    row = (await tx.execute(_BY_ID, {"persona": persona_id})).mappings().one_or_none()
    if row is None:
        raise NotFound(say("personas.gone"))
    return _record(row)


async def revision_of(tx: AsyncConnection, persona_id: int) -> int:
    """Which revision of somebody is the present one."""
    found = select(personas.c.revision).where(personas.c.id == persona_id, personas.c.deleted_at.is_(None))
    revision = (await tx.execute(found)).scalar_one_or_none()
    if revision is None:
        raise NotFound(say("personas.gone"))
    return int(revision)


async def find(tx: AsyncConnection, wanted: str) -> PersonaRecord:
    """A persona by slug, number or name, in that order; a name that two of them have is asked back."""
    word = " ".join(printable(wanted).split())
    tried = [personas.c.slug == word.lower()]
    if word.isascii() and word.isdigit() and len(word) < 10:
        tried.append(personas.c.id == int(word))
    for match in tried:
        row = (await tx.execute(_records().where(match))).mappings().one_or_none()
        if row is not None:
            return _record(row)
    # Names are compared here: SQLite's lower() knows no letters beyond ASCII.
    cast = await listing(tx)
    for called in (
        [entry for entry in cast if entry.name.casefold() == word.casefold()],
        [entry for entry in cast if word and _answers_to(entry, word)],
    ):
        if len(called) == 1:
            return await get(tx, called[0].id)
        if called:
            slugs = [entry.slug for entry in called]
            raise BadRequest(say("personas.several", word=_shown(word), slugs=slugs))
    if not cast:
        raise NotFound(say("personas.unknown_and_empty", word=_shown(word)))
    raise NotFound(say("personas.unknown", word=_shown(word), slugs=[entry.slug for entry in cast]))


def _answers_to(entry: Entry, word: str) -> bool:
    return slug_of(word) in (entry.slug, *entry.slug.split("-"))


def _shown(word: str) -> str:
    return f"{word[:40]}{'…' if len(word) > 40 else ''}"


async def listing(tx: AsyncConnection) -> list[Entry]:
    rows = await tx.execute(
        select(personas).where(personas.c.deleted_at.is_(None)).order_by(func.lower(personas.c.name))
    )
    return [
        Entry(row.id, row.slug, row.name, row.kind, tuple(row.tags), row.origin, row.revision) for row in rows
    ]


async def born(tx: AsyncConnection) -> dict[int, datetime]:
    """When each of them came into the house."""
    first = func.min(persona_revisions.c.created_at)
    rows = await tx.execute(
        select(persona_revisions.c.persona_id, first).group_by(persona_revisions.c.persona_id)
    )
    return {row[0]: row[1] for row in rows}


async def names(tx: AsyncConnection) -> dict[int, str]:
    """What each of them is called in talk."""
    nickname = persona_revisions.c.card["nickname"].as_string()
    found = select(personas.c.id, personas.c.name, nickname.label("nickname")).join(
        persona_revisions,
        (persona_revisions.c.persona_id == personas.c.id)
        & (persona_revisions.c.number == personas.c.revision),
    )
    rows = await tx.execute(found.where(personas.c.deleted_at.is_(None)))
    return {row.id: row.nickname or row.name for row in rows}


async def take_in(
    tx: AsyncConnection, persona: Persona, *, origin: str, now: datetime, by: int | None = None
) -> PersonaRecord:
    """Somebody new, under a slug that nobody has: the persona's own, or one like it. Two may have one name, never one
    slug. `by`: who had them written.
    """
    slug = await free_slug(tx, persona.slug or slug_of(persona.name))
    named = persona.model_copy(update={"slug": slug})
    note = _made(by) if by is not None else ""
    return await _add(tx, named, origin=origin, now=now, seeded_hash="", note=note)


def _made(person_id: int) -> str:
    # Who it was is a number that /forget finds, never a name.
    return f"made, by person {person_id}"


@dataclass(frozen=True)
class Written:
    """How many personas somebody had written lately, and when the first of them."""

    count: int
    oldest: datetime | None


async def made_by(tx: AsyncConnection, person_id: int, *, since: datetime, now: datetime) -> Written:
    """Also those who have left since: to take somebody away again makes no room."""
    counted = select(func.count().label("count"), func.min(persona_revisions.c.created_at).label("oldest"))
    theirs = and_(persona_revisions.c.number == 1, persona_revisions.c.note == _made(person_id))
    lately = persona_revisions.c.created_at.between(since, now)
    row = (await tx.execute(counted.where(theirs, lately))).one()
    return Written(row.count, row.oldest)


async def free_slug(tx: AsyncConnection, name: str) -> str:
    """A slug for a name that nobody has, also nobody who left: old links must not find somebody else."""
    if tx.dialect.name == "postgresql":
        # Two who look at once would find the same one free; SQLite has a single writer.
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(literal("personas.slug")))))
    taken = set((await tx.execute(select(personas.c.slug))).scalars())
    base = slug_of(name)
    slug, number = base, 2
    while slug in taken:
        slug = f"{base[:44].rstrip('-')}-{number}"
        number += 1
    return slug


async def revise(
    tx: AsyncConnection, record: PersonaRecord, persona: Persona, *, note: str, now: datetime
) -> PersonaRecord:
    """A new revision; the ones before stay. Two edits of the same revision: the second is refused."""
    number = record.revision + 1
    changed = await tx.execute(
        update(personas)
        .where(personas.c.id == record.id, personas.c.revision == record.revision)
        .values(
            revision=number,
            origin="edited",
            name=persona.name,
            kind=persona.kind,
            tags=list(persona.tags),
        )
    )
    if changed.rowcount != 1:
        raise Conflict(say("personas.edited_meanwhile", name=persona.called))
    await _add_revision(tx, record.id, number, persona, note=note, now=now)
    return PersonaRecord(record.id, persona, number, "edited", record.face_picture_id)


@dataclass(frozen=True)
class Revision:
    """What somebody was at a time."""

    number: int
    name: str
    note: str
    created_at: datetime


async def revisions(
    tx: AsyncConnection, persona_id: int, *, before: int | None = None, most: int = 50
) -> list[Revision]:
    """The newest first."""
    found = select(
        persona_revisions.c.number,
        persona_revisions.c.card["name"].as_string().label("name"),
        persona_revisions.c.note,
        persona_revisions.c.created_at,
    ).where(persona_revisions.c.persona_id == persona_id)
    if before is not None:
        found = found.where(persona_revisions.c.number < min(before, LAST_ID))
    rows = await tx.execute(found.order_by(persona_revisions.c.number.desc()).limit(most))
    return [Revision(row.number, row.name or "", row.note, row.created_at) for row in rows]


async def revision(tx: AsyncConnection, persona_id: int, number: int) -> Persona:
    """Who somebody was in a revision."""
    if 0 < number <= LAST_ID:
        found = select(persona_revisions.c.card).where(
            persona_revisions.c.persona_id == persona_id, persona_revisions.c.number == number
        )
        card = (await tx.execute(found)).scalar_one_or_none()
        if card is not None:
            return Persona.model_validate(card)
    raise NotFound(say("personas.no_revision", number=str(number)))


async def set_face(tx: AsyncConnection, persona_id: int, picture_id: int | None) -> None:
    """Their face from now on is this picture; None: a drawn one."""
    changed = update(personas).where(personas.c.id == persona_id, personas.c.deleted_at.is_(None))
    await tx.execute(changed.values(face_picture_id=picture_id))


async def delete(tx: AsyncConnection, persona_id: int, *, now: datetime) -> None:
    """Take a persona off the cast. Its pictures and what it said stay."""
    await tx.execute(update(personas).where(personas.c.id == persona_id).values(deleted_at=now))


async def seed(tx: AsyncConnection, cast: Iterable[Persona], *, now: datetime) -> list[str]:
    """Bring the shipped cast in: whoever is new comes, and an improved file reaches only the unedited."""
    rows = (await tx.execute(select(personas))).all()
    known = {row.slug: row for row in rows}
    changed = []
    for persona in cast:
        row = known.get(persona.slug)
        digest = _hash(persona)
        if row is None:
            await _add(tx, persona, origin="cast", now=now, seeded_hash=digest)
        elif row.origin == "cast" and row.deleted_at is None and row.seeded_hash != digest:
            number = row.revision + 1
            await tx.execute(
                update(personas)
                .where(personas.c.id == row.id)
                .values(
                    revision=number,
                    seeded_hash=digest,
                    name=persona.name,
                    kind=persona.kind,
                    tags=list(persona.tags),
                )
            )
            await _add_revision(tx, row.id, number, persona, note="a newer cast file", now=now)
        else:
            continue
        changed.append(persona.slug)
    return changed


async def _add(
    tx: AsyncConnection, persona: Persona, *, origin: str, now: datetime, seeded_hash: str, note: str = ""
) -> PersonaRecord:
    added = insert(personas).values(
        slug=persona.slug,
        name=persona.name,
        revision=1,
        origin=origin,
        kind=persona.kind,
        tags=list(persona.tags),
        seeded_hash=seeded_hash,
        created_at=now,
    )
    try:
        persona_id = (await tx.execute(added.returning(personas.c.id))).scalar_one()
    except IntegrityError:
        raise BadRequest(say("personas.slug_taken", slug=persona.slug)) from None
    await _add_revision(tx, persona_id, 1, persona, note=note, now=now)
    return PersonaRecord(persona_id, persona, 1, origin)


async def _add_revision(
    tx: AsyncConnection, persona_id: int, number: int, persona: Persona, *, note: str, now: datetime
) -> None:
    await tx.execute(
        insert(persona_revisions).values(
            persona_id=persona_id,
            number=number,
            card=persona.model_dump(mode="json"),
            note=note,
            created_at=now,
        )
    )


def _hash(persona: Persona) -> str:
    text = json.dumps(persona.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
