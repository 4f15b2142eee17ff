"""Carries a growing draft to a front, never faster than the front shows it: only the latest text counts.

Where a draft is a message of its own, it remembers which, so that after a crash the writing goes on in that one.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from bot.faces import Faces
from bot.front import Draft, Face, Front
from bot.orders import STOP
from engine.engine import Engine
from engine.locales import locale_of
from engine.store import messages, outbox
from engine.store.chats import Said
from engine.store.records import Button

log = structlog.get_logger(__name__)

#: So long a front may take for the last draft when the reply is there already.
REST_WITHIN = 10.0


class Pen:
    def __init__(self, engine: Engine, front: Front | None, faces: Faces, said: Said) -> None:
        self._engine = engine
        self._front = front
        self._faces = faces
        self._said = said
        self._text: str | None = None
        self._task: asyncio.Task[None] | None = None
        #: The messages that hold the draft; None: not looked up yet.
        self._messages: tuple[str, ...] | None = None
        self._face: Face | None = None
        self._down = asyncio.Event()

    @property
    def turn_id(self) -> int:
        """Under which turn it drafts."""
        return self._said.turn.id

    async def down(self) -> None:
        """Wait until nothing is drafted any more: then the reply may take the place of its draft."""
        await self._down.wait()

    def show(self, text: str) -> None:
        if self._front is None:
            return
        self._text = text
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write(self._front))

    def drop(self) -> None:
        """Draft no more, not even what is under way."""
        if self._task:
            self._task.cancel()

    async def rest(self) -> None:
        """The reply is stored: what is still unshown of its draft no longer matters.

        What is being shown is still shown: a message that was sent and not remembered would stay there, half said.
        """
        self._text = None
        try:
            if self._task:
                _, late = await asyncio.wait([self._task], timeout=REST_WITHIN)
                for task in late:
                    task.cancel()
        finally:
            self._down.set()

    async def _write(self, front: Front) -> None:
        while self._text is not None:
            text, self._text = self._text, None
            try:
                await self._show(front, text)
            except Exception as error:
                log.debug("draft_not_shown", cause=repr(error))
                return

    async def _show(self, front: Front, text: str) -> None:
        said = self._said
        if not front.keeps_messages:
            await front.draft(Draft(said.place.ref, said.turn.id, text))
            return
        if self._messages is None:
            drafts = partial(messages.drafts_of, turn_id=said.turn.id)
            self._messages = await self._engine.database.look(drafts)
            self._face = await self._faces.of_turn(said)
        if text.strip() and not self._messages:
            # A message keeps the place at which it first came: what the chat is owed already comes before it.
            owed: int = await self._engine.database.look(partial(outbox.owed, chat_id=said.place.id))
            if owed:
                return
        label = locale_of(said.person.language).say("talk.stop")
        shown = await front.draft(
            Draft(
                said.place.ref,
                said.turn.id,
                text,
                face=self._face,
                answers_message=said.turn.message,
                answer_to=said.turn.answer_to,
                messages=self._messages,
                stop=Button(label, STOP, "danger"),
            )
        )
        if new := tuple(one for one in shown if one not in self._messages):
            self._messages += new
            drafted = partial(messages.drafted, chat_id=said.place.id, turn_id=said.turn.id, messages=new)
            await self._engine.database.change(drafted)
