"""The front to Discord: one bot, its connection, and what comes in over it. It maps, and decides nothing.

What was said becomes ours in `hearing`, commands and buttons are met in `asked`, and what is owed is shown by
`showing`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import discord
import structlog

from bot.discord import menu as menus
from bot.discord.asked import Asked
from bot.discord.failures import BROKEN_WAY, worded
from bot.discord.guarding import guard
from bot.discord.hearing import Ears
from bot.discord.lingering import Lingering
from bot.discord.permits import intents_page, invitation
from bot.discord.showing import Showing
from bot.discord.stage import Stage
from bot.front import ChatRef, Draft, FrontDesk, Incoming, Outgoing, Progress
from engine.errors import SettingsError, StoreError, TryAgain
from engine.locales import locale_of, say
from engine.unbroken import ended

log = structlog.get_logger(__name__)

UNKNOWN = "?"
#: Why Discord closes a connection that need not be opened again as it is.
CLOSED_FOR_GOOD = {
    4010: "discord.start.invalid_shard",
    4011: "discord.start.too_many_servers",
    4012: "discord.start.old_version",
    4013: "discord.start.unknown_intents",
}
#: Discord lets a bot open one connection in so many seconds.
IDENTIFIES_APART = 5.2
#: What could not be stored is offered again after these pauses.
OFFER_AGAIN = (0.5, 1.0, 2.0, 4.0)
#: What was being heard when the connection closes may take so long.
FINISH_WITHIN = 2.0


def account_in(token: str) -> str:
    """The bot's number, which the first part of its token holds; `?` where this is no such token."""
    first = token.partition(".")[0]
    try:
        number = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return UNKNOWN
    return number if number.isdecimal() else UNKNOWN


class DiscordFront:
    """One bot on Discord."""

    name = "discord"
    recognises_repeats = True
    keeps_messages = True

    def __init__(self, token: str, *, shards: int = 0, hurry: float = 1.0) -> None:
        self._token = token
        self._shards = shards
        self._hurry = hurry
        self._here: Here | None = None
        #: What was there when it was told to end: through it goes what is owed until the house has closed.
        self._lingering: tuple[Here, Lingering] | None = None
        self._next_identify = 0.0
        self.account = account_in(token)

    async def run(self, desk: FrontDesk) -> None:
        if self.account == UNKNOWN:
            raise SettingsError(say("discord.start.no_token"))
        if not await self._run(desk, content=True):
            words = say("discord.start.only_mentions", link=intents_page(int(self.account)))
            log.warning("discord_hears_only_mentions", account=self.account, words=str(words))
            await self._run(desk, content=False)

    async def _run(self, desk: FrontDesk, *, content: bool) -> bool:
        """One client from its log-in to its end; a new one is made each time, as discord.py wants it. False where
        Discord does not let it read what people write.
        """
        client = Client(self, desk, content=content, shards=self._shards, hurry=self._hurry)
        self._lingering = None
        try:
            async with client:
                await client.start(self._token)
        except asyncio.CancelledError:
            if self._here is not None:
                self._lingering = self._here, Lingering(client, self._token)
            raise
        except discord.LoginFailure:
            raise SettingsError(say("discord.start.refused", bot=self.account)) from None
        except discord.PrivilegedIntentsRequired:
            if not content:
                raise
            return False
        except discord.ConnectionClosed as error:
            if error.code in CLOSED_FOR_GOOD:
                raise SettingsError(say(CLOSED_FOR_GOOD[error.code])) from None
            raise
        finally:
            self._here = None
            await client.finish()
        return True

    async def may_identify(self) -> None:
        """Wait until another connection may be opened, also after one of a client before this."""
        now = asyncio.get_running_loop().time()
        at = self._next_identify = max(now, self._next_identify) + IDENTIFIES_APART * self._hurry
        await asyncio.sleep(max(0.0, at - IDENTIFIES_APART * self._hurry - now))

    def opened(self, here: Here | None) -> None:
        """The client can be spoken through from now on."""
        self._here = here

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        if self._here is not None:
            return await self._here.showing.deliver(outgoing)
        if self._lingering is None:
            raise TryAgain(say("discord.trouble.not_connected"), after_s=1.0 * self._hurry)
        here, lingering = self._lingering
        try:
            async with lingering.open():
                return await here.showing.deliver(outgoing)
        except (discord.DiscordException, *BROKEN_WAY) as error:
            raise worded(error, hurry=self._hurry) from error

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        return await self._here.showing.draft(draft) if self._here else draft.messages

    async def progress(self, progress: Progress) -> None:
        if self._here:
            await self._here.showing.progress(progress)

    async def tell(self, incoming: Incoming, text: str) -> None:
        if self._here:
            await self._here.showing.tell(incoming, text)

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        return await self._here.in_charge(chat, platform_id) if self._here else False


@dataclass(frozen=True)
class Here:
    """A client that is connected, with its hands and ears."""

    client: discord.Client
    stage: Stage
    showing: Showing
    ears: Ears
    asked: Asked

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        """An admin of the server, or a moderator of the channel; in private everybody is their own master."""
        if not (chat.chat.isdecimal() and platform_id.isdecimal()):
            return False
        channel = self.client.get_channel(int(chat.chat))
        if channel is None:
            with suppress(discord.DiscordException, *BROKEN_WAY):
                channel = await self.client.fetch_channel(int(chat.chat))
        if not isinstance(channel, discord.abc.GuildChannel):
            return isinstance(channel, discord.DMChannel)
        try:
            member = channel.guild.get_member(int(platform_id)) or await channel.guild.fetch_member(
                int(platform_id)
            )
        except (discord.DiscordException, *BROKEN_WAY):
            return False
        rights = channel.permissions_for(member)
        return rights.administrator or rights.manage_guild or rights.manage_messages


class Client(discord.AutoShardedClient):
    """discord.py's side of it: events come in here. It keeps no messages and no members, for memory's sake."""

    def __init__(
        self, front: DiscordFront, desk: FrontDesk, *, content: bool, shards: int, hurry: float
    ) -> None:
        _hush()
        super().__init__(
            intents=_intents(content=content),
            shard_count=shards or None,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=2.0 * hurry,
        )
        self._front = front
        self._desk = desk
        self._hurry = hurry
        self._content = content
        self._here: Here | None = None
        self._busy: set[asyncio.Task[None]] = set()
        guard(self._connection.parsers)

    async def setup_hook(self) -> None:
        """Logged in, and not yet connected."""
        user, application = self.user, self.application_id
        if user is None or application is None or str(user.id) != self._front.account:
            raise SettingsError(say("discord.start.another", account=self._front.account))
        stage = Stage(self, user.id, application, self._hurry)
        ears = Ears(self._front.account, user.id)
        showing = Showing(stage, self._desk.left)
        asked = Asked(self._desk, ears, stage.wire, stage.answers, self._hear, self._hurry)
        self._here = Here(self, stage, showing, ears, asked)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        await self._front.may_identify()

    async def finish(self) -> None:
        """What was being heard when the client ended is still stored, if it does not take long."""
        await ended(self._busy - {asyncio.current_task()}, within=FINISH_WITHIN)
        if self._here:
            await self._here.showing.close()

    async def on_ready(self) -> None:
        here, user = self._here, self.user
        if here is None or user is None or self.application_id is None:
            return
        with self._at_work():
            self._front.opened(here)
            log.info(
                "discord_ready",
                bot=user.name,
                servers=len(self.guilds),
                shards=self.shard_count,
                hears_everything=self._content,
                invitation=invitation(self.application_id),
            )
            await self._tell_menu(here, self.application_id)

    async def _tell_menu(self, here: Here, application: int) -> None:
        """The menu goes to Discord only when it is not there already: telling it again counts."""
        ours = menus.commands({language: self._desk.menu(language) for language in self._desk.languages()})
        try:
            if not menus.known(ours, await here.stage.wire.commands(application)):
                await here.stage.wire.put_commands(application, ours)
                log.info("discord_menu_told", commands=len(ours))
        except (discord.HTTPException, *BROKEN_WAY) as error:
            log.warning("discord_menu_not_told", cause=repr(error))

    async def on_message(self, message: discord.Message) -> None:
        incoming = self._here.ears.of_message(message) if self._here else None
        if incoming is not None:
            with self._at_work():
                await self._hear(incoming)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        if self._here:
            with self._at_work():
                await self._here.asked.handle(interaction)

    async def on_raw_reaction_add(self, event: discord.RawReactionActionEvent) -> None:
        await self._reacted(event)

    async def on_raw_reaction_remove(self, event: discord.RawReactionActionEvent) -> None:
        await self._reacted(event)

    async def _reacted(self, event: discord.RawReactionActionEvent) -> None:
        channel = self.get_channel(event.channel_id)
        parent = channel.parent_id if isinstance(channel, discord.Thread) else None
        reaction = self._here.ears.of_reaction(event, parent) if self._here else None
        if reaction is not None:
            with self._at_work():
                await self._desk.react(reaction)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        with self._at_work():
            for channel in (*guild.channels, *guild.threads):
                await self._left(channel)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        with self._at_work():
            await self._left(channel)

    async def on_raw_thread_delete(self, event: discord.RawThreadDeleteEvent) -> None:
        if self._here:
            with self._at_work():
                await self._desk.left(self._here.ears.chat(event.parent_id, event.thread_id))

    async def on_error(self, event_method: str, /, *args: object, **kwargs: object) -> None:
        log.exception("discord_event_failed", happening=event_method)

    async def _left(self, channel: discord.abc.GuildChannel | discord.Thread) -> None:
        if self._here is None:
            return
        ears = self._here.ears
        if isinstance(channel, discord.Thread):
            await self._desk.left(ears.chat(channel.parent_id, channel.id))
        else:
            await self._desk.left(ears.chat(channel.id))

    async def _hear(self, incoming: Incoming) -> None:
        """Offered until it is stored. Discord tells it once only, so nobody else will offer it again."""
        for pause in OFFER_AGAIN:
            try:
                return await self._desk.hear(incoming)
            except StoreError as error:
                log.warning("not_stored_yet", key=incoming.key, cause=str(error))
                await asyncio.sleep(pause * self._hurry)
        try:
            await self._desk.hear(incoming)
        except StoreError as error:
            log.exception("not_stored", key=incoming.key, cause=str(error))
            words = locale_of(incoming.account.language).say("discord.trouble.not_kept")
            await self._front.tell(incoming, words)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Whoever is inside is waited for at the end."""
        task = asyncio.current_task()
        if task is None or task in self._busy:
            yield
            return
        self._busy.add(task)
        try:
            yield
        finally:
            self._busy.discard(task)


def _hush() -> None:
    """What the library says of itself that nobody should read: addresses with tokens in them, in its notes on calls
    and limits; and, at each start, that it could not speak aloud.
    """
    for name in ("discord.http", "discord.webhook.async_"):
        logging.getLogger(name).setLevel(logging.ERROR)
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


def _intents(*, content: bool) -> discord.Intents:
    wanted = discord.Intents.none()
    wanted.guilds = True
    wanted.guild_messages = wanted.dm_messages = True
    wanted.guild_reactions = wanted.dm_reactions = True
    wanted.message_content = content
    return wanted
