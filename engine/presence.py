"""Who is in a chat: a persona arrives with a greeting, makes room for another, and comes back to its own talk."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import safety
from engine.clock import Clock
from engine.errors import BadRequest, NotFound
from engine.locales import say
from engine.settings import Settings
from engine.store import chats, outbox, personas
from engine.store.database import Database
from engine.store.records import ChatRef, DeliveryKind, Person, PersonaRecord, Place, Turn, TurnState
from personas import company, macros
from personas.company import Present
from personas.persona import Persona, Rating

#: What somebody without greetings of their own says on arriving.
PLAIN_GREETING = "Hello. I'm {{char}}. What brings you here?"
#: More than these in one place, and nobody gets a word in.
MOST_GUESTS = 5


class Presence:
    """Puts personas into chats, always inside the caller's transaction."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        #: By (id, revision). A revision never changes, so it is parsed once.
        self._parsed: dict[tuple[int, int], Persona] = {}

    async def persona(self, tx: AsyncConnection, persona_id: int, revision: int) -> Persona:
        known = self._parsed.get((persona_id, revision))
        if known is None:
            record = await personas.get(tx, persona_id)
            # Under the revision that was read: it may have been edited a moment ago.
            known = self._parsed[persona_id, record.revision] = record.persona
        return known

    async def new_place(
        self, tx: AsyncConnection, ref: ChatRef, *, shared: bool = False, allows_mature: bool = True
    ) -> Place:
        """A chat that was never seen: the house's usual persona is there."""
        record = await self._usual(tx)
        return await chats.add_place(
            tx, ref, persona_id=record.id, now=self._clock.now(), shared=shared, allows_mature=allows_mature
        )

    async def here(self, tx: AsyncConnection, place: Place | None) -> list[Present]:
        """Everybody who is in a place, its host first; in a place that was never seen, whoever would be."""
        host = await self._host(tx, place) if place else await self._usual(tx)
        found = [company.present(host.id, host.persona)]
        for guest_id in place.guests if place else ():
            try:
                guest = await self.current(tx, guest_id)
            except NotFound:
                continue  # it has left the cast since
            found.append(company.present(guest_id, guest.persona))
        return found

    async def _host(self, tx: AsyncConnection, place: Place) -> PersonaRecord:
        """Like `who`, without changing anything: a host that has left is replaced when somebody is to speak."""
        here = await chats.persona_here(tx, place.id)
        if here is not None:
            with suppress(NotFound):
                return await self.current(tx, here)
        return await self._usual(tx)

    async def current(self, tx: AsyncConnection, persona_id: int) -> PersonaRecord:
        """A persona as it is now."""
        revision = await personas.revision_of(tx, persona_id)
        persona = await self.persona(tx, persona_id, revision)
        return PersonaRecord(persona_id, persona, revision, origin="")

    async def who(self, tx: AsyncConnection, place: Place) -> PersonaRecord:
        """The persona of a chat; where it has left the cast, the usual one takes its place."""
        if (there := await self._there(tx, place)) is not None:
            return there
        record = await self._usual(tx)
        await chats.set_persona(tx, place.id, record.id)
        return record

    async def host(self, place: Place) -> PersonaRecord:
        """`who`, in a transaction of its own; nearly always somebody is there, and nothing has to be written."""
        there = await self._database.look(partial(self._there, place=place))
        if there is None:
            there = await self._database.change(partial(self.who, place=place))
        return there

    async def _there(self, tx: AsyncConnection, place: Place) -> PersonaRecord | None:
        here = await chats.persona_here(tx, place.id)  # `place` may be from before the last command
        if here is None:
            return None
        try:
            return await personas.get(tx, here)
        except NotFound:
            return None  # deleted since; the talk with it stays in the store

    async def enter(
        self, ref: ChatRef, *, most: int, wanted: str = "", tell: bool = False
    ) -> tuple[PersonaRecord, list[Turn]]:
        """Somebody opens a chat: who is there and what was said last. A new talk begins with a greeting.

        `wanted` names a persona to find there; its own talk in this chat goes on. `tell`: the greeting is owed, too.
        """
        async with self._database.write() as tx:
            place = await chats.place(tx, ref) or await self.new_place(tx, ref)
            record = await self.who(tx, place)
            if wanted and (named := await personas.find(tx, wanted)).id != record.id:
                safety.check_persona(named.persona, Rating.ALL_AGES)
                await chats.set_persona(tx, place.id, named.id)
                record = named
            recent = await chats.recent(tx, place.id, most=most)
            return record, recent or [await self.greet(tx, place, record.persona, record.id, tell=tell)]

    async def bring(self, tx: AsyncConnection, place: Place, record: PersonaRecord, person: Person) -> bool:
        """One persona instead of all others, going on where it stood here; True when it is new here, and greeted."""
        safety.check_persona(record.persona, self.allowed_rating(place, person))
        await chats.set_guests(tx, place.id, ())
        if await chats.set_persona(tx, place.id, record.id) is not None:
            return False
        await self.greet(tx, place, record.persona, record.id, person=person, tell=True)
        return True

    async def invite(self, tx: AsyncConnection, place: Place, record: PersonaRecord, person: Person) -> bool:
        """A persona joins those who are here, and greets them; False when it is here already."""
        host = await self.who(tx, place)
        now_here = await chats.place_of(tx, place.id) or place  # `place` may be from before the last command
        guests = [one.id for one in await self.here(tx, now_here)][1:]
        if record.id in (host.id, *guests):
            return False
        if len(guests) >= MOST_GUESTS:
            raise BadRequest(say("presence.full", n=MOST_GUESTS + 1))
        safety.check_persona(record.persona, self.allowed_rating(now_here, person))
        await chats.set_guests(tx, place.id, (*guests, record.id))
        talk = await chats.talk(tx, place.id)
        await self.greet(
            tx, place, record.persona, record.id, person=person, tell=True, after=talk.head, host_id=host.id
        )
        return True

    async def send_away(self, tx: AsyncConnection, place: Place, record: PersonaRecord) -> bool:
        """A persona goes. Where the host goes, the first guest is the host from then on; somebody always is."""
        host = await self.who(tx, place)
        now_here = await chats.place_of(tx, place.id) or place
        guests = now_here.guests
        if record.id == host.id:
            if not guests:
                raise BadRequest(say("presence.last", name=record.persona.called))
            await chats.set_host(tx, place.id, guests[0])
            await chats.set_guests(tx, place.id, guests[1:])
            return True
        if record.id not in guests:
            return False
        await chats.set_guests(tx, place.id, tuple(one for one in guests if one != record.id))
        return True

    def allowed_rating(self, place: Place, person: Person) -> Rating:
        """How grown-up things may be for somebody in a place."""
        return safety.allowed_rating(
            operator=self._settings.safety.rating,
            place=place.rating,
            platform=place.allows_mature,
            confirmed_adult=person.adult_confirmed_at is not None,
        )

    async def start_over(self, tx: AsyncConnection, place: Place, person: Person) -> None:
        """The talk begins again with a greeting. What was said stays in the store."""
        record = await self.who(tx, place)
        await self.greet(tx, place, record.persona, record.id, person=person, tell=True)

    async def greet(
        self,
        tx: AsyncConnection,
        place: Place,
        persona: Persona,
        persona_id: int,
        *,
        person: Person | None = None,
        tell: bool = False,
        after: int | None = None,
        host_id: int | None = None,
    ) -> Turn:
        """A greeting becomes the first turn of a talk, or goes on from the turn `after`; `tell` also owes it."""
        now = self._clock.now()
        to_many = persona.group_greetings if place.shared or after is not None else ()
        greetings = to_many or persona.greetings or (PLAIN_GREETING,)
        chosen = greetings[place.id % len(greetings)]
        text = macros.expand(
            chosen,
            persona_name=persona.called,
            person_name=(person.name if person else "") or "you",
            seed=place.id,
        )
        turn = await chats.add_turn(
            tx, place.id, text, now=now, state=TurnState.ANSWERED, persona_id=persona_id, parent_id=after
        )
        await chats.move_head(tx, place.id, turn.id, of_persona=host_id or persona_id)
        if tell:
            await outbox.owe(tx, place.id, DeliveryKind.REPLY, turn_id=turn.id, now=now)
        return turn

    async def _usual(self, tx: AsyncConnection) -> PersonaRecord:
        named = self._settings.chat.persona
        if named:
            return await personas.find(tx, named)
        cast = await personas.listing(tx)
        if not cast:
            raise NotFound(say("presence.nobody"))
        return await personas.get(tx, cast[0].id)
