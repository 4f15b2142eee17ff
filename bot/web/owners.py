"""Whose jobs and pictures somebody may see and change: a key its own, whoever may read all of them, the operator all.

And how grown-up what they see may be: the operator's word, and for a key that of its own place.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException

from bot.web.doors import Caller, Scope, caller, needs, scope_of
from engine import safety
from engine.engine import Engine
from engine.errors import NotFound, Refused, Unsuitable
from engine.locales import say
from engine.rights import PAGE
from engine.store import chats, jobs, people, personas, pictures
from engine.store.once import digest
from engine.store.records import ChatRef, Job, Person, Picture
from personas.persona import Persona, Rating


@functools.cache
def either(*scopes: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    """For a route that takes one scope or the other: what it shows goes by which one it is."""

    async def allowed(who: Annotated[Caller, Depends(caller)]) -> Caller:
        if not any(map(who.may, scopes)):
            raise HTTPException(403, say("web.scope", scope=" / ".join(scopes), name=who.name))
        return who

    vars(allowed)["scopes"] = scopes
    return allowed


LOOK = either(Scope.READ, Scope.MAKE)
#: Whoever looks: at everything, or at what was made for themselves.
Looker = Annotated[Caller, Depends(LOOK)]
#: Who is there, and what hangs in one's own chats, whoever talks sees as well.
MEET = either(Scope.READ, Scope.MAKE, Scope.CHAT)
Guest = Annotated[Caller, Depends(MEET)]
Maker = Annotated[Caller, Depends(needs(Scope.MAKE))]
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Manager = Annotated[Caller, Depends(needs(Scope.MANAGE))]


def scopes_of(dependency: object) -> tuple[Scope, ...]:
    """The scopes that a route's dependency stands for; one of them is enough."""
    if (one := scope_of(dependency)) is not None:
        return (one,)
    some: tuple[Scope, ...] = getattr(dependency, "scopes", ())
    return some


#: The person of a key that has never asked for anything: nobody is.
NOBODY = 0


def asked_once(who: Caller, key: str | None) -> str:
    """What names an order of somebody's that counts once, however often it is sent; each key's are its own."""
    whose = "" if who.key_id is None else f"key:{who.key_id}:"
    return f"api:{whose}{key}" if key else ""


def told_in(order: BaseModel, *about: object) -> str:
    """What an order says, in brief: under its key nothing else is ordered. `about`: what its address names.

    What is as usual need not be said, so that an order is the same to a later version, which may know more to say.
    """
    return digest(*about, order.model_dump(mode="json", exclude={"key"}, exclude_defaults=True))


@dataclass(frozen=True)
class Sight:
    """What somebody may see."""

    #: How grown-up.
    allowed: Rating
    #: Only what this person has asked for; None: whatever there is.
    person_id: int | None

    def check(self, picture: Picture) -> None:
        if picture.rating.level > self.allowed.level:
            raise Unsuitable(say("imagine.too_grown_up"))


async def sight_of(tx: AsyncConnection, engine: Engine, who: Caller) -> Sight:
    person = await people.known(tx, who.account) if who.key_id is not None else None
    allowed = await rating_of(tx, engine, who, person)
    if who.may(Scope.READ):
        return Sight(allowed, None)
    return Sight(allowed, person.id if person else NOBODY)


async def to_be_met(tx: AsyncConnection, engine: Engine, who: Caller) -> list[tuple[personas.Entry, Persona]]:
    """Everybody of the cast to whom a caller would be let in, by name."""
    allowed = None if who.may(Scope.READ) else (await sight_of(tx, engine, who)).allowed
    there = [
        (entry, await engine.presence.persona(tx, entry.id, entry.revision))
        for entry in await personas.listing(tx)
    ]
    return [one for one in there if allowed is None or one[1].rating.level <= allowed.level]


async def rating_of(tx: AsyncConnection, engine: Engine, who: Caller, person: Person | None) -> Rating:
    """For the operator what the settings allow; for a key what its own chat `home` allows besides."""
    most = engine.settings.safety.rating
    if who.key_id is None or who.may(Scope.MANAGE):
        return most
    place = await chats.place(tx, ChatRef(PAGE, "home", f"key:{who.key_id}:home"))
    return safety.allowed_rating(
        operator=most,
        place=place.rating if place else Rating.ALL_AGES,
        platform=place.allows_mature if place else True,
        confirmed_adult=person is not None and person.adult_confirmed_at is not None,
    )


async def person_of(tx: AsyncConnection, engine: Engine, who: Caller) -> Person | None:
    """For whom jobs are made: a key's program has quotas as a person has; the operator has none."""
    if who.key_id is None:
        return None
    known = await people.known(tx, who.account)
    return known or await people.add_person(tx, who.account, now=engine.clock.now())


async def job_for(engine: Engine, who: Caller, job_id: int, *, change: bool = False) -> tuple[Job, Sight]:
    """A job that somebody may see, or change. To whoever may see only their own, all others are not there."""

    async def found(tx: AsyncConnection) -> tuple[Job, Sight]:
        sight = await sight_of(tx, engine, who)
        job = await jobs.get(tx, job_id)
        _check_own(job, sight, say("pictures.job.unknown", id=str(job_id)))
        if change and not who.may(Scope.MANAGE):
            person = await people.known(tx, who.account)
            if person is None or job.person_id != person.id:
                raise Refused(say("rights.asker_only"))
        return job, sight

    return await engine.database.look(found)


async def picture_for(engine: Engine, who: Caller, picture_id: int) -> Picture:
    """A picture that somebody may see."""
    return await engine.database.look(partial(_picture, engine=engine, who=who, picture_id=picture_id))


async def _picture(tx: AsyncConnection, engine: Engine, who: Caller, picture_id: int) -> Picture:
    sight = await sight_of(tx, engine, who)
    picture = await pictures.get(tx, picture_id)
    if sight.person_id is not None:
        unknown = say("pictures.no_picture", id=str(picture_id))
        _check_own(await jobs.get(tx, picture.job_id), sight, unknown)
    sight.check(picture)
    return picture


def _check_own(job: Job, sight: Sight, unknown: str) -> None:
    if sight.person_id is not None and job.person_id != sight.person_id:
        raise NotFound(unknown)
