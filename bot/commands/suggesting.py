"""What somebody may mean who has typed so much: somebody of the cast, a style, a job of theirs, a pose, an outfit."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot import orders
from bot.front import Choice, OptionKind
from engine.engine import Engine
from engine.errors import GreenroomError
from engine.store import chats, jobs, people, personas
from engine.store.records import Account, ChatRef, Job, JobState
from engine.styles import called
from personas.persona import Outfit, Persona, Pose, Rating

#: As many as Discord shows.
MOST = 25
#: As long as a choice may be called there.
LONGEST = 100
#: How like a name must be to what was typed, where nothing in it is the same.
LIKE = 0.6


async def suggestions(
    engine: Engine,
    kind: OptionKind,
    typed: str,
    account: Account,
    *,
    chat: ChatRef | None = None,
    order: str = "",
) -> list[Choice]:
    """The nearest first: what begins so, then what holds it, then what looks like it. `order` is the line so far."""
    if kind in (OptionKind.POSE, OptionKind.OUTFIT):
        persona = await _meant(engine, account, chat, order)
        return nearest(typed, _poses(engine, persona) if kind is OptionKind.POSE else _outfits(persona))
    return nearest(typed, await _all(engine, kind, account))


def nearest(typed: str, choices: Sequence[Choice]) -> list[Choice]:
    # More than a choice may be called tells nothing more.
    wanted = " ".join(typed.lstrip("#")[:LONGEST].casefold().split())
    ranked = [(_distance(wanted, choice), place) for place, choice in enumerate(choices)]
    return [choices[place] for distance, place in sorted(ranked) if distance < 1.0][:MOST]


def _distance(wanted: str, choice: Choice) -> float:
    """0 and a little for the same, 1 for nothing alike."""
    names = (choice.value[:LONGEST].casefold(), choice.label[:LONGEST].casefold())
    if any(name.startswith(wanted) for name in names):
        return 0.0
    if any(wanted in name for name in names):
        return 0.1
    # A word of the name is as good as the whole: few type a surname first, and wrongly.
    words = {word for name in names for word in (name, *name.split())}
    alike = max(_alike(wanted, word) for word in words)
    return 0.2 + (1 - alike) if alike >= LIKE else 1.0


def _alike(wanted: str, word: str) -> float:
    """0 where it is less than counts: that mostly shows in the lengths, or in the letters, at little cost."""
    matcher = difflib.SequenceMatcher(None, wanted, word)
    if matcher.real_quick_ratio() < LIKE or matcher.quick_ratio() < LIKE:
        return 0.0
    return matcher.ratio()


async def _all(engine: Engine, kind: OptionKind, account: Account) -> list[Choice]:
    if kind is OptionKind.STYLE:
        return [Choice(style.slug, style.name) for style in engine.imagining.styles.values()]
    async with engine.database.read() as tx:
        if kind is OptionKind.PERSONA:
            return [await _shown(engine, tx, entry) for entry in await personas.listing(tx)]
        person = await people.known(tx, account) if kind is OptionKind.JOB else None
        if person is None:
            return []
        waiting = (JobState.QUEUED, JobState.RUNNING)
        return [_job(job) for job in await jobs.listing(tx, states=waiting, person_id=person.id, limit=100)]


async def _meant(engine: Engine, account: Account, chat: ChatRef | None, order: str) -> Persona | None:
    """Who is to be seen: whom the line names, of those who are here, else the host. None: nobody who may be shown."""
    name = orders.flagged(order)[1].get("persona", "")
    async with engine.database.read() as tx:
        place = await chats.place(tx, chat) if chat else None
        here = [one.id for one in await engine.presence.here(tx, place)]
        try:
            persona_id = (await personas.find(tx, name)).id if name else here[0]
            if persona_id not in here:
                return None
            persona = (await engine.presence.current(tx, persona_id)).persona
        except GreenroomError:
            return None
        person = await people.known(tx, account)
    allowed = engine.presence.allowed_rating(place, person) if place and person else Rating.ALL_AGES
    return persona if persona.rating.level <= allowed.level else None


def _poses(engine: Engine, persona: Persona | None) -> list[Choice]:
    """Theirs before the house's, of which those are left that are not called like one of theirs."""
    own = persona.appearance.poses if persona else ()
    house = [pose for pose in engine.imagining.poses if called(pose.name, own) is None]
    return [_told(pose) for pose in (*own, *house) if pose.name]


def _outfits(persona: Persona | None) -> list[Choice]:
    return [_told(outfit) for outfit in (persona.appearance.wardrobe if persona else ()) if outfit.name]


def _told(one: Pose | Outfit) -> Choice:
    return Choice(one.name, f"{one.name}: {one.description}"[:LONGEST])


async def _shown(engine: Engine, tx: AsyncConnection, entry: personas.Entry) -> Choice:
    persona = await engine.presence.persona(tx, entry.id, entry.revision)
    # It is not known here what may be told to whoever types.
    for_all = persona.rating is Rating.ALL_AGES
    label = f"{entry.name} ({entry.kind})" if entry.kind and for_all else entry.name
    return Choice(entry.slug, label[:LONGEST])


def _job(job: Job) -> Choice:
    return Choice(str(job.id), f"#{job.id} {' '.join(job.request.scene.split())}"[:LONGEST])
