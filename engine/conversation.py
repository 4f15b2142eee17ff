"""A turn comes in, a reply streams out, both are remembered. Read this first.

1. `hear`: what a front heard is stored, once, before anybody is told that it arrived.
2. `reply`: the talk is read back, the persona's next words are written piece by piece, and the reply is stored
   together with the promise to deliver it.

Between the two the process may die: a turn without a reply is found by `unanswered` at the next start. Where
several personas are to answer, each reply is a turn that waits for the next one's. Nothing here knows a platform, a
model or a database: fronts are above, `language` and `store` below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import limits, rights, safety
from engine.clock import Clock
from engine.errors import NotFound
from engine.events import Events
from engine.language import LanguageModel, ReplyWanted, Source
from engine.language.writers import Writers, Written
from engine.locales import locale_of
from engine.memory import Context, Memory, note_of
from engine.presence import Presence
from engine.settings import Settings
from engine.store import chats, messages, outbox, pages, people
from engine.store.chats import Said
from engine.store.database import Database
from engine.store.people import Arrival
from engine.store.records import DeliveryKind, Incoming, Manner, Person, Place, Turn, TurnKind, TurnState
from engine.unbroken import unbroken
from personas import company
from personas.prompting import Line

log = structlog.get_logger(__name__)

#: A turn whose answer ended the process this often is answered without another try.
MOST_ATTEMPTS = 3
#: What the house asked is taken as asked for so long; then words are words again.
QUESTION_STANDS = timedelta(minutes=10)


@dataclass
class Draft:
    """A reply while it is being written: what stands so far, and the handle to stop it."""

    on_text: Callable[[str], None] = lambda _text: None
    #: Told who begins to write; another one may begin again from nothing.
    on_model: Callable[[LanguageModel], None] = lambda _model: None
    text: str = ""
    stopped: bool = False
    _writing: asyncio.Task[object] | None = None

    def show(self, text: str) -> None:
        self.text = text
        self.on_text(text)

    def stop(self) -> None:
        """What stands is kept as the reply; the model is told to write no more. A second time changes nothing."""
        if self.stopped:
            return
        self.stopped = True
        if self._writing:
            self._writing.cancel()

    async def written_by(self, writers: Writers, wanted: ReplyWanted) -> Written:
        if self.stopped:
            return Written("", Source.MODEL, "")
        self._writing = task = asyncio.current_task()
        try:
            return await writers.write(wanted, on_text=self.show, on_model=self.on_model)
        except asyncio.CancelledError:
            # A stop by a person is no stop of the house: if that closes too, the next start answers.
            if not self.stopped or task is None or task.uncancel() > 0:
                raise
            return Written(self.text.strip(), Source.MODEL, "")
        finally:
            self._writing = None


@dataclass(frozen=True)
class Answered:
    """A reply that is stored; `next` is that reply as a turn of its own, where another persona answers it."""

    reply: Turn
    next: Said | None = None


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
        memory: Memory,
    ) -> None:
        self._database = database
        self._writers = writers
        self._presence = presence
        self._events = events
        self._settings = settings
        self._clock = clock
        self._memory = memory
        self._blocked = safety.BlockList(settings.safety.blocked_words)

    async def hear(self, incoming: Incoming, *, kind: TurnKind = TurnKind.WORDS) -> Said | None:
        """Store what was heard; None when it was heard before, or was meant for nobody here.

        What is refused is refused here.
        """
        incoming = _storable(incoming)
        # Most of what is said among many is said to nobody here: that must not make those wait who write.
        if kind is TurnKind.WORDS and incoming.shared and not incoming.mentioned:
            is_meant = await self._database.look(partial(self._is_meant, incoming=incoming))
            if not is_meant:
                return None
        heard = partial(self._heard, incoming=incoming, kind=kind, now=self._clock.now())
        said = await self._database.change(heard, hurried=True)  # only then may it be acknowledged
        if said and said.is_first:
            self._events.publish("notice.stored", chat=incoming.chat)
        return said

    async def _is_meant(self, tx: AsyncConnection, incoming: Incoming) -> bool:
        now = self._clock.now()
        found = await people.arrival(tx, incoming, since=now - limits.MINUTE, now=now)
        return await self._meant(tx, incoming, found) is not None

    async def _heard(
        self, tx: AsyncConnection, incoming: Incoming, kind: TurnKind, now: datetime
    ) -> Said | None:
        found = await people.arrival(tx, incoming, since=now - limits.MINUTE, now=now)
        if found.heard_before is not None:
            return None
        wanted: tuple[int, ...] = ()
        if kind is TurnKind.WORDS:
            meant = await self._meant(tx, incoming, found)
            if meant is None:
                return None
            wanted = meant
        # Only now: where nobody was spoken to, nobody is refused either.
        rights.check_heard(self._settings.people, incoming)
        text = self._text_of(incoming)
        self._blocked.check(text)
        limits.check_message(
            self._settings.limits, by_person=found.by_person, in_place=found.in_place, now=now
        )
        if kind is TurnKind.WORDS and not incoming.text.strip():
            kind = TurnKind.ATTACHMENT
        kind, text = await self._as_answer(tx, found, kind, text, now)
        place = await self._place(tx, incoming, found)
        person = await self._person(tx, incoming, found, now)
        turn = await chats.add_turn(
            tx,
            place.id,
            text,
            now=now,
            kind=kind,
            person_id=person.id,
            dedup_key=incoming.dedup_key,
            message=incoming.message,
            answer_to=incoming.answer_to,
            attachments=[
                replace(
                    one,
                    id=safety.storable(one.id),
                    name=safety.name_of(one.name),
                    mime=safety.name_of(one.mime),
                )
                for one in incoming.attachments
            ],
            wanted=wanted,
        )
        if incoming.kept_by_us:
            await pages.heard(tx, turn, self._text_of(incoming), person, now)
        is_first = found.person is None and incoming.stranger
        if is_first:
            told = locale_of(person.language).say("house.first_contact")
            await outbox.owe(tx, place.id, DeliveryKind.NOTICE, text=told, now=now)
        return Said(turn, person, place, is_first=is_first)

    async def _as_answer(
        self, tx: AsyncConnection, found: Arrival, kind: TurnKind, text: str, now: datetime
    ) -> tuple[TurnKind, str]:
        """What was asked back a moment ago is answered by the next words: they complete the order."""
        asked_at = found.asked_at
        if not (found.question and asked_at and found.place and found.person) or kind is TurnKind.ATTACHMENT:
            return kind, text
        await people.asked(tx, found.place.id, found.person.id)
        if kind is TurnKind.WORDS and now - asked_at <= QUESTION_STANDS:
            return TurnKind.COMMAND, f"/{found.question} {text}"
        return kind, text

    async def _person(self, tx: AsyncConnection, incoming: Incoming, found: Arrival, now: datetime) -> Person:
        """Whoever speaks, under the name and in the language that their platform tells now."""
        account = replace(
            incoming.account,
            name=safety.name_of(incoming.account.name),
            language=safety.language_of(incoming.account.language),
        )
        if found.person is None:
            person = await people.add_person(tx, account, now=now)
        else:
            person = found.person
            if account.name and account.name != found.account_name:
                await people.rename(tx, person.id, account, before=found.account_name)
                person = replace(
                    person, name=account.name if person.name == found.account_name else person.name
                )
        known = bool(person.language) and (found.language_chosen or account.guessed)
        if account.language not in ("", person.language) and not known:
            await people.speak(tx, person.id, account.language)
            person = replace(person, language=account.language)
        return person

    def _text_of(self, incoming: Incoming) -> str:
        """The words; for something that came without any, what it was."""
        most = self._settings.limits.message_length
        if incoming.text.strip() or not incoming.attachments:
            return safety.cleaned(incoming.text, most=most)
        return f"({', '.join(one.kind for one in incoming.attachments)})"

    async def _meant(self, tx: AsyncConnection, incoming: Incoming, found: Arrival) -> tuple[int, ...] | None:
        """Which personas are to answer; empty where there is only one, None where nobody was spoken to."""
        guests = found.place.guests if found.place else ()
        posted = found.replied_persona if found.replied_to_post else None
        if not incoming.shared and not guests and posted is None:
            return ()
        called = incoming.mentioned or found.replied_to_us
        if found.place and found.place.settings.get("answers") == "all":
            called = True
        here = await self._presence.here(tx, found.place)
        if posted is not None and all(one.id != posted for one in here):
            # Whoever posts somewhere is spoken to there, without being there otherwise.
            with suppress(NotFound):  # it has left since
                here.append(company.present(posted, (await self._presence.current(tx, posted)).persona))
        words = incoming.text[: self._settings.limits.message_length]
        return company.spoken_to(
            words, here, shared=incoming.shared, called=called, replied=found.replied_persona
        )

    async def _place(self, tx: AsyncConnection, incoming: Incoming, found: Arrival) -> Place:
        """Where it was said, as its platform describes it now."""
        shared, allows_mature = incoming.shared, incoming.allows_mature
        place = found.place
        if place is None:
            return await self._presence.new_place(
                tx, incoming.chat, shared=shared, allows_mature=allows_mature
            )
        if (place.shared, place.allows_mature, place.left_at) != (shared, allows_mature, None):
            await chats.seen(tx, place.id, shared=shared, allows_mature=allows_mature)
            place = replace(place, shared=shared, allows_mature=allows_mature, left_at=None)
        return place

    async def reply(self, said: Said, draft: Draft) -> Answered | None:
        """Write and store the persona's answer; None when there is none: answered before, or stopped at once."""
        context = await self._memory.read(said)
        lines = context.lines
        if said.turn.person_id is not None:  # a persona's words are in the talk already
            speaker = said.person.name if said.place.shared else ""
            lines = (*lines, Line(False, said.turn.text, speaker))
        wanted = self._memory.wanted(
            context,
            lines,
            said.person.name,
            seed=said.turn.id,
            talk=said.place.id,
            note=note_of(said, context),
        )
        written = await draft.written_by(self._writers, wanted)
        # Once written it is stored, even if the house is closing: the work is done, and somebody waits.
        return await unbroken(self._store_reply(said, context, written))

    async def _store_reply(self, said: Said, context: Context, written: Written) -> Answered | None:
        reply = await self._database.change(
            partial(self._replied, said=said, context=context, written=written)
        )
        if reply is None:
            return None
        tell_answered(self._events, said, reply, written)
        return Answered(reply, Said(reply, said.person, said.place) if reply.wanted else None)

    async def _replied(
        self, tx: AsyncConnection, said: Said, context: Context, written: Written
    ) -> Turn | None:
        now = self._clock.now()
        by_person = said.turn.person_id is not None
        after = context.head if by_person else said.turn.parent_id
        if not await chats.close_turn(tx, said.turn, parent_id=after):
            return None
        if not written.text:  # stopped before the first word: the talk goes on from what was said
            await chats.move_head(tx, said.place.id, said.turn.id, of_persona=context.host_id)
            if drafts := await messages.drafts_of(tx, said.turn.id):
                gone = Manner(removes=drafts)
                await outbox.owe(tx, said.place.id, DeliveryKind.REMOVAL, manner=gone, now=now)
            return None
        following = company.goes_on(
            written.text,
            context.persona_id,
            context.here,
            still=said.turn.wanted[1:],
            answers=context.answers + 1,
        )
        reply = await chats.add_turn(
            tx,
            said.place.id,
            written.text,
            now=now,
            state=TurnState.RECEIVED if following else TurnState.ANSWERED,
            parent_id=said.turn.id,
            persona_id=context.persona_id,
            source=written.source,
            message=said.turn.message if following else "",
            wanted=following,
            asked_by=said.person.id if following else None,
        )
        await chats.move_head(tx, said.place.id, reply.id, of_persona=context.host_id)
        await outbox.owe(
            tx, said.place.id, DeliveryKind.REPLY, turn_id=reply.id, answers_id=said.turn.id, now=now
        )
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
                    text=locale_of(said.person.language).say("talk.given_up"),
                    answers_id=said.turn.id,
                    now=now,
                )
        return again


def _storable(incoming: Incoming) -> Incoming:
    return replace(
        incoming,
        account=replace(incoming.account, platform_id=safety.storable(incoming.account.platform_id)),
        key=safety.storable(incoming.key),
        message=safety.storable(incoming.message),
        reply_to=safety.storable(incoming.reply_to),
        answer_to=safety.storable(incoming.answer_to),
    )


def tell_answered(events: Events, said: Said, reply: Turn, written: Written) -> None:
    """A reply was stored: the log and whoever watches hear of it."""
    log.info(
        "turn_answered",
        turn=said.turn.id,
        reply=reply.id,
        source=written.source.value,
        model=written.model,
    )
    events.publish("reply.stored", chat=said.place.ref, turn=reply.id, source=written.source.value)
