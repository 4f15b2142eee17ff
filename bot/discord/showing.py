"""What a chat is owed, shown: replies, notices, pictures, drafts and how jobs stand. Where each message is and how it
is reached, `stage` knows; here is decided what stands in which message, and when a passing state is worth showing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace

import discord
import structlog

from bot.discord.answers import Open
from bot.discord.aside import Aside
from bot.discord.failures import BROKEN_WAY, SHUT, NameRefused, code_of, worded
from bot.discord.markdown import clipped, parts, plain, shown
from bot.discord.pacing import Pace
from bot.discord.sheets import (
    NOTHING,
    Sheet,
    before,
    drafted_under,
    kind_of,
    name_of,
    replied_to,
    sheet,
    speaks,
)
from bot.discord.stage import Held, Spot, Stage
from bot.discord.wire import Address, Answer, Body, Hook, Ours, custom_id, marked, nonce_of
from bot.front import Buttons, ChatRef, Draft, Incoming, Outgoing, Progress
from bot.orders import STOP
from bot.remembered import Remembered
from engine.errors import DeliveryFailed, TryAgain
from engine.locales import locale_of, say
from engine.store.records import DeliveryKind
from engine.unbroken import ended

log = structlog.get_logger(__name__)

#: Seconds between two drafts in one channel, between previews, between signs that somebody is typing.
DRAFTS_APART, PREVIEWS_APART, TYPING_APART = 1.3, 3.0, 8.0
#: Drafts under way and deliveries, so that neither is lost or doubled.
REMEMBERED = 2_000


@dataclass
class Begun:
    """A delivery of which some stands already: its pages as they were cut then, and the messages that hold them."""

    sheet: Sheet
    messages: dict[int, str] = field(default_factory=dict)


class Showing:
    def __init__(self, stage: Stage, left: Callable[[ChatRef], Awaitable[None]]) -> None:
        self._stage = stage
        self._left = left
        self._aside = Aside(stage)
        self._pace = Pace(stage.hurry)
        self._began = discord.utils.time_snowflake(discord.utils.utcnow())
        #: What is being put into a draft or a job's message this moment: what is for good comes after it.
        self._under_way: Remembered[str, asyncio.Task[tuple[str, ...]]] = Remembered(REMEMBERED)
        self._delivered: Remembered[str, tuple[str, ...]] = Remembered(REMEMBERED)
        #: What stands of deliveries that could not be finished, by their nonces.
        self._begun: Remembered[str, Begun] = Remembered(REMEMBERED)
        #: Turns whose first draft may have arrived without our knowing.
        self._doubtful: Remembered[int, None] = Remembered(REMEMBERED)

    async def close(self) -> None:
        await ended(self._under_way.values())

    # For good.

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        """Raises `DeliveryFailed` or `TryAgain`. What was delivered a moment ago is not delivered again."""
        spot, nonce = Spot.of(outgoing.chat), outgoing.delivery.nonce
        try:
            if outgoing.delivery.kind is DeliveryKind.REMOVAL:
                return await self._remove(outgoing, spot)
            if nonce not in self._delivered:
                self._delivered.keep(nonce, await self._deliver_once(outgoing, spot))
                self._begun.pop(nonce, None)
            return self._delivered[nonce]
        except (discord.DiscordException, *BROKEN_WAY) as error:
            if isinstance(error, RuntimeError) and not self._stage.client.is_closed():
                raise
            if code_of(error) in SHUT:
                await self._left(outgoing.chat)
            raise worded(error, missing=self._stage.missing(spot), hurry=self._stage.hurry) from error

    async def _deliver_once(self, outgoing: Outgoing, spot: Spot) -> tuple[str, ...]:
        nonce = outgoing.delivery.nonce
        try:
            try:
                return await self._deliver(outgoing, spot)
            except NameRefused:
                # It is known now, and another way is taken.
                return await self._deliver(outgoing, spot)
        finally:
            begun = self._begun.get(nonce)
            if begun is not None and begun.messages:
                # Its file is out: the first page goes first.
                begun.sheet = replace(begun.sheet, file=())
            else:
                self._begun.pop(nonce, None)

    async def _remove(self, outgoing: Outgoing, spot: Spot) -> tuple[str, ...]:
        delivery = outgoing.delivery
        for message in dict.fromkeys((*delivery.manner.removes, *outgoing.replaces)):
            held = await self._stage.find(spot, message)
            if held is not None:
                await self._stage.take_away(held)
        await self._end_thinking(await self._owed(outgoing, spot))
        return ()

    async def _deliver(self, outgoing: Outgoing, spot: Spot) -> tuple[str, ...]:
        delivery = outgoing.delivery
        held = await self._held(outgoing, spot)
        owed = await self._owed(outgoing, spot)
        if held:
            at: Address = held[0].at
        elif owed is not None and (owed.quiet or not delivery.manner.quiet):
            held, at = [Held(owed.message, owed.at)], owed.at
        else:
            at = await self._voice(outgoing, spot)
        begun = self._begin(outgoing, spot, at)
        standing = await self._standing(outgoing, spot, at, begun, held)
        if owed is not None and owed.message not in [one.id for one in held]:
            # What is for one pair of eyes cannot come where everybody sees somebody think.
            await self._end_thinking(owed)
        quiet = delivery.manner.quiet or (owed is not None and owed.quiet)
        messages = await self._put(outgoing, spot, at, begun, standing, quiet=quiet)
        if owed is not None:
            self._stage.answers.given(owed.message)
        for one in held[len(begun.sheet.pages) :]:
            await self._stage.take_away(one)
        # Whatever is drafted under the same turn from here on is another reply.
        self._under_way.pop(f"turn {drafted_under(outgoing)}", None)
        return messages

    def _begin(self, outgoing: Outgoing, spot: Spot, at: Address) -> Begun:
        """What was begun before goes on as it was cut then."""
        earlier = self._begun.get(outgoing.delivery.nonce)
        if earlier is not None and earlier.messages:
            return earlier
        rights = (
            self._stage.rights(spot) if isinstance(at, Ours) and not self._is_aside(outgoing, spot) else None
        )
        made = sheet(outgoing, signed=not isinstance(at, Hook), room=self._stage.room(spot), rights=rights)
        begun = Begun(made)
        self._begun.keep(outgoing.delivery.nonce, begun)
        return begun

    async def _standing(
        self, outgoing: Outgoing, spot: Spot, at: Address, begun: Begun, held: list[Held]
    ) -> dict[int, Held]:
        """Messages that pages may be written into, by page: those that make way, and those that arrived before
        without our knowing.
        """
        delivery, pages = outgoing.delivery, begun.sheet.pages
        standing = {
            number: one for number, one in enumerate(held[: len(pages)]) if number not in begun.messages
        }
        if not (delivery.unsure or delivery.attempts > 1) or self._secret(outgoing):
            return standing
        open_pages = {
            number: page
            for number, page in enumerate(pages)
            if number not in begun.messages and number not in standing
        }
        if open_pages and not isinstance(at, Answer):
            file = begun.sheet.file[0] if begun.sheet.file else ""
            but = [one.id for one in held]
            since = delivery.created_at
            standing |= await self._stage.arrived(spot, at, open_pages, file=file, since=since, but=but)
        return standing

    async def _put(
        self,
        outgoing: Outgoing,
        spot: Spot,
        at: Address,
        begun: Begun,
        standing: dict[int, Held],
        *,
        quiet: bool,
    ) -> tuple[str, ...]:
        delivery, sheet = outgoing.delivery, begun.sheet
        for number, page in enumerate(sheet.pages):
            if number in begun.messages:
                continue
            body = Body(
                text=page,
                buttons=delivery.manner.buttons if number == len(sheet.pages) - 1 else (),
                file=sheet.file if number == 0 else (),
            )
            there = standing.get(number)
            if there is not None and await self._stage.change(spot, there, body):
                begun.messages[number] = there.id
                continue
            new = replace(
                body,
                nonce=nonce_of(delivery.nonce, number),
                reply_to=replied_to(outgoing) if number == 0 else "",
            )
            message = await self._new(outgoing, spot, at, new, quiet=quiet)
            if not message:
                return await self._ask_again(outgoing, spot)
            begun.messages[number] = message
        return tuple(begun.messages[number] for number in sorted(begun.messages))

    async def _new(self, outgoing: Outgoing, spot: Spot, at: Address, body: Body, *, quiet: bool) -> str:
        """A new message, where it can stand; empty where it would be seen by those whom it does not concern. An
        answer is one message: what does not fit into it stands in the channel, where that is open to us.
        """
        name, answer = name_of(outgoing), self._asked_by(outgoing)
        if isinstance(at, Hook) and not self._stage.voices.refused(name):
            return await self._stage.send(spot, at, body, name=name, face=outgoing.face)
        if answer is not None and (quiet or self._stage.closed(spot, answer)):
            message = await self._aside.send(spot, answer, body, quiet=quiet)
            if message is not None:
                return message
            if self._stage.closed(spot, answer) and answer.user:
                raise DeliveryFailed(say("discord.trouble.blocked"))
            if quiet:
                return ""
        return await self._stage.send(spot, Ours(spot.where), body)

    async def _ask_again(self, outgoing: Outgoing, spot: Spot) -> tuple[str, ...]:
        """Whoever asked cannot be reached alone: all may read that there is an answer, and nothing of it."""
        words = plain(locale_of(outgoing.delivery.language).say("discord.trouble.ask_again"))
        nonce = nonce_of(outgoing.delivery.nonce, 0)
        return (await self._stage.send(spot, Ours(spot.where), Body(text=words, nonce=nonce)),)

    def _asked_by(self, outgoing: Outgoing) -> Answer | None:
        """Whose question it is: a picture knows it only by the message in whose place it comes."""
        return Answer.read(outgoing.delivery.answer_to) or self._stage.asked_by(outgoing.replaces)

    def _secret(self, outgoing: Outgoing) -> bool:
        """Whether only whoever asked may see it. An order in words, said before all, is answered before all."""
        return outgoing.delivery.manner.quiet and self._asked_by(outgoing) is not None

    def _is_aside(self, outgoing: Outgoing, spot: Spot) -> bool:
        return self._secret(outgoing) or self._stage.closed(spot, self._asked_by(outgoing))

    async def _held(self, outgoing: Outgoing, spot: Spot) -> list[Held]:
        """Messages of ours that make way, in their order; a draft that is still on its way is waited for."""
        delivery, names = outgoing.delivery, list(outgoing.replaces)
        turn = drafted_under(outgoing)
        for key in (*outgoing.replaces, f"turn {turn}"):
            self._pace.settle(key)
            drafting = self._under_way.get(key)
            if drafting is not None:
                await asyncio.wait([drafting])
                names += [one for one in _result(drafting) if one not in names]
        found = [await self._stage.find(spot, name) for name in names]
        if not names and turn and delivery.kind is DeliveryKind.REPLY:
            asked = _asked(delivery.answers_message, delivery.answer_to)
            persona = name_of(outgoing) if speaks(outgoing) else ""
            found = [await self._left_over(spot, turn, asked, persona=persona)]
        standing = [one for one in found if one is not None]
        if not self._secret(outgoing):
            return standing
        # What everybody sees does not become what is for one pair of eyes.
        open_to_all = [one for one in standing if not (isinstance(one.at, Answer) and one.at.quiet)]
        for one in open_to_all if delivery.job_id is None else ():
            await self._stage.take_away(one)
        return [one for one in standing if one not in open_to_all]

    async def _owed(self, outgoing: Outgoing, spot: Spot) -> Open | None:
        delivery = outgoing.delivery
        return await self._stage.answers.owed(delivery.answers_message, delivery.answer_to, spot.where)

    async def _end_thinking(self, owed: Open | None) -> None:
        if owed is not None:
            await self._stage.take_away(Held(owed.message, owed.at))
            self._stage.answers.given(owed.message)

    async def _voice(self, outgoing: Outgoing, spot: Spot) -> Address:
        answer = self._asked_by(outgoing)
        if answer is not None and self._secret(outgoing):
            return answer
        return await self._stage.voice(spot, persona=name_of(outgoing) if speaks(outgoing) else "")

    # In passing.

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        """Show what stands so far. Whatever goes wrong, the reply itself comes later."""
        try:
            return await self._draft(draft, Spot.of(draft.chat))
        except (discord.DiscordException, *BROKEN_WAY, DeliveryFailed, TryAgain) as error:
            log.debug("draft_not_shown", turn=draft.turn_id, cause=repr(error))
            return draft.messages

    async def _draft(self, draft: Draft, spot: Spot) -> tuple[str, ...]:
        if not draft.text.strip():
            if not self._stage.closed(spot, Answer.read(draft.answer_to)) and self._pace.now_and_then(
                f"typing {spot.where}", apart=TYPING_APART
            ):
                await self._stage.wire.typing(spot.where)
            return draft.messages
        key = f"turn {draft.turn_id}"
        begun = self._under_way.get(key)
        if begun is not None and not begun.done():
            return await asyncio.shield(begun)
        messages = draft.messages or (_result(begun) if begun is not None else ())
        if not await self._pace.turn(str(spot.where), key, apart=DRAFTS_APART):
            return messages
        # Once on its way it is seen through, also when nobody waits for it: its message must not be lost.
        return await self._see_through(key, self._write(replace(draft, messages=messages), spot))

    async def _write(self, draft: Draft, spot: Spot) -> tuple[str, ...]:
        stage, name = self._stage, draft.face.name if draft.face else ""
        held = await stage.find(spot, draft.messages[0]) if draft.messages else None
        owed = None
        if not draft.messages:
            owed = await stage.answers.owed(draft.answers_message, draft.answer_to, spot.where)
            asked = _asked(draft.answers_message, draft.answer_to)
            held = (
                Held(owed.message, owed.at)
                if owed
                else await self._left_over(spot, draft.turn_id, asked, persona=name)
            )
        at = held.at if held else await stage.voice(spot, persona=name)
        if isinstance(at, Ours) and held is None and stage.closed(spot, Answer.read(draft.answer_to)):
            return draft.messages  # the few messages that can be said there are for the reply
        above = before(name) if name and not isinstance(at, Hook) else ""
        body = Body(
            text=clipped(shown(draft.text), before=above),
            buttons=_stopping(draft),
            nonce=nonce_of(f"draft {draft.turn_id} of {name or 'the house'}", 0),
            reply_to=draft.answers_message if not draft.answer_to else "",
        )
        if held is None and not draft.messages:
            return (await self._first_draft(draft, spot, at, body),)
        if held is not None and await stage.change(spot, held, body) and owed is not None:
            stage.answers.given(owed.message)
        return (held.id,) if held else draft.messages

    async def _first_draft(self, draft: Draft, spot: Spot, at: Address, body: Body) -> str:
        self._doubtful.keep(draft.turn_id, None)
        name = draft.face.name if draft.face else ""
        message = await self._stage.send(spot, at, body, name=name, face=draft.face)
        self._doubtful.pop(draft.turn_id, None)
        return message

    async def _left_over(self, spot: Spot, turn: int, asked: int, *, persona: str) -> Held | None:
        """A draft of this very reply that nobody remembers: its process ended, or the line broke, just then."""
        if turn not in self._doubtful and not 0 < asked < self._began:
            return None
        at = await self._stage.voice(spot, persona=persona)
        return await self._stage.with_button(spot, at, custom_id(marked(STOP, turn)))

    async def progress(self, progress: Progress) -> None:
        """Show how a job stands, in its message. It may be dropped, and the next one is as good."""
        try:
            spot = Spot.of(progress.chat)
            if not await self._pace.turn(str(spot.where), progress.message, apart=DRAFTS_APART):
                return
            await self._see_through(progress.message, self._report(progress, spot))
        except (discord.DiscordException, *BROKEN_WAY, DeliveryFailed, TryAgain) as error:
            log.debug("progress_not_shown", message=progress.message, cause=repr(error))

    async def _report(self, progress: Progress, spot: Spot) -> tuple[str, ...]:
        held = await self._stage.find(spot, progress.message)
        if held is None:
            return ()
        file = None
        if progress.preview and self._pace.now_and_then(f"preview {held.id}", apart=PREVIEWS_APART):
            file = (f"preview.{kind_of(progress.preview)}", progress.preview)
        text = (parts(plain(progress.text)) or [NOTHING])[0]
        await self._stage.change(spot, held, Body(text=text, buttons=progress.buttons, file=file))
        return ()

    async def tell(self, incoming: Incoming, text: str) -> None:
        """For the one who has just spoken; their eyes only, where they gave an order."""
        try:
            await self._tell(incoming, (parts(plain(text)) or [NOTHING])[0], Spot.of(incoming.chat))
        except (discord.DiscordException, *BROKEN_WAY, DeliveryFailed, TryAgain) as error:
            log.info("not_told", chat=incoming.chat.chat, cause=repr(error))

    async def _tell(self, incoming: Incoming, text: str, spot: Spot) -> None:
        stage = self._stage
        owed = await stage.answers.owed(incoming.message, incoming.answer_to, spot.where)
        answer = Answer.read(incoming.answer_to)
        if owed is not None and owed.quiet:
            if await stage.change(spot, Held(owed.message, owed.at), Body(text=text)):
                stage.answers.given(owed.message)
        elif answer is not None and (answer.alive(stage.hurry) or stage.closed(spot, answer)):
            # The first answer after "thinking" would be seen by all, as that was: it has to go first.
            await self._end_thinking(owed)
            await self._aside.send(spot, answer, Body(text=text), quiet=True)
        else:
            reply_to = incoming.message if incoming.shared and answer is None else ""
            await stage.send(spot, Ours(spot.where), Body(text=text, reply_to=reply_to))

    async def _see_through(self, key: str, work: Coroutine[None, None, tuple[str, ...]]) -> tuple[str, ...]:
        task = asyncio.create_task(work)
        # Nobody may be waiting when it fails.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._under_way.keep(key, task)
        return await asyncio.shield(task)


def _result(task: asyncio.Task[tuple[str, ...]]) -> tuple[str, ...]:
    return () if task.cancelled() or task.exception() else task.result()


def _asked(message: str, answer_to: str) -> int:
    """When something was asked for, as a number of Discord's; 0 where that is not known."""
    answer = Answer.read(answer_to)
    return int(message) if message.isdecimal() else answer.interaction if answer else 0


def _stopping(draft: Draft) -> Buttons:
    return ((replace(draft.stop, order=marked(draft.stop.order, draft.turn_id)),),) if draft.stop else ()
