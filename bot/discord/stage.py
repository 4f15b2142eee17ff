"""What stands in Discord's channels because of us: it finds where a message of ours is, and shows one thing in place
of another. What is to be shown, and at what pace, others say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import discord
import structlog

from bot.discord.answers import Answers
from bot.discord.faces import Faces
from bot.discord.failures import (
    BAD_FORM,
    TOKEN_IS_DEAD,
    UNCHANGEABLE,
    UNKNOWN_WEBHOOK,
    NameRefused,
    code_of,
)
from bot.discord.permits import missing
from bot.discord.voices import Voices, acceptable
from bot.discord.wire import Address, Answer, Body, Hook, Json, Ours, Wire
from bot.front import ChatRef, Face
from bot.remembered import Remembered
from engine.errors import DeliveryFailed, TryAgain
from engine.locales import say

log = structlog.get_logger(__name__)

#: Messages of ours whose address is remembered.
REMEMBERED = 5_000
#: Our clock and Discord's may differ by as much.
CLOCKS_APART = timedelta(seconds=5)


@dataclass(frozen=True)
class Spot:
    """A chat as Discord knows it."""

    channel: int
    thread: int = 0

    @property
    def where(self) -> int:
        return self.thread or self.channel

    @classmethod
    def of(cls, chat: ChatRef) -> Spot:
        if not chat.chat.isdecimal() or not (chat.thread or "0").isdecimal():
            raise DeliveryFailed(say("discord.trouble.gone"))
        return cls(int(chat.chat), int(chat.thread or 0))


@dataclass(frozen=True)
class Held:
    """A message of ours that stands somewhere, and the way to it."""

    id: str
    at: Address


class Stage:
    """All of a client's ways to show something. It ends with its client."""

    def __init__(self, client: discord.Client, user: int, application: int, hurry: float) -> None:
        self.client = client
        self.user = user
        self.hurry = hurry
        self.wire = Wire(client, hurry)
        self.answers = Answers(self.wire, hurry)
        self.faces = Faces(client, hurry)
        self.voices = Voices(client, self.wire, application, hurry)
        self._application = application
        self._addresses: Remembered[str, Address] = Remembered(REMEMBERED)

    def rights(self, spot: Spot) -> discord.Permissions | None:
        """What we may do in a server's channel; None in private, and where nobody told us."""
        there = self.client.get_channel(spot.where) or self.client.get_channel(spot.channel)
        if isinstance(there, discord.abc.GuildChannel | discord.Thread):
            try:
                return there.permissions_for(there.guild.me)
            except discord.ClientException:  # a thread whose channel we do not see
                return None
        return None

    def missing(self, spot: Spot) -> list[str]:
        """The permissions that are wanting where something could not be shown."""
        rights = self.rights(spot)
        return missing(rights) if rights is not None else []

    def room(self, spot: Spot) -> int:
        """How many bytes a file may have."""
        there = self.client.get_channel(spot.channel)
        guild = there.guild if isinstance(there, discord.abc.GuildChannel) else None
        return guild.filesize_limit if guild else discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES

    def may_send(self, spot: Spot) -> bool:
        rights = self.rights(spot)
        if rights is None:
            return True
        return rights.view_channel and (
            rights.send_messages_in_threads if spot.thread else rights.send_messages
        )

    def closed(self, spot: Spot, answer: Answer | None) -> bool:
        """Whether we can speak there only in answer to somebody: a command works also where we may not write, and
        where somebody brought us along.
        """
        return (answer is not None and answer.guest) or not self.may_send(spot)

    async def voice(self, spot: Spot, *, persona: str) -> Ours | Hook:
        """Who speaks in a new message; `persona` is empty for the house."""
        # Where only mentions are heard, a reply has to be one to us: nobody can mention a webhook.
        hooked = persona and self.client.intents.message_content and not self.voices.refused(persona)
        hook = await self.voices.hook(spot.channel, spot.thread) if hooked else None
        return hook or Ours(spot.where)

    async def send(
        self, spot: Spot, at: Address, body: Body, *, name: str = "", face: Face | None = None
    ) -> str:
        """A new message; answers its id."""
        if isinstance(at, Hook):
            body = replace(
                body, nonce="", reply_to="", name=acceptable(name), face=await self.faces.address(face)
            )
        elif isinstance(at, Answer):
            body = replace(body, nonce="", reply_to="")
        elif not self.may_send(spot):
            # Asking in vain is noted against bots.
            wanting = [say(f"discord.permission.{one}") for one in self.missing(spot)]
            raise DeliveryFailed(say("discord.trouble.missing", permissions=wanting))
        elif body.reply_to:
            rights = self.rights(spot)
            if rights is None or not rights.read_message_history:
                body = replace(body, reply_to="")
        try:
            message = await self.wire.send(at, body)
        except discord.HTTPException as error:
            if isinstance(at, Hook) and code_of(error) in (UNKNOWN_WEBHOOK, TOKEN_IS_DEAD):
                self.voices.forget(spot.channel)
                raise TryAgain(say("discord.trouble.webhook"), after_s=0.1 * self.hurry) from error
            if isinstance(at, Hook) and error.code == BAD_FORM and "In username" in error.text:
                log.info("name_refused", name=body.name, cause=error.text[:200])
                self.voices.refuse(name)
                raise NameRefused(say("discord.trouble.busy")) from error
            raise
        return self.stands(
            str(message["id"]), replace(at, quiet=body.quiet) if isinstance(at, Answer) else at
        )

    async def change(self, spot: Spot, held: Held, body: Body) -> bool:
        """Change a message of ours; False when it is not there any more, or cannot be changed any more."""
        try:
            await self.wire.edit(held.at, held.id, body)
        except discord.HTTPException as error:
            code = code_of(error)
            if isinstance(held.at, Answer) and code in (TOKEN_IS_DEAD, UNKNOWN_WEBHOOK):
                if not self._outlives(held.at, spot):
                    return False
                return await self.change(spot, Held(held.id, Ours(spot.where)), body)
            if code == UNKNOWN_WEBHOOK:
                self.voices.forget(spot.channel)
            if code in UNCHANGEABLE:
                self._addresses.pop(held.id, None)
                return False
            raise
        self.stands(held.id, held.at)
        return True

    async def take_away(self, held: Held) -> None:
        """Remove a message of ours. One that cannot be removed stays: nothing depends on it."""
        try:
            await self.wire.delete(held.at, held.id)
        except discord.HTTPException as error:
            if error.status == 429 or error.status >= 500:
                raise
            log.info("message_not_removed", message=held.id, code=code_of(error), cause=error.text[:200])
        self._addresses.pop(held.id, None)

    def stands(self, message: str, at: Address) -> str:
        self._addresses.keep(message, at)
        return message

    async def find(self, spot: Spot, message: str) -> Held | None:
        """The way to a message of ours; None when it is gone, or not ours to change."""
        known = self._addresses.get(message)
        if isinstance(known, Answer) and not known.alive(self.hurry):
            if not self._outlives(known, spot):
                return None
            known = Ours(spot.where)
        if known is not None:
            return Held(message, known)
        if not message.isdecimal() or not self._may_read(spot):
            return None
        try:
            there = await self.wire.get(Ours(spot.where), message)
        except discord.Forbidden:
            return None
        at = await self._way_to(there, spot) if there else None
        return Held(message, at) if at is not None else None

    def _outlives(self, answer: Answer, spot: Spot) -> bool:
        """Whether its messages are messages of ours like any other when its token is dead."""
        rights = self.rights(spot)
        return not answer.quiet and not answer.guest and (rights is None or rights.view_channel)

    def asked_by(self, messages: Iterable[str]) -> Answer | None:
        """Whose question messages of ours answer, dead or alive, as far as that is remembered."""
        known = (self._addresses.get(message) for message in messages)
        return next((one for one in known if isinstance(one, Answer)), None)

    async def _way_to(self, there: Json, spot: Spot) -> Address | None:
        webhook = str(there.get("webhook_id") or "")
        # Discord writes the application into this field where a command was answered.
        if webhook and webhook != str(self._application):
            hook = await self.voices.hook(spot.channel, spot.thread)
            return hook if hook is not None and str(hook.id) == webhook else None
        return Ours(spot.where) if str(there["author"]["id"]) == str(self.user) else None

    async def arrived(
        self,
        spot: Spot,
        at: Address,
        pages: Mapping[int, str],
        *,
        file: str,
        since: datetime,
        but: Collection[str],
    ) -> dict[int, Held]:
        """Those of our pages that stand in the channel already: an answer of Discord's that we never got."""
        earliest = discord.utils.time_snowflake(since - CLOCKS_APART)
        ours = [
            one
            for one in reversed(await self._latest(spot))
            if int(one["id"]) >= earliest
            and str(one["id"]) not in self._addresses
            and str(one["id"]) not in but
            and self._is_ours(one, at)
        ]
        found: dict[int, Held] = {}
        for number, page in sorted(pages.items()):
            wanted = file if number == 0 else ""
            match = next((one for one in ours if _is(one, page, wanted)), None)
            if match is not None:
                ours = ours[ours.index(match) + 1 :]
                found[number] = Held(str(match["id"]), at if isinstance(at, Hook) else Ours(spot.where))
        return found

    async def with_button(self, spot: Spot, at: Address, custom_id: str) -> Held | None:
        """The latest message of ours that has a certain button."""
        for one in await self._latest(spot):
            ids = [part.get("custom_id") for row in one.get("components") or [] for part in row["components"]]
            if custom_id in ids and self._is_ours(one, at):
                address = at if isinstance(at, Hook) else Ours(spot.where)
                return Held(self.stands(str(one["id"]), address), address)
        return None

    async def _latest(self, spot: Spot) -> list[Json]:
        """The last messages there, newest first; none where we may not read."""
        if not self._may_read(spot):
            return []
        try:
            return await self.wire.latest(spot.where)
        except (discord.Forbidden, discord.NotFound):
            return []

    def _is_ours(self, message: Json, at: Address) -> bool:
        if isinstance(at, Hook):
            return str(message.get("webhook_id")) == str(at.id)
        return str(message["author"]["id"]) == str(self.user)

    def _may_read(self, spot: Spot) -> bool:
        rights = self.rights(spot)
        return rights is None or (rights.view_channel and rights.read_message_history)


def _is(message: Json, page: str, file: str) -> bool:
    names = [str(one.get("filename")) for one in message.get("attachments") or []]
    return str(message.get("content") or "").strip() == page.strip() and names == ([file] if file else [])
