"""What somebody may mean who has typed so much: somebody of the cast, a style, a job of theirs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.front import Choice, OptionKind
from engine.engine import Engine
from engine.store import jobs, people, personas
from engine.store.records import Account, Job, JobState
from personas.persona import Rating

#: As many as Discord shows.
MOST = 25
#: As long as a choice may be called there.
LONGEST = 100
#: How like a name must be to what was typed, where nothing in it is the same.
LIKE = 0.6


async def suggestions(engine: Engine, kind: OptionKind, typed: str, account: Account) -> list[Choice]:
    """The nearest first: what begins so, then what holds it, then what looks like it."""
    return nearest(typed, await _all(engine, kind, account))


def nearest(typed: str, choices: Sequence[Choice]) -> list[Choice]:
    wanted = " ".join(typed.lstrip("#").casefold().split())
    ranked = [(_distance(wanted, choice), place) for place, choice in enumerate(choices)]
    return [choices[place] for distance, place in sorted(ranked) if distance < 1.0][:MOST]


def _distance(wanted: str, choice: Choice) -> float:
    """0 and a little for the same, 1 for nothing alike."""
    names = (choice.value.casefold(), choice.label.casefold())
    if any(name.startswith(wanted) for name in names):
        return 0.0
    if any(wanted in name for name in names):
        return 0.1
    # A word of the name is as good as the whole: few type a surname first, and wrongly.
    words = {word for name in names for word in (name, *name.split())}
    alike = max(difflib.SequenceMatcher(None, wanted, word).ratio() for word in words)
    return 0.2 + (1 - alike) if alike >= LIKE else 1.0


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


async def _shown(engine: Engine, tx: AsyncConnection, entry: personas.Entry) -> Choice:
    persona = await engine.presence.persona(tx, entry.id, entry.revision)
    # It is not known here what may be told to whoever types.
    for_all = persona.rating is Rating.ALL_AGES
    label = f"{entry.name} ({entry.kind})" if entry.kind and for_all else entry.name
    return Choice(entry.slug, label[:LONGEST])


def _job(job: Job) -> Choice:
    return Choice(str(job.id), f"#{job.id} {' '.join(job.request.scene.split())}"[:LONGEST])
