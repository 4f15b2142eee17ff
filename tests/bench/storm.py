"""A thousand chats, platforms that fail at random, and a house that is killed again and again. What becomes of each
message and of each picture is read from the screens and from the rows.
"""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bot.town import Town, nursery
from tests.servers import discord, telegram

#: How often each kind of trouble comes; the last is of events sent by Discord's gateway.
LIMITED, BROKEN, DROPPED, UNHEARD, DISCONNECTED = 0.01, 0.01, 0.005, 0.005, 0.0005
_TOKEN = re.compile(r"\bw\d+\b")


class CountingFaults(telegram.Faults):
    """Also counts the sends that were done and whose answers were lost."""

    lost: int = 0

    def draw(self, method: str) -> telegram.Fault | None:
        fault = super().draw(method)
        if fault is telegram.Fault.DROP_AFTER and method.startswith("send") and method != "sendChatAction":
            self.lost += 1
        return fault


@dataclass
class Outcome:
    seconds: float = 0.0
    kills: int = 0
    told: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    #: Accepted, and neither answered nor explained.
    lost: list[str] = field(default_factory=list)
    again: Counter[str] = field(default_factory=Counter)
    half: Counter[str] = field(default_factory=Counter)
    pictures_asked: int = 0
    pictures_shown: int = 0
    pictures_again: int = 0
    answers_lost: int = 0
    limited: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    def told_words(self) -> str:
        platforms = "\n".join(
            f"  {name}: told {self.told[name]}, accepted {self.accepted[name]}, answered {self.answered[name]},"
            f" shown again {self.again[name]}, left half written {self.half[name]}"
            for name in ("telegram", "discord")
        )
        lost = ", ".join(self.lost[:12]) or "none"
        return (
            f"{self.kills} kills in {self.seconds:.0f} s, {self.limited} times asked to wait,"
            f" {self.answers_lost} answers to sends on Telegram lost on the way\n{platforms}\n"
            f"  pictures: asked {self.pictures_asked}, shown {self.pictures_shown},"
            f" shown again {self.pictures_again}\n"
            f"  lost: {lost}\n  broken rules: {self.broken or 'none'}\n"
            "  (Discord tells a bot that is not there nothing: what was said while the house was down was told, and"
            " never accepted)"
        )


@dataclass
class Storm:
    town: Town
    dice: random.Random
    chats: list[tuple[telegram.Chat, telegram.Person, str]] = field(default_factory=list)
    channels: list[tuple[discord.Channel, discord.Person, str]] = field(default_factory=list)
    #: Token to the platform it was said on; those that asked for a picture.
    said: dict[str, str] = field(default_factory=dict)
    pictures: set[str] = field(default_factory=set)

    def settle(self, count: int) -> None:
        """One chat in five is a group or a server's channel."""
        town, bot, other = self.town, self.town.telegram_bot, self.town.discord_bot
        guilds: list[discord.Guild] = []
        for number in range(count):
            person, folk = town.telegram.person(f"Ana {number}"), town.discord.person(f"Mia {number}")
            if number % 5:
                self.chats.append((town.telegram.private(bot, person, started=True), person, ""))
                self.channels.append((town.discord.dm(other, folk), folk, ""))
                continue
            group = town.telegram.group(f"Room {number}", [bot], [person])
            self.chats.append((group, person, f"@{bot.username} "))
            if not guilds or len(guilds[-1].channels) >= 20:
                guilds.append(town.discord.guild(f"Studio {number}", bots=[other]))
            guilds[-1].joins(folk)
            channel = guilds[-1].text_channel(f"room-{number}")
            self.channels.append((channel, folk, f"{other.mention} "))

    async def rage(self, seconds: float, messages: int) -> None:
        """Everybody says so many things, at moments of their own; every fifth of them wants a picture."""
        acts: list[tuple[float, Callable[[], Awaitable[object]]]] = []
        for number, (chat, person, call) in enumerate(self.chats):
            for _ in range(messages):
                token = self._token("telegram")
                acts.append((self.dice.random(), self._says(chat, person, f"{call}and {token}")))
            if number % 5 == 2:
                token = self._token("telegram", picture=True)
                acts.append((self.dice.random(), self._says(chat, person, f"/imagine the lamp {token}")))
        for number, (channel, folk, call) in enumerate(self.channels):
            for _ in range(messages):
                token = self._token("discord")
                acts.append((self.dice.random(), self._says(channel, folk, f"{call}and {token}")))
            if number % 5 == 2:
                token = self._token("discord", picture=True)
                acts.append((self.dice.random(), self._orders(channel, folk, f"the lamp {token}")))
        began = time.monotonic()
        for at, act in sorted(acts, key=lambda one: one[0]):
            await asyncio.sleep(began + at * seconds - time.monotonic())
            await act()

    def _token(self, platform: str, *, picture: bool = False) -> str:
        token = f"w{len(self.said) + 1}"
        self.said[token] = platform
        if picture:
            self.pictures.add(token)
        return token

    def _says(
        self, place: telegram.Chat | discord.Channel, who: telegram.Person | discord.Person, words: str
    ) -> Callable[[], Awaitable[object]]:
        async def says() -> None:
            if isinstance(place, telegram.Chat):
                assert isinstance(who, telegram.Person)
                await place.says(who, words)
            else:
                assert isinstance(who, discord.Person)
                await place.says(who, words)

        return says

    def _orders(
        self, place: discord.Channel, who: discord.Person, scene: str
    ) -> Callable[[], Awaitable[object]]:
        return lambda: place.command(who, "imagine", scene=scene)

    # What became of it.

    def accepted(self) -> dict[str, str]:
        """Every token that is written down in the house, and how its turn stands."""
        with closing(sqlite3.connect(f"file:{self.town.home / 'greenroom.db'}?mode=ro", uri=True)) as rows:
            found = rows.execute("SELECT text, state FROM turns WHERE dedup_key IS NOT NULL").fetchall()
        return {token[0]: state for text, state in found if (token := _TOKEN.search(text))}

    def screens(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """How often each token was answered, answered by halves, and painted."""
        answered: Counter[str] = Counter()
        half: Counter[str] = Counter()
        painted: Counter[str] = Counter()
        bot = self.town.telegram_bot
        shown: list[tuple[str, bool]] = [
            (one.words, bool(one.photo and one.button("Another one")))
            for chat, _, _ in self.chats
            for one in chat.said_by(bot)
        ]
        shown += [
            (one.content, bool(one.attachments and len(one.buttons) > 1))
            for channel, _, _ in self.channels
            for one in channel.messages
            if one.author is self.town.discord_bot
        ]
        for words, is_picture in shown:
            token = _TOKEN.search(words)
            if token and is_picture:
                painted[token[0]] += 1
            elif token and f"heard {token[0]}," in words:
                (answered if words.rstrip().endswith("and that is all.") else half)[token[0]] += 1
        return answered, half, painted

    def quiet(self) -> bool:
        """Whether all that was accepted has been answered and painted, and all of Telegram's news was taken."""
        answered, _, painted = self.screens()
        accepted = self.accepted()
        waiting = [one for one in accepted if not (painted if one in self.pictures else answered)[one]]
        return not waiting and not self.town.telegram_bot.mailbox.pending


async def blow(
    *, chats: int, messages: int, kills: int, seconds: float, scale: float, seed: int, patience: float = 300.0
) -> Outcome:
    outcome, dice = Outcome(kills=kills), random.Random(seed)
    with nursery() as houses, tempfile.TemporaryDirectory() as folder:
        async with Town(Path(folder) / "home", houses, scale=scale) as town:
            storm = Storm(town, dice)
            storm.settle(chats)
            town.life = town.life_with(word=0.005, step=0.01, patient=False)
            await town.open()
            faults = CountingFaults(LIMITED, BROKEN, DROPPED, UNHEARD, seed=seed)
            town.telegram.faults = faults
            town.discord.faults = discord.Faults(LIMITED, BROKEN, DROPPED, UNHEARD, DISCONNECTED, seed=seed)
            began = time.monotonic()
            raging = asyncio.create_task(storm.rage(seconds, messages))
            for _kill in range(kills):
                await asyncio.sleep(dice.uniform(0.3, 1.2) * seconds / (kills + 1))
                await town.kill()
                await town.open()
            await raging
            with suppress(TimeoutError):
                await _until_quiet(storm, patience)
            outcome.seconds = time.monotonic() - began
            await town.close()
            _count(storm, outcome)
            outcome.answers_lost = faults.lost
            outcome.limited = town.telegram.limited.total() + town.discord.limited.total()
            outcome.broken = town.broken
    return outcome


async def _until_quiet(storm: Storm, patience: float) -> None:
    async with asyncio.timeout(patience):
        while not storm.quiet():  # noqa: ASYNC110 - another process becomes quiet
            await asyncio.sleep(0.5)


def _count(storm: Storm, outcome: Outcome) -> None:
    accepted, (answered, half, painted) = storm.accepted(), storm.screens()
    for token, platform in storm.said.items():
        picture = token in storm.pictures
        outcome.told[platform] += not picture
        if token not in accepted:
            continue
        if picture:
            outcome.pictures_asked += 1
            outcome.pictures_shown += bool(painted[token])
            outcome.pictures_again += max(0, painted[token] - 1)
        else:
            outcome.accepted[platform] += 1
            outcome.answered[platform] += bool(answered[token])
            outcome.again[platform] += max(0, answered[token] - 1)
            outcome.half[platform] += half[token]
        if not (painted if picture else answered)[token]:
            outcome.lost.append(f"{token} ({platform}, {accepted[token]})")


def duplicates(outcome: Outcome, platforms: Sequence[str] = ("telegram", "discord")) -> int:
    return sum(outcome.again[one] + outcome.half[one] for one in platforms)
