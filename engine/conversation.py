"""A turn comes in, a reply streams out, both are remembered. Read this first.

1. `hear`: what a front heard is stored, once, before anybody is told that it arrived.
2. `reply`: the talk is read back, the persona's next words are written piece by piece, and the reply is stored
   together with the promise to deliver it.

Between the two the process may die: a turn without a reply is found by `unanswered` at the next start. Nothing
here knows a platform, a model or a database: fronts are above, `language` and `store` below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from engine import limits, safety
from engine.clock import Clock
from engine.errors import Refused
from engine.events import Events
from engine.language import ReplyWanted, Source
from engine.language.writers import Writers, Written
from engine.presence import Presence
from engine.settings import Settings
from engine.store import chats, outbox, people
from engine.store.chats import Said
from engine.store.database import Database
from engine.store.records import DeliveryKind, Incoming, Turn, TurnKind, TurnState
from engine.unbroken import unbroken
from personas import lorebook, prompting
from personas.persona import Persona
from personas.prompting import Line

log = structlog.get_logger(__name__)

#: A turn whose answer ended the process this often is answered without another try.
MOST_ATTEMPTS = 3
#: What a lorebook may take of the room at one turn.
LORE_TOKENS = 1_000


@dataclass
class Draft:
    """A reply while it is being written: what stands so far, and the handle to stop it."""

    on_text: Callable[[str], None] = lambda _text: None
    text: str = ""
    stopped: bool = False
    _writing: asyncio.Task[object] | None = None

    def show(self, text: str) -> None:
        self.text = text
        self.on_text(text)

    def stop(self) -> None:
        """What stands is kept as the reply; the model is told to write no more."""
        self.stopped = True
        if self._writing:
            self._writing.cancel()

    async def written_by(self, writers: Writers, wanted: ReplyWanted) -> Written:
        if self.stopped:
            return Written("", Source.MODEL, "")
        self._writing = task = asyncio.current_task()
        try:
            return await writers.write(wanted, on_text=self.show)
        except asyncio.CancelledError:
            # A stop by a person is no stop of the house: if that closes too, the next start answers.
            if not self.stopped or task is None or task.uncancel() > 0:
                raise
            return Written(self.text.strip(), Source.MODEL, "")
        finally:
            self._writing = None


@dataclass(frozen=True)
class Context:
    """What a reply is written from: who is there, and the talk up to now."""

    persona_id: int
    revision: int
    persona: Persona
    head: int | None
    lines: tuple[Line, ...]


class Conversation:
    """Hears and replies. It holds no talk in memory: the rows are the truth."""

    def __init__(
        self,
        database: Database,
        writers: Writers,
        presence: Presence,
        events: Events,
        settings: Settings,
        clock: Clock,
        instructions: str,
    ) -> None:
        self._database = database
        self._writers = writers
        self._presence = presence
        self._events = events
        self._settings = settings
        self._clock = clock
        self._instructions = instructions
        self._blocked = safety.BlockList(settings.safety.blocked_words)
        #: The shared part of each persona's prompt, by (id, revision): the same for everybody, and never changing.
        self._shared: dict[tuple[int, int], str] = {}

    async def hear(self, incoming: Incoming, *, kind: TurnKind = TurnKind.WORDS) -> Said | None:
        """Store what was heard; None when it was heard before. What is refused is refused here."""
        text = safety.cleaned(incoming.text, most=self._settings.limits.message_length)
        account = replace(incoming.account, name=safety.name_of(incoming.account.name))
        if f"{account.front}:{account.platform_id}" in self._settings.safety.blocked_people:
            raise Refused("The operator of this place has asked me not to answer you.")
        self._blocked.check(text)

        now = self._clock.now()
        async with self._database.write() as tx:
            found = await people.arrival(tx, incoming, since=now - limits.MINUTE, now=now)
            if found.heard_before is not None:
                return None
            limits.check_message(
                self._settings.limits, by_person=found.by_person, in_place=found.in_place, now=now
            )
            person = found.person or await people.add_person(tx, account, now=now)
            if account.name and found.person and account.name != found.account_name:
                await people.rename_account(tx, account)
            place = found.place or await self._presence.new_place(tx, incoming.chat)
            turn = await chats.add_turn(
                tx,
                place.id,
                text,
                now=now,
                kind=kind,
                person_id=person.id,
                dedup_key=incoming.dedup_key,
                message=incoming.message,
            )
        return Said(turn, person, place)

    async def reply(self, said: Said, draft: Draft) -> Turn | None:
        """Write and store the persona's answer; None when it had been answered already."""
        context = await self._read(said)
        wanted = self._wanted(said, context)
        written = await draft.written_by(self._writers, wanted)
        # Once written it is stored, even if the house is closing: the work is done, and somebody waits.
        return await unbroken(self._store_reply(said, context, written))

    async def _store_reply(self, said: Said, context: Context, written: Written) -> Turn | None:
        now = self._clock.now()
        async with self._database.write() as tx:
            if not await chats.close_turn(tx, said.turn, parent_id=context.head):
                return None
            if not written.text:  # stopped before the first word: the talk goes on from what was said
                await chats.move_head(tx, said.place.id, said.turn.id, of_persona=context.persona_id)
                return None
            reply = await chats.add_turn(
                tx,
                said.place.id,
                written.text,
                now=now,
                state=TurnState.ANSWERED,
                parent_id=said.turn.id,
                persona_id=context.persona_id,
                source=written.source,
            )
            await chats.move_head(tx, said.place.id, reply.id, of_persona=context.persona_id)
            await outbox.owe(tx, said.place.id, DeliveryKind.REPLY, turn_id=reply.id, now=now)
        log.info(
            "turn_answered",
            turn=said.turn.id,
            reply=reply.id,
            source=written.source.value,
            model=written.model,
        )
        self._events.publish("reply.stored", chat=said.place.ref, turn=reply.id, source=written.source.value)
        return reply

    async def unanswered(self) -> list[Said]:
        """At a start: what was heard and never answered. A turn that keeps ending the process is let go."""
        now = self._clock.now()
        async with self._database.write() as tx:
            again, hopeless = await chats.reopen(tx, most_attempts=MOST_ATTEMPTS)
            for said in hopeless:
                log.error("turn_given_up", turn=said.turn.id, attempts=said.turn.attempts)
                await chats.close_turn(
                    tx, said.turn, state=TurnState.FAILED, parent_id=said.place.head_turn_id
                )
                await outbox.owe(
                    tx,
                    said.place.id,
                    DeliveryKind.NOTICE,
                    text="I tried to answer that several times and could not. Could you put it another way?",
                    now=now,
                )
        return again

    async def _read(self, said: Said) -> Context:
        """Persona and talk, in one read; a persona that has left is replaced by the usual one."""
        async with self._database.read() as tx:
            talk = await chats.talk(tx, said.place.id)
            if talk.persona_id is not None and talk.revision is not None:
                persona = await self._presence.persona(tx, talk.persona_id, talk.revision)
                return Context(talk.persona_id, talk.revision, persona, talk.head, talk.lines)
        async with self._database.write() as tx:
            record = await self._presence.who(tx, said.place)
            talk = await chats.talk(tx, said.place.id)
        return Context(record.id, record.revision, record.persona, talk.head, talk.lines)

    def _wanted(self, said: Said, context: Context) -> ReplyWanted:
        """The facts of the next reply, and the prompt segments made from them."""
        persona, name = context.persona, said.person.name
        lines = (*context.lines, Line(False, said.turn.text))
        revision = (context.persona_id, context.revision)
        if revision not in self._shared:
            self._shared[revision] = prompting.shared_part(persona, self._instructions)
        lore = lorebook.told(persona.lorebook, lines, budget=LORE_TOKENS) if persona.lorebook else []
        segments = prompting.segments(
            persona,
            lines,
            shared=self._shared[revision],
            person_name=name,
            lore=lore,
            room_chars=self._settings.chat.room,
        )
        return ReplyWanted(persona, lines, name, segments, seed=said.turn.id)
