"""Second thoughts: the persona's last words said anew, gone on with, or taken back as if never said."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.conversation import Draft, tell_answered
from engine.errors import NotFound
from engine.events import Events
from engine.language.writers import Writers, Written
from engine.locales import locale_of, say
from engine.memory import GO_ON, Context, Memory
from engine.store import chats, messages, outbox, pages, posted
from engine.store.chats import Said
from engine.store.database import Database
from engine.store.records import DeliveryKind, Manner, Place, Turn, TurnState
from engine.unbroken import unbroken
from personas.prompting import Line


class SecondThoughts:
    """Each is asked for by a command, and is done when the command is."""

    def __init__(
        self, database: Database, writers: Writers, memory: Memory, events: Events, clock: Clock
    ) -> None:
        self._database = database
        self._writers = writers
        self._memory = memory
        self._events = events
        self._clock = clock

    async def again(self, said: Said, draft: Draft) -> Turn:
        """Another answer to the last words, in place of the one that stands; `said` is the command that asks."""
        async with self._database.read() as tx:
            last, before = await self._last_words(tx, said.place)
            if last is None:  # stopped before the first word of an answer
                before = await self._head(tx, said.place)
            if before is None or (last and await posted.among(tx, [last.id])):
                raise NotFound(say("talk.nothing_to_regenerate"))
            speaker = last.persona_id if last else None
            given = await chats.alternatives(tx, before.id, speaker) if speaker is not None else []
        context = await self._memory.read(said, speaker=speaker)
        wanted = self._memory.wanted(
            context,
            context.lines[:-1] if last else context.lines,
            said.person.name,
            seed=said.turn.id,
            talk=said.place.id,
            rejected=tuple(turn.text for turn in given),
        )
        written = await draft.written_by(self._writers, wanted)
        replaced = tuple(turn.id for turn in given)
        return await unbroken(
            self._store_more(said, context, written, parent_id=before.id, answers=before, replaced=replaced)
        )

    async def go_on(self, said: Said, draft: Draft) -> Turn:
        """The persona says more, though nobody has said anything; `said` is the command that asks for it."""
        async with self._database.read() as tx:
            last, before = await self._last_words(tx, said.place)
        if last is None:
            raise NotFound(say("talk.nothing_to_continue"))
        context = await self._memory.read(said, speaker=last.persona_id)
        lines = (*context.lines, Line(False, GO_ON))
        wanted = self._memory.wanted(context, lines, said.person.name, seed=said.turn.id, talk=said.place.id)
        # Who writes from the facts, and not from the prompt, is told that nothing was said.
        wanted = replace(wanted, lines=(*context.lines, Line(False, "")))
        written = await draft.written_by(self._writers, wanted)
        return await unbroken(self._store_more(said, context, written, parent_id=last.id, answers=before))

    async def _store_more(
        self,
        said: Said,
        context: Context,
        written: Written,
        *,
        parent_id: int,
        answers: Turn | None,
        replaced: tuple[int, ...] = (),
    ) -> Turn:
        """A persona's words that a command asked for, and that the command is done."""
        now = self._clock.now()
        async with self._database.write() as tx:
            if not await chats.close_turn(tx, said.turn):
                raise NotFound(say("talk.answered_already"))
            if said.turn.answer_to and said.turn.message:
                # The platform waits for an answer to the command itself.
                told = locale_of(said.person.language).say("talk.done")
                manner = Manner(quiet=True)
                await outbox.owe(
                    tx,
                    said.place.id,
                    DeliveryKind.NOTICE,
                    text=told,
                    manner=manner,
                    answers_id=said.turn.id,
                    now=now,
                )
            if not written.text:
                return said.turn
            reply = await chats.add_turn(
                tx,
                said.place.id,
                written.text,
                now=now,
                state=TurnState.ANSWERED,
                parent_id=parent_id,
                persona_id=context.persona_id,
                source=written.source,
            )
            await chats.move_head(tx, said.place.id, reply.id, of_persona=context.host_id)
            await outbox.owe(
                tx,
                said.place.id,
                DeliveryKind.REPLY,
                turn_id=reply.id,
                answers_id=answers.id if answers else None,
                manner=Manner(replaces_turns=replaced, drafted_under=said.turn.id),
                now=now,
            )
        tell_answered(self._events, said, reply, written)
        return reply

    async def take_back(self, tx: AsyncConnection, place: Place) -> tuple[Turn, tuple[str, ...]]:
        """The last words of a person and all that was answered to them are as if never said. Posts stay.

        Answers what the person had said, and the messages on the platform that no longer hold anything.
        """
        before = await self._asked(tx, place)
        if before is None:
            raise NotFound(say("talk.nothing_to_undo"))
        branch = await chats.branch_from(tx, before.id)
        stay = await posted.among(tx, branch)
        ids = [one for one in branch if one not in stay]
        shown = (*await messages.of_turns(tx, ids), *await messages.drafts_under(tx, ids))
        await chats.set_head(tx, place.id, await posted.keep(tx, stay, after=before.parent_id))
        await outbox.drop(tx, ids)
        await pages.unsaid(tx, ids)
        await chats.cut(tx, ids)
        return before, shown

    async def asked_by(self, place: Place) -> int | None:
        """Whose words the last answer in a chat was given to."""
        asked = await self._database.look(partial(self._asked, place=place))
        return asked.person_id if asked else None

    async def _asked(self, tx: AsyncConnection, place: Place) -> Turn | None:
        """The last words of a person that were answered, also where personas went on among themselves."""
        last, before = await self._last_words(tx, place)
        if last is None:  # stopped before the first word of an answer
            before = await self._head(tx, place)
        while before is not None and before.person_id is None:
            before = await chats.turn(tx, before.parent_id) if before.parent_id is not None else None
        return before

    async def _head(self, tx: AsyncConnection, place: Place) -> Turn | None:
        now_here = await chats.place_of(tx, place.id)
        head = now_here.head_turn_id if now_here else None
        return await chats.turn(tx, head) if head is not None else None

    async def _last_words(self, tx: AsyncConnection, place: Place) -> tuple[Turn | None, Turn | None]:
        """The persona's last words in a chat, and what they answer. A greeting answers nothing."""
        last = await self._head(tx, place)
        if last is None or last.persona_id is None:
            return None, None
        return last, await chats.turn(tx, last.parent_id) if last.parent_id is not None else None
