"""What a chat is owed, shown: replies, notices, pictures, drafts and how jobs stand. Where each message is and how it
is reached, `stage` knows; here is decided what stands in which message, and when a passing state is worth showing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import discord
import structlog

from bot.discord.answers import Open
from bot.discord.failures import BROKEN_WAY, SHUT, code_of, worded
from bot.discord.markdown import clipped, parts, plain, shown
from bot.discord.pacing import Pace
from bot.discord.stage import Held, Spot, Stage
from bot.discord.wire import Address, Answer, Body, Hook, Ours, custom_id, marked, nonce_of
from bot.front import Buttons, ChatRef, Draft, Incoming, Outgoing, Progress
from bot.pen import STOP
from engine.errors import DeliveryFailed, TryAgain
from engine.locales import locale_of
from engine.store.records import DeliveryKind

log = structlog.get_logger(__name__)

#: Seconds between two drafts in one channel, between previews, between signs that somebody is typing.
DRAFTS_APART, PREVIEWS_APART, TYPING_APART = 1.3, 3.0, 8.0
#: Drafts under way and deliveries, so that neither is lost or doubled.
REMEMBERED = 2_000
NAME_LENGTH = 60


@dataclass(frozen=True)
class Sheet:
    """A delivery made ready: pages of text, a file beside the first, and who says it."""

    pages: tuple[str, ...]
    file: tuple[str, bytes] | tuple[()]
    name: str
    as_persona: bool


class Showing:
    def __init__(self, stage: Stage, left: Callable[[ChatRef], Awaitable[None]]) -> None:
        self._stage = stage
        self._left = left
        self._pace = Pace(stage.hurry)
        self._began = discord.utils.time_snowflake(discord.utils.utcnow())
        #: What is being put into a draft or a job's message this moment: what is for good comes after it.
        self._under_way: OrderedDict[str, asyncio.Task[tuple[str, ...]]] = OrderedDict()
        self._delivered: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        #: Turns whose first draft may have arrived without our knowing.
        self._doubtful: OrderedDict[int, None] = OrderedDict()

    async def close(self) -> None:
        tasks = [task for task in self._under_way.values() if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # For good.

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        """Raises `DeliveryFailed` or `TryAgain`. What was delivered a moment ago is not delivered again."""
        spot, nonce = Spot.of(outgoing.chat), outgoing.delivery.nonce
        try:
            if outgoing.delivery.kind is DeliveryKind.REMOVAL:
                return await self._remove(outgoing, spot)
            if nonce not in self._delivered:
                self._delivered[nonce] = await self._deliver(outgoing, spot)
                _forget_the_oldest(self._delivered)
            return self._delivered[nonce]
        except (discord.DiscordException, *BROKEN_WAY) as error:
            if isinstance(error, RuntimeError) and not self._stage.client.is_closed():
                raise
            if code_of(error) in SHUT:
                await self._left(outgoing.chat)
            raise worded(error, missing=self._stage.missing(spot), hurry=self._stage.hurry) from error

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
        sheet = self._sheet(outgoing, spot, at)
        standing = dict(enumerate(held))
        if not held and not isinstance(at, Answer) and (delivery.unsure or delivery.attempts > 1):
            name = sheet.file[0] if sheet.file else ""
            standing = await self._stage.arrived(spot, at, sheet.pages, file=name, since=delivery.created_at)
        if owed is not None and owed.message not in [one.id for one in held]:
            # What is for one pair of eyes cannot come where everybody sees somebody think.
            await self._end_thinking(owed)
        quiet = isinstance(at, Answer) and (delivery.manner.quiet or (owed is not None and owed.quiet))
        messages = await self._put(outgoing, spot, at, sheet, standing, quiet=quiet)
        if owed is not None:
            self._stage.answers.given(owed.message)
        for one in held[len(sheet.pages) :]:
            await self._stage.take_away(one)
        # Whatever is drafted under the same turn from here on is another reply.
        self._under_way.pop(f"turn {_drafted_under(outgoing)}", None)
        return messages

    async def _put(
        self,
        outgoing: Outgoing,
        spot: Spot,
        at: Address,
        sheet: Sheet,
        standing: dict[int, Held],
        *,
        quiet: bool,
    ) -> tuple[str, ...]:
        delivery, messages = outgoing.delivery, []
        for number, page in enumerate(sheet.pages):
            body = Body(
                text=page,
                buttons=delivery.manner.buttons if number == len(sheet.pages) - 1 else (),
                file=sheet.file if number == 0 else (),
            )
            there = standing.get(number)
            if there is not None and await self._stage.change(spot, there, body):
                messages.append(there.id)
                continue
            new = replace(
                body,
                nonce=nonce_of(delivery.nonce, number),
                reply_to=_replied_to(outgoing) if number == 0 else "",
                quiet=quiet,
            )
            to = at if quiet else self._beside(at, outgoing, spot)
            messages.append(await self._stage.send(spot, to, new, name=sheet.name, face=outgoing.face))
        return tuple(messages)

    def _beside(self, at: Address, outgoing: Outgoing, spot: Spot) -> Address:
        """Where a new message goes. An answer is one message: what does not fit into it stands in the channel, but
        where somebody brought us along into a channel that is closed to us: there all we have is the answer's token.
        """
        if isinstance(at, Hook) or self._stage.client.get_channel(spot.channel) is not None:
            return at if isinstance(at, Hook) else Ours(spot.where)
        answer = Answer.read(outgoing.delivery.answer_to)
        return answer if answer is not None and answer.alive(self._stage.hurry) else Ours(spot.where)

    async def _held(self, outgoing: Outgoing, spot: Spot) -> list[Held]:
        """Messages of ours that make way, in their order; a draft that is still on its way is waited for."""
        delivery, names = outgoing.delivery, list(outgoing.replaces)
        turn = _drafted_under(outgoing)
        for key in (*outgoing.replaces, f"turn {turn}"):
            self._pace.settle(key)
            drafting = self._under_way.get(key)
            if drafting is not None:
                await asyncio.wait([drafting])
                names += [one for one in _result(drafting) if one not in names]
        found = [await self._stage.find(spot, name) for name in names]
        if not names and turn and delivery.kind is DeliveryKind.REPLY:
            asked = _asked(delivery.answers_message, delivery.answer_to)
            found = [await self._left_over(spot, turn, asked, as_persona=_speaks(outgoing))]
        return [one for one in found if one is not None]

    async def _owed(self, outgoing: Outgoing, spot: Spot) -> Open | None:
        delivery = outgoing.delivery
        return await self._stage.answers.owed(delivery.answers_message, delivery.answer_to, spot.where)

    async def _end_thinking(self, owed: Open | None) -> None:
        if owed is not None:
            await self._stage.take_away(Held(owed.message, owed.at))
            self._stage.answers.given(owed.message)

    async def _voice(self, outgoing: Outgoing, spot: Spot) -> Address:
        delivery = outgoing.delivery
        answer = Answer.read(delivery.answer_to)
        if delivery.manner.quiet and answer is not None and answer.alive(self._stage.hurry):
            return answer
        return await self._stage.voice(spot, as_persona=_speaks(outgoing))

    def _sheet(self, outgoing: Outgoing, spot: Spot, at: Address) -> Sheet:
        delivery, name = outgoing.delivery, _name(outgoing)
        text = shown(delivery.text) if delivery.kind is DeliveryKind.REPLY else plain(delivery.text)
        file: tuple[str, bytes] | tuple[()] = ()
        if outgoing.image:
            file = (_file_name(outgoing), outgoing.image)
            if trouble := self._not_attached(outgoing, spot, at):
                file, text = (), f"{text}\n\n{plain(trouble)}".strip()
        persona = _speaks(outgoing)
        pages = parts(text, before=_before(name) if persona and not isinstance(at, Hook) else "")
        # A message must hold something, if only its buttons.
        return Sheet(tuple(pages or ["" if file else "\u200b"]), file, name, persona)

    def _not_attached(self, outgoing: Outgoing, spot: Spot, at: Address) -> str:
        """Why a picture cannot stand in a message here; empty where it can."""
        locale, room = locale_of(outgoing.delivery.language), self._stage.room(spot)
        if len(outgoing.image) > room:
            return locale.say("discord.picture.too_large", megabytes=round(room / 2**20))
        rights = self._stage.rights(spot)
        if isinstance(at, Ours) and rights is not None and not rights.attach_files:
            return locale.say("discord.picture.not_allowed")
        return ""

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
            if self._stage.may_send(spot) and self._pace.now_and_then(
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
                else await self._left_over(spot, draft.turn_id, asked, as_persona=bool(name))
            )
        at = held.at if held else await stage.voice(spot, as_persona=bool(name))
        before = _before(name) if name and not isinstance(at, Hook) else ""
        body = Body(
            text=clipped(shown(draft.text), before=before),
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
        self._doubtful[draft.turn_id] = None
        _forget_the_oldest(self._doubtful)
        name = draft.face.name if draft.face else ""
        message = await self._stage.send(spot, at, body, name=name, face=draft.face)
        self._doubtful.pop(draft.turn_id, None)
        return message

    async def _left_over(self, spot: Spot, turn: int, asked: int, *, as_persona: bool) -> Held | None:
        """A draft of this very reply that nobody remembers: its process ended, or the line broke, just then."""
        if turn not in self._doubtful and not 0 < asked < self._began:
            return None
        at = await self._stage.voice(spot, as_persona=as_persona)
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
            file = (f"preview.{_kind(progress.preview)}", progress.preview)
        text = (parts(plain(progress.text)) or ["\u200b"])[0]
        await self._stage.change(spot, held, Body(text=text, buttons=progress.buttons, file=file))
        return ()

    async def tell(self, incoming: Incoming, text: str) -> None:
        """For the one who has just spoken; their eyes only, where they gave an order."""
        try:
            await self._tell(incoming, (parts(plain(text)) or ["\u200b"])[0], Spot.of(incoming.chat))
        except (discord.DiscordException, *BROKEN_WAY, DeliveryFailed, TryAgain) as error:
            log.info("not_told", chat=incoming.chat.chat, cause=repr(error))

    async def _tell(self, incoming: Incoming, text: str, spot: Spot) -> None:
        stage = self._stage
        owed = await stage.answers.owed(incoming.message, incoming.answer_to, spot.where)
        answer = Answer.read(incoming.answer_to)
        if owed is not None and owed.quiet:
            if await stage.change(spot, Held(owed.message, owed.at), Body(text=text)):
                stage.answers.given(owed.message)
        elif answer is not None and answer.alive(stage.hurry):
            # The first answer after "thinking" would be seen by all, as that was: it has to go first.
            await self._end_thinking(owed)
            await stage.send(spot, answer, Body(text=text, quiet=True))
        else:
            reply_to = incoming.message if incoming.shared and answer is None else ""
            await stage.send(spot, Ours(spot.where), Body(text=text, reply_to=reply_to))

    async def _see_through(self, key: str, work: Coroutine[None, None, tuple[str, ...]]) -> tuple[str, ...]:
        task = asyncio.create_task(work)
        # Nobody may be waiting when it fails.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._under_way[key] = task
        self._under_way.move_to_end(key)
        _forget_the_oldest(self._under_way)
        return await asyncio.shield(task)


def _forget_the_oldest(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _result(task: asyncio.Task[tuple[str, ...]]) -> tuple[str, ...]:
    return () if task.cancelled() or task.exception() else task.result()


def _asked(message: str, answer_to: str) -> int:
    """When something was asked for, as a number of Discord's; 0 where that is not known."""
    answer = Answer.read(answer_to)
    return int(message) if message.isdecimal() else answer.interaction if answer else 0


def _drafted_under(outgoing: Outgoing) -> int:
    return outgoing.delivery.manner.drafted_under or outgoing.delivery.answers_id or 0


def _stopping(draft: Draft) -> Buttons:
    return ((replace(draft.stop, order=marked(draft.stop.order, draft.turn_id)),),) if draft.stop else ()


def _name(outgoing: Outgoing) -> str:
    return outgoing.face.name if outgoing.face else outgoing.delivery.persona_name


def _speaks(outgoing: Outgoing) -> bool:
    """Whether this is said by a persona, and not by the house."""
    theirs = outgoing.delivery.kind in (DeliveryKind.REPLY, DeliveryKind.POST)
    return bool(_name(outgoing)) and (theirs or outgoing.face is not None)


def _before(name: str) -> str:
    return f"**{plain(name[:NAME_LENGTH]).strip()}**"


def _replied_to(outgoing: Outgoing) -> str:
    """A person's own message; for a command it is a message of ours, to which nobody replies."""
    delivery = outgoing.delivery
    return "" if delivery.answer_to else delivery.answers_message


def _file_name(outgoing: Outgoing) -> str:
    job = outgoing.delivery.job_id
    name = (
        f"greenroom-{job}" if job is not None else "faces" if outgoing.delivery.manner.faces else "greenroom"
    )
    return f"{name}.{_kind(outgoing.image)}"


def _kind(image: bytes) -> str:
    if image.startswith(b"\xff\xd8"):
        return "jpg"
    return "webp" if image[8:12] == b"WEBP" else "png"
