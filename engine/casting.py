"""A persona is written: by a model where there is one, by the understudy otherwise, and always a valid one."""

from __future__ import annotations

import json
import random

from engine import safety
from engine.clock import Clock
from engine.language import PersonaWanted
from engine.language.writers import Writers
from engine.settings import Settings
from engine.store import personas
from engine.store.database import Database
from engine.store.records import PersonaRecord
from personas.persona import Persona, Rating

MOST_NAME = 80
MOST_KIND = 80


class Casting:
    def __init__(self, database: Database, writers: Writers, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._writers = writers
        self._clock = clock
        self._blocked = safety.BlockList(settings.safety.blocked_words)

    async def write(
        self, *, kind: str = "", name: str = "", seed: int | None = None, model: str = ""
    ) -> PersonaRecord:
        """Somebody new joins the cast."""
        return await self.keep(await self.invent(kind=kind, name=name, seed=seed, model=model), origin="made")

    async def invent(
        self, *, kind: str = "", name: str = "", seed: int | None = None, model: str = ""
    ) -> Persona:
        """Somebody new, not kept yet. `kind` is a hint (fitness, tech, fashion, …), not a category."""
        kind = safety.cleaned(kind, most=MOST_KIND, what="type") if kind.strip() else ""
        name = safety.cleaned(name, most=MOST_NAME, what="name") if name.strip() else ""
        self._blocked.check(f"{kind} {name}")
        async with self._database.read() as tx:
            taken = tuple(entry.slug for entry in await personas.listing(tx))
        chosen = seed if seed is not None else random.SystemRandom().randrange(2**32)
        wanted = PersonaWanted(kind=kind, name=name, taken=taken, seed=chosen, model=model)
        written = await self._writers.write(wanted, accept=_is_persona)
        return _persona(written.text)

    async def keep(self, persona: Persona, *, origin: str) -> PersonaRecord:
        """Take a persona into the cast, under a slug of its own."""
        async with self._database.write() as tx:
            return await personas.take_in(tx, persona, origin=origin, now=self._clock.now())


def _persona(text: str) -> Persona:
    """What was written, as a persona; a rating is the operator's to give, never a model's."""
    return Persona.model_validate(json.loads(text) | {"rating": Rating.ALL_AGES.value})


def _is_persona(text: str) -> bool:
    try:
        _persona(text)
    except (ValueError, TypeError, RecursionError):
        return False
    return True
