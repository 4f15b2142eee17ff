"""The front desk: everything heard passes here. Stored first, then answered, in order within a chat.

It knows which chat is being answered and can stop that; what a command does is in `commands.py`, how a persona
replies in `engine/conversation.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from bot import commands
from bot.front import Front
from engine.conversation import Draft
from engine.engine import Engine
from engine.errors import GreenroomError
from engine.store import chats, outbox
from engine.store.chats import Said
from engine.store.records import ChatRef, DeliveryKind, Incoming, TurnKind, TurnState

log = structlog.get_logger(__name__)


@dataclass
class Line:
    """What waits to be answered in one chat, and the reply that is being written there."""

    waiting: deque[Said] = field(default_factory=deque)
    draft: Draft | None = None
    task: asyncio.Task[None] | None = None


class Desk:
    def __init__(self, engine: Engine, fronts: Sequence[Front]) -> None:
        self._engine = engine
        self._fronts = {(front.name, front.account): front for front in fronts}
        self._lines: dict[ChatRef, Line] = {}
        self._closed = False

    async def hear(self, incoming: Incoming) -> None:
        """Store what was heard, and see that it is answered. What is refused is told at once, and not kept."""
        kind = TurnKind.COMMAND if commands.is_command(incoming.text) else TurnKind.WORDS
        try:
            said = await self._engine.conversation.hear(incoming, kind=kind)
        except GreenroomError as error:
            log.info("refused", front=incoming.chat.front, chat=incoming.chat.chat, cause=str(error))
            await self._front(incoming.chat).tell(incoming.chat, str(error))
            return
        if said is not None:
            self._answer(said)

    async def resume(self) -> None:
        """At a start: answer what the last process heard and could not answer any more."""
        unanswered = await self._engine.conversation.unanswered()
        for said in unanswered:
            self._answer(said)
        if unanswered:
            log.info("turns_resumed", turns=[said.turn.id for said in unanswered])

    def stop(self, chat: ChatRef) -> bool:
        """Stop the reply that is being written in a chat; False when there is none."""
        line = self._lines.get(chat)
        if line is None or line.draft is None:
            return False
        line.draft.stop()
        return True

    def answering(self, chat: ChatRef) -> bool:
        """Whether something heard in a chat is still to be answered."""
        return chat in self._lines

    async def quiet(self) -> None:
        """Wait until everything heard has been answered."""
        while tasks := [line.task for line in self._lines.values() if line.task]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Answer no more. What is left open, or still heard, is answered after the next start."""
        self._closed = True
        answering = [line.task for line in self._lines.values() if line.task]
        for task in answering:
            task.cancel()
        if answering:
            await asyncio.wait(answering)

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
        bound = structlog.contextvars.bound_contextvars(turn=said.turn.id)
        with bound:
            try:
                if said.turn.kind is TurnKind.COMMAND:
                    await commands.run(self._engine, said)
                else:
                    await self._reply(said, line)
            except GreenroomError as error:
                await self._explain(said, str(error))
            except Exception:
                log.exception("turn_failed")
                await self._explain(
                    said, f"Something went wrong on my side (turn {said.turn.id} in the log)."
                )

    async def _reply(self, said: Said, line: Line) -> None:
        front = self._fronts.get((said.place.ref.front, said.place.ref.account))
        pen = Pen(front, said.place.ref)
        line.draft = Draft(pen.show)
        try:
            pen.show("")
            await self._engine.conversation.reply(said, line.draft)
        finally:
            line.draft = None
            await pen.rest()

    async def _explain(self, said: Said, words: str) -> None:
        """The turn is answered with a reason, so that it is not tried again at the next start."""
        now = self._engine.clock.now()
        try:
            async with self._engine.database.write() as tx:
                place = await chats.place(tx, said.place.ref)
                head = place.head_turn_id if place else None
                if not await chats.close_turn(tx, said.turn, state=TurnState.FAILED, parent_id=head):
                    return
                await outbox.owe(tx, said.place.id, DeliveryKind.NOTICE, text=words, now=now)
        except GreenroomError as error:
            # It stays open, and is answered after the next start.
            log.warning("turn_not_explained", cause=str(error))
            return
        self._engine.events.publish("notice.stored", chat=said.place.ref)


class Pen:
    """Carries a growing draft to a front, never faster than the front shows it: only the latest text counts."""

    def __init__(self, front: Front | None, chat: ChatRef) -> None:
        self._front = front
        self._chat = chat
        self._text: str | None = None
        self._task: asyncio.Task[None] | None = None

    def show(self, text: str) -> None:
        if self._front is None:
            return
        self._text = text
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write(self._front))

    async def rest(self) -> None:
        """The reply is stored: what is still unshown of its draft no longer matters."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _write(self, front: Front) -> None:
        while self._text is not None:
            text, self._text = self._text, None
            try:
                await front.draft(self._chat, text)
            except Exception as error:
                log.debug("draft_not_shown", cause=repr(error))
                return
