"""A town full of people whose apps send the strangest things, and what must never be read on anybody's screen."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bot.fuzzing import Json, Scene, discord_event, spoiled, telegram_update
from tests.bot.town import Town, discord_answers, telegram_answers
from tests.servers import discord, telegram
from tests.servers.discord.interactions import COMPONENT
from tests.servers.telegram import rendering

#: Nobody but us knows what these are.
_OURS = re.compile(
    r"Traceback|File \"|site-packages|\.py\b(?<!\.\./x\.py)|object at 0x|\bNone\b|"
    r"\b[A-Z][a-z]\w*(?:Error|Exception|NotFound)\b|\b(?:sqlalchemy|aiogram|discord\.py|asyncio|sqlite3)\b|site-packages/"
)
#: What an event of Discord's is known by; another would be somebody else's.
_KEPT = ("id", "application_id", "type", "token")


@dataclass
class Strangers:
    """People and places on both platforms, in a town whose house is open."""

    town: Town
    dice: random.Random
    chats: list[telegram.Chat]
    people: list[telegram.Person]
    channels: list[discord.Channel]
    folk: list[discord.Person]
    #: Also things of a form that no platform would send.
    formless: bool
    #: Somebody ordinary on each platform. Nobody else writes in their name: they were never asked anything.
    guest: tuple[telegram.Chat, telegram.Person]
    visitor: discord.Person

    @classmethod
    def of(cls, town: Town, dice: random.Random, *, formless: bool) -> Strangers:
        people = [town.telegram.person(name) for name in ("Ana", "Ben", "Cleo")]
        chats = [town.telegram.private(town.telegram_bot, one, started=True) for one in people]
        chats.append(town.telegram.group("Tea room", [town.telegram_bot], people))
        folk = [town.discord.person(name) for name in ("Mia", "Noa", "Ole")]
        guild = town.discord.guild("Studio", bots=[town.discord_bot], people=folk)
        channels = [guild.text_channel("general"), guild.text_channel("night", nsfw=True)]
        channels += [town.discord.dm(town.discord_bot, one) for one in folk]
        zoe, yan = town.telegram.person("Zoe"), town.discord.person("Yan")
        guild.joins(yan)
        guest = town.telegram.private(town.telegram_bot, zoe, started=True), zoe
        return cls(town, dice, chats, people, channels, folk, formless, guest, yan)

    def send_one(self) -> None:
        """One strange thing more, on one of the platforms."""
        if self.dice.random() < 0.5:
            self.town.telegram.push_raw(
                self.town.telegram_bot, telegram_update(self.dice, self._on_telegram(), broken=self.formless)
            )
            return
        number = self.town.discord.world.snowflakes.next()
        event, told = discord_event(self.dice, self._on_discord(), number, broken=self.formless)
        if event == "INTERACTION_CREATE":
            told = self._known(told)
        self.town.discord.push_raw(self.town.discord_bot, event, told)

    def _on_telegram(self) -> Scene:
        said = [one.id for chat in self.chats for one in chat.said_by(self.town.telegram_bot)[-5:]]
        return Scene(
            self.town.telegram_bot.id,
            self.town.telegram_bot.username,
            [rendering.user(one) for one in self.people],
            [rendering.chat(one) for one in self.chats],
            said or [1],
        )

    def _on_discord(self) -> Scene:
        said = [one.id for channel in self.channels for one in channel.messages[-3:]]
        places: list[Json] = [
            {"id": str(one.id), **({"guild_id": str(one.guild_id)} if one.guild_id else {})}
            for one in self.channels
        ]
        folk = [one.payload for one in self.folk]
        return Scene(self.town.discord_bot.id, "greenroom", folk, places, said or [1])

    def _known(self, told: Json) -> Json:
        """The same interaction, but one that the server knows: else to answer it would be to break a rule."""
        server, bot = self.town.discord, self.town.discord_bot
        channel = self.dice.choice(self.channels)
        person = self.dice.choice([one for one in self.folk if self._is_in(one, channel)])
        kind = told.get("type") if told.get("type") in (2, 3, 4, 5) else 9
        data = told.get("data")
        one = discord.Interaction(server.world, int(str(kind)), bot, channel, person, {})
        if kind == COMPONENT:
            one.message = next((m for m in channel.messages if m.author is bot and not m.webhook), None)
            if one.message is None:
                one.kind = 9
        one.data = data if isinstance(data, dict) else {}
        one.metadata = {
            "id": str(one.id),
            "type": kind,
            "user": person.payload,
            "authorizing_integration_owners": {},
        }
        # It may be such that nobody could answer it.
        one.excused = True
        server.interactions.by_token[one.token] = one
        event = server.interactions._event(one, {})
        if self.formless and self.dice.random() < 0.2:
            kept = {name: event[name] for name in _KEPT}
            event = spoiled(self.dice, event) | kept
        return event

    @staticmethod
    def _is_in(person: discord.Person, channel: discord.Channel) -> bool:
        return channel.guild is not None or person in channel.recipients

    # What is to be seen.

    def shown(self) -> Iterator[str]:
        """Every word of ours that somebody read, or reads now."""
        bot = self.town.telegram_bot
        for chat in self.chats:
            for event in chat.history:
                if event.by is bot:
                    yield f"{event.message.words if event.message else ''} {event.detail}"
        for press in self.town.telegram.world.presses.values():
            if press.answer:
                yield press.answer.text
        for channel in self.channels:
            for one in channel.every_message.values():
                if one.author is self.town.discord_bot:
                    yield one.content
            for happening in channel.history:
                if happening.by is self.town.discord_bot:
                    yield happening.content

    def unfit(self) -> list[str]:
        """What nobody should have been shown."""
        return [words for words in self.shown() if _OURS.search(words)]

    def broken(self) -> dict[str, int]:
        """Rules that the house broke. A draft is to be followed by its message in 30 s, which are six tenths of one
        here: that hurry is the town's, and not held against it.
        """
        hurried = f"telegram: {telegram.Rule.DRAFT_HANGING.value}"
        return {rule: count for rule, count in self.town.broken.items() if rule != hurried}

    async def still_answered(self, token: str) -> None:
        """Somebody on each platform says something ordinary, and is answered."""
        (chat, person), general = self.guest, self.channels[0]
        await chat.says(person, f"Good evening, {token}")
        await general.says(self.visitor, f"{self.town.discord_bot.mention} good evening, {token}")
        await self.town.until(
            lambda: telegram_answers(chat, self.town.telegram_bot, token) and discord_answers(general, token),
            within=120,
        )
