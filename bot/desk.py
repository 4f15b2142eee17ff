"""The front desk: everything heard passes here. Stored first, then answered, in order within a chat.

It knows which chat is being answered and can stop that; what a command does is in `commands/`, how a persona
replies in `engine/conversation.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import commands, orders
from bot.faces import Faces
from bot.front import Choice, Entry, Front, Incoming, OptionKind, Question, Reaction
from bot.pen import Pen
from engine import rights, safety
from engine.conversation import Draft
from engine.engine import Engine
from engine.errors import GreenroomError, StoreError
from engine.locales import languages, locale_of
from engine.store import chats, messages, outbox, people
from engine.store.chats import Said
from engine.store.records import ChatRef, DeliveryKind, TurnKind, TurnState
from engine.unbroken import ended, unbroken

log = structlog.get_logger(__name__)


@dataclass
class Line:
    """What waits to be answered in one chat, and the reply that is being written there."""

    waiting: deque[Said] = field(default_factory=deque)
    draft: Draft | None = None
    said: Said | None = None
    pen: Pen | None = None
    task: asyncio.Task[None] | None = None


class Desk:
    """What every front calls: it is their `FrontDesk`."""

    def __init__(self, engine: Engine, fronts: Sequence[Front]) -> None:
        self._engine = engine
        self._fronts: Mapping[tuple[str, str], Front] = {
            (front.name, front.account): front for front in fronts
        }
        self.faces = Faces(engine)
        self._lines: dict[ChatRef, Line] = {}
        self._closed = False

    # What fronts call

    async def hear(self, incoming: Incoming) -> None:
        """Store what was heard, and see that it is answered. What is refused is told at once, and not kept."""
        order = orders.order_in(incoming.text)
        if order and order.name not in commands.COMMANDS and incoming.shared and not incoming.mentioned:
            return  # meant for some other bot
        try:
            # What was stored is answered: between the two nobody may be cancelled.
            taken = await unbroken(self._take(incoming, TurnKind.COMMAND if order else TurnKind.WORDS))
            if taken and order and order.name == commands.STOP:
                await self._stop_for(incoming)  # at once: in line it stands behind what it is to stop
        except StoreError:
            raise
        except GreenroomError as error:
            log.info("refused", front=incoming.chat.front, chat=incoming.chat.chat, cause=str(error))
            async with self._engine.database.read() as tx:
                person = await people.known(tx, incoming.account)
            language = (person.language if person else "") or incoming.account.language
            await self._front(incoming.chat).tell(incoming, locale_of(language).says(error))

    async def _take(self, incoming: Incoming, kind: TurnKind) -> bool:
        said = await self._engine.conversation.hear(incoming, kind=kind)
        if said is not None:
            self._engine.gauges.count("turns", incoming.chat.front)
            self._answer(said)
        return said is not None

    async def react(self, reaction: Reaction) -> None:
        """Keep a reaction with what it is about. One to somebody else's message is none of our business."""

        async def kept(tx: AsyncConnection) -> None:
            chat_id = await messages.place_of(tx, reaction.chat, reaction.message)
            what = await messages.about(tx, chat_id, reaction.message) if chat_id is not None else None
            if chat_id is None or what is None:
                return
            person = await people.known(tx, reaction.account)
            if person is None:
                return  # somebody who has never spoken to us
            await messages.react(
                tx,
                chat_id,
                reaction.message,
                person.id,
                safety.storable(reaction.emoji),
                added=reaction.added,
                what=what,
                now=self._engine.clock.now(),
            )

        await self._engine.database.change(kept)

    async def moved(self, old: ChatRef, new: ChatRef) -> None:
        async with self._engine.database.write() as tx:
            places = await chats.moved(tx, old, new)
        log.info("chat_moved", front=new.front, old=old.chat, new=new.chat, places=places)

    async def left(self, chat: ChatRef) -> None:
        async with self._engine.database.write() as tx:
            places = await chats.left(tx, chat, self._engine.clock.now())
            for chat_id in places:
                await outbox.give_up_chat(tx, chat_id, error="Nobody there wants to hear from us any more.")
        if places:
            log.info("chat_left", front=chat.front, chat=chat.chat)
            self._engine.events.publish("place.left", places=places)

    def stop(self, chat: ChatRef) -> bool:
        line = self._lines.get(chat)
        if line is None or line.draft is None:
            return False
        line.draft.stop()
        return True

    def menu(self, language: str) -> Sequence[Entry]:
        return commands.menu(locale_of(language))

    def languages(self) -> Sequence[str]:
        return languages()

    async def suggestions(self, kind: OptionKind, typed: str, incoming: Incoming) -> Sequence[Choice]:
        chat, order = incoming.chat, incoming.text
        return await commands.suggestions(self._engine, kind, typed, incoming.account, chat=chat, order=order)

    async def question(self, incoming: Incoming) -> tuple[str, Question] | None:
        return await commands.question_for(self._engine, incoming)

    def says(self, key: str, language: str, **facts: object) -> str:
        return locale_of(language).say(key, **facts)

    # What the house calls

    async def resume(self) -> None:
        """At a start: answer what the last process heard and could not answer any more."""
        unanswered = await self._engine.conversation.unanswered()
        for said in unanswered:
            self._answer(said)
        if unanswered:
            log.info("turns_resumed", turns=[said.turn.id for said in unanswered])

    def answering(self, chat: ChatRef) -> bool:
        """Whether something heard in a chat is still to be answered."""
        return chat in self._lines

    async def pen_down(self, chat: ChatRef, turn_id: int) -> None:
        """Wait until what is drafted under a turn is drafted: only then may the reply take its place."""
        line = self._lines.get(chat)
        if line and line.pen and line.pen.turn_id == turn_id:
            await line.pen.down()

    async def quiet(self) -> None:
        """Wait until everything heard has been answered."""
        while tasks := [line.task for line in self._lines.values() if line.task]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Answer no more. What is left open, or still heard, is answered after the next start."""
        self._closed = True
        await ended([line.task for line in self._lines.values() if line.task])

    async def _stop_for(self, incoming: Incoming) -> None:
        """Stop a reply for whoever it answers, and for those in charge; others have to hear it out."""
        line = self._lines.get(incoming.chat)
        if line and line.said and (not incoming.shared or await self._may_stop(incoming, line.said)):
            self.stop(incoming.chat)

    async def _may_stop(self, incoming: Incoming, said: Said) -> bool:
        async with self._engine.database.read() as tx:
            person = await people.known(tx, incoming.account)
        if person and person.id == said.person.id:
            return True
        chat, platform_id = incoming.chat, incoming.account.platform_id
        operators = self._engine.settings.people
        return rights.is_operator(operators, chat.front, [platform_id]) or await self._front(chat).in_charge(
            chat, platform_id
        )

    def _front(self, chat: ChatRef) -> Front:
        return self._fronts[chat.front, chat.account]

    def _answer(self, said: Said) -> None:
        if self._closed:
            return
        line = self._lines.setdefault(said.place.ref, Line())
        line.waiting.append(said)
        if line.task is None:
            line.task = asyncio.create_task(self._work_off(said.place.ref, line))

    async def _work_off(self, chat: ChatRef, line: Line) -> None:
        try:
            while line.waiting:
                await self._answer_one(line.waiting.popleft(), line)
        finally:
            line.task = None
            if not line.waiting:
                del self._lines[chat]

    async def _answer_one(self, said: Said, line: Line) -> None:
        with structlog.contextvars.bound_contextvars(turn=said.turn.id):
            try:
                if said.turn.kind is TurnKind.COMMAND:
                    await self._obey(said, line)
                elif said.turn.kind is TurnKind.ATTACHMENT:
                    await self._decline(said)
                else:
                    await self._reply(said, line)
            except StoreError:
                # Its sentence names folders: that is for the log, and whoever runs the house.
                await self._fail(said)
            except GreenroomError as error:
                await self._explain(said, locale_of(said.person.language).says(error))
            except Exception:
                await self._fail(said)

    async def _fail(self, said: Said) -> None:
        """Something went wrong that nobody can do anything about in the chat; the log says what."""
        log.exception("turn_failed")
        await self._explain(said, locale_of(said.person.language).say("talk.failed", turn=str(said.turn.id)))

    async def _reply(self, said: Said, line: Line) -> None:
        async with self._writing(said, line) as draft:
            answered = await self._engine.conversation.reply(said, draft)
        if answered and answered.next:
            # Before anybody else's words: what personas say to one another is counted from the last person's.
            line.waiting.appendleft(answered.next)

    async def _obey(self, said: Said, line: Line) -> None:
        @asynccontextmanager
        async def writing() -> AsyncIterator[Draft]:
            async with self._writing(said, line) as draft:
                yield draft

        ref = said.place.ref
        front = self._fronts.get((ref.front, ref.account))

        async def in_charge(platform_id: str) -> bool:
            return front is not None and await front.in_charge(ref, platform_id)

        await commands.run(self._engine, said, writing=writing, in_charge=in_charge)

    async def _decline(self, said: Said) -> None:
        """Something came that nobody here can look at; say so, and ask for words."""
        locale = locale_of(said.person.language)
        what = [locale.say(f"talk.attachments.{one.kind}") for one in said.turn.attachments]
        now = self._engine.clock.now()

        async def declined(tx: AsyncConnection) -> bool:
            if not await chats.close_turn(tx, said.turn):
                return False
            await outbox.owe(
                tx,
                said.place.id,
                DeliveryKind.NOTICE,
                text=locale.say("talk.cannot_see", n=len(what), what=what),
                answers_id=said.turn.id,
                now=now,
            )
            return True

        if not await self._engine.database.change(declined):
            return
        self._engine.events.publish("notice.stored", chat=said.place.ref)

    @asynccontextmanager
    async def _writing(self, said: Said, line: Line) -> AsyncIterator[Draft]:
        """A draft that the chat sees growing, and that can be stopped, for as long as this block lasts."""
        front = self._fronts.get((said.place.ref.front, said.place.ref.account))
        # Drafts overtake what is owed, and what strangers are told must come first.
        pen = Pen(self._engine, None if said.is_first else front, self.faces, said)
        line.draft, line.said, line.pen = Draft(pen.show), said, pen
        try:
            pen.show("")
            yield line.draft
        except asyncio.CancelledError:
            pen.drop()  # the house closes: there is no time for a front that is slow
            raise
        finally:
            line.draft = None
            await pen.rest()
            line.pen = None

    async def _explain(self, said: Said, words: str) -> None:
        """The turn is answered with a reason, so that it is not tried again at the next start."""
        now = self._engine.clock.now()
        try:
            async with self._engine.database.write() as tx:
                place = await chats.place(tx, said.place.ref)
                head = place.head_turn_id if place else None
                if said.turn.person_id is None:
                    head = said.turn.parent_id
                if not await chats.close_turn(tx, said.turn, state=TurnState.FAILED, parent_id=head):
                    return
                await outbox.owe(
                    tx, said.place.id, DeliveryKind.NOTICE, text=words, answers_id=said.turn.id, now=now
                )
        except GreenroomError as error:
            # It stays open, and is answered after the next start.
            log.warning("turn_not_explained", cause=str(error))
            return
        self._engine.events.publish("notice.stored", chat=said.place.ref)
