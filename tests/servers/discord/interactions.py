"""Commands, buttons, selects, forms: how a person sets one off, how long a bot has, and what came of it.

The routes by which a bot answers are in `hooks`; what is right in an answer is in `rules`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.servers.discord import rules
from tests.servers.discord.channels import Channel, NotOffered
from tests.servers.discord.filling import fill_input, fill_options, inner_of, resolve
from tests.servers.discord.messages import Message
from tests.servers.discord.permissions import PERMISSIONS
from tests.servers.discord.world import Bot, Person, User, World

if TYPE_CHECKING:
    from tests.servers.discord.gateway import Connection

Json = dict[str, Any]
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
#: What each kind of interaction may be answered with (the types of a callback).
ANSWERS = {COMMAND: (4, 5, 9), COMPONENT: (4, 5, 6, 7, 9), AUTOCOMPLETE: (8,), MODAL_SUBMIT: (4, 5, 6, 7)}
#: Seconds to acknowledge, and seconds that a token lives; both are scaled.
ACKNOWLEDGE_WITHIN, TOKEN_LIVES = 3.0, 900.0


class Interaction:
    """One interaction, as the person who set it off sees it go on."""

    def __init__(
        self, world: World, kind: int, bot: Bot, channel: Channel, person: Person, data: Json
    ) -> None:
        self.world = world
        self.id = world.snowflakes.next()
        self.token = secrets.token_urlsafe(64)
        self.kind = kind
        self.bot = bot
        self.channel = channel
        self.person = person
        self.data = data
        self.sent_at = world.monotonic()
        self._stalled = world.stalls.lost()
        self.dies_at = self.sent_at + TOKEN_LIVES * world.scale
        #: The message whose component was used.
        self.message: Message | None = None
        #: The type of the callback: 4 message, 5 and 6 deferred, 7 update, 8 choices, 9 form.
        self.acknowledged: int | None = None
        self.acknowledged_at: float | None = None
        #: The first response: also the message that was updated, for 6 and 7.
        self.response: Message | None = None
        self.followups: list[Message] = []
        self.modal: Json | None = None
        self.choices: list[Json] | None = None
        self.metadata: Json = {}
        self.connections: list[Connection] = []
        #: A fault of ours hit the answer: lateness and repetition are then nobody's fault.
        self.excused = False
        self.settled = False

    @property
    def due(self) -> float:
        """Until when it may be acknowledged: while everything here stood still, nobody could."""
        stalled = self.world.stalls.lost() - self._stalled
        return self.sent_at + ACKNOWLEDGE_WITHIN * self.world.scale + stalled

    @property
    def ephemeral(self) -> bool:
        return self.response is not None and self.response.ephemeral

    @property
    def seconds_to_acknowledge(self) -> float | None:
        return None if self.acknowledged_at is None else self.acknowledged_at - self.sent_at

    @property
    def messages(self) -> list[Message]:
        """Everything it was answered with that is still there."""
        every = [*([self.response] if self.response else []), *self.followups]
        return [one for one in every if not one.deleted]

    @property
    def failed(self) -> bool:
        """Whether the person reads that the application did not respond."""
        return self.acknowledged is None and self.world.monotonic() > self.due

    async def until(self, met: Callable[[Interaction], object], within: float = 30.0) -> Interaction:
        await self.channel.signal.until(lambda: met(self), within, self._describe)
        return self

    async def until_acknowledged(self, within: float = 30.0) -> Interaction:
        return await self.until(lambda one: one.acknowledged is not None, within)

    async def until_answered(self, within: float = 30.0) -> Message:
        """Wait for a message that is no longer “thinking”."""
        await self.until(lambda one: one.response is not None and not one.response.loading, within)
        assert self.response is not None
        return self.response

    async def until_asked(self, within: float = 30.0) -> Json:
        """Wait for a form."""
        await self.until(lambda one: one.modal is not None, within)
        assert self.modal is not None
        return self.modal

    async def submits(self, values: Mapping[str, object]) -> Interaction:
        """Fill in the form, by label or custom_id; what is not named keeps what stood there."""
        return await self.world.interactions.submit(self, values)

    def _describe(self) -> str:
        shown = [message.content[:80] for message in self.messages]
        broken = dict(self.world.ledger.broken)
        return f"acknowledged with {self.acknowledged}, messages {shown}; broken so far: {broken}"


class Interactions:
    """All of them, by token; and the verbs by which a person starts one."""

    def __init__(self, world: World, *, size_limit: int) -> None:
        self._world = world
        self._size_limit = size_limit
        self.by_token: dict[str, Interaction] = {}
        self._waiting: dict[str, Interaction] = {}

    def sweep(self) -> None:
        """Note what was not acknowledged in time."""
        now = self._world.monotonic()
        for one in [one for one in self._waiting.values() if one.acknowledged is not None or now > one.due]:
            del self._waiting[one.token]
            if one.acknowledged is None:
                self.late(one)

    def late(self, one: Interaction) -> None:
        if one.settled:
            return
        one.settled = True
        # It was with the bot only if a connection carried it and stood until it was due.
        heard = any(link.closed_at is None or link.closed_at > one.due for link in one.connections)
        rule = (
            "autocomplete not answered"
            if one.kind == AUTOCOMPLETE
            else "interaction not acknowledged in time"
        )
        if heard and not one.excused:
            self._world.ledger.breach(rule, f"{one.bot.name}: {one.data}")
        else:
            self._world.ledger.excused[rule] += 1

    # What a person does.

    async def command(
        self, channel: Channel, person: Person, name: str, given: Mapping[str, object], *, bot: Bot | None
    ) -> Interaction:
        chosen, command = self._find(channel, person, name.split()[0], 1, bot)
        resolved: Json = {}
        options = fill_options(channel, command, name.split()[1:], given, resolved)
        data = {
            "id": command["id"],
            "name": command["name"],
            "type": 1,
            "options": options,
            "resolved": resolved,
        }
        return await self._start(COMMAND, chosen, channel, person, {**data, **_where(command)})

    async def menu(
        self, channel: Channel, person: Person, name: str, target: Message | User, *, bot: Bot | None
    ) -> Interaction:
        kind = 3 if isinstance(target, Message) else 2
        chosen, command = self._find(channel, person, name, kind, bot)
        resolved: Json = {}
        if isinstance(target, Message):
            resolved["messages"] = {str(target.id): target.payload(chosen)}
        else:
            resolve(channel, target, resolved)
        data = {
            "id": command["id"],
            "name": name,
            "type": kind,
            "target_id": str(target.id),
            "resolved": resolved,
        }
        return await self._start(COMMAND, chosen, channel, person, {**data, **_where(command)})

    async def autocomplete(
        self,
        channel: Channel,
        person: Person,
        name: str,
        focused: str,
        value: object,
        others: Mapping[str, object],
        *,
        bot: Bot | None,
    ) -> list[Json]:
        chosen, command = self._find(channel, person, name.split()[0], 1, bot)
        inner, path = inner_of(command, name.split()[1:])
        known = {option["name"]: option for option in inner.get("options") or ()}
        if focused not in known or not known[focused].get("autocomplete"):
            raise NotOffered(f"nothing is suggested for {focused!r} of /{name}")
        options: list[Json] = [
            {"name": key, "type": known[key]["type"], "value": one} for key, one in others.items()
        ]
        options.append({"name": focused, "type": known[focused]["type"], "value": value, "focused": True})
        for kind, part in reversed(path):
            options = [{"name": part, "type": kind, "options": options}]
        data = {"id": command["id"], "name": command["name"], "type": 1, "options": options}
        one = await self._start(AUTOCOMPLETE, chosen, channel, person, {**data, **_where(command)})
        await one.until(lambda it: it.choices is not None)
        return one.choices or []

    async def press(self, channel: Channel, person: Person, message: Message, wanted: str) -> Interaction:
        self._must_see(person, message)
        for button in message.buttons:
            if wanted in (button.label, button.custom_id, button.emoji):
                break
        else:
            raise NotOffered(f"no button {wanted!r}; there are {[one.label for one in message.buttons]}")
        if button.disabled or button.custom_id is None:
            raise NotOffered(f"the button {wanted!r} does nothing")
        data: Json = {"component_type": rules.BUTTON, "custom_id": button.custom_id}
        return await self._start(COMPONENT, _owner(message), channel, person, data, message=message)

    async def select(
        self, channel: Channel, person: Person, message: Message, values: Sequence[str], custom_id: str | None
    ) -> Interaction:
        self._must_see(person, message)
        found = [one for one in message.selects if custom_id in (None, one.custom_id) and not one.disabled]
        if not found:
            raise NotOffered("no such select")
        by_label = dict(found[0].options)
        chosen = [by_label.get(one, one) for one in values]
        if found[0].kind == 3 and not set(chosen) <= set(by_label.values()):
            raise NotOffered(f"the select has no {values!r}, but {sorted(by_label)}")
        data: Json = {"component_type": found[0].kind, "custom_id": found[0].custom_id, "values": chosen}
        return await self._start(COMPONENT, _owner(message), channel, person, data, message=message)

    async def submit(self, asked: Interaction, values: Mapping[str, object]) -> Interaction:
        modal = asked.modal
        if modal is None:
            raise NotOffered("there is no form")
        left = dict(values)
        rows: list[Json] = []
        for row in modal["components"]:
            if row["type"] == 10:
                rows.append({"type": 10, "id": len(rows) + 1})
                continue
            part = row["component"] if row["type"] == 18 else row["components"][0]
            label = row.get("label") or part.get("label")
            value = next((left.pop(key) for key in (part["custom_id"], label) if key in left), None)
            filled = fill_input(part, label, value)
            rows.append(
                {"type": 18, "component": filled}
                if row["type"] == 18
                else {"type": 1, "components": [filled]}
            )
        if left:
            raise NotOffered(f"the form has no {sorted(left)}")
        data: Json = {"custom_id": modal["custom_id"], "components": rows}
        asked.modal = None
        return await self._start(
            MODAL_SUBMIT, asked.bot, asked.channel, asked.person, data, message=asked.message, after=asked
        )

    # How it is sent.

    async def _start(
        self,
        kind: int,
        bot: Bot,
        channel: Channel,
        person: Person,
        data: Json,
        *,
        message: Message | None = None,
        after: Interaction | None = None,
    ) -> Interaction:
        one = Interaction(self._world, kind, bot, channel, person, data)
        one.message = message
        owners = _installed(bot, channel, person)
        one.metadata = {"id": str(one.id), "type": kind, "user": person.payload}
        one.metadata |= {"authorizing_integration_owners": owners}
        if kind == COMPONENT and message is not None:
            one.metadata["interacted_message_id"] = str(message.id)
        if after is not None:
            one.metadata["triggering_interaction_metadata"] = after.metadata
        self.by_token[one.token] = one
        self._waiting[one.token] = one
        one.connections = self._world.dispatch(
            bot, "INTERACTION_CREATE", self._event(one, owners), channel.guild_id
        )
        await asyncio.sleep(0)
        return one

    def _event(self, one: Interaction, owners: Json) -> Json:
        channel, person, guild = one.channel, one.person, one.channel.guild
        rights = channel.permissions_of(person)
        event: Json = {
            "id": str(one.id),
            "application_id": str(one.bot.id),
            "type": one.kind,
            "token": one.token,
            "version": 1,
            "data": one.data,
            "channel_id": str(channel.id),
            "channel": {**channel.payload(), "permissions": str(rights)},
            "app_permissions": str(channel.permissions_of(one.bot)),
            "locale": person.locale,
            "entitlements": [],
            "authorizing_integration_owners": owners,
            "context": 0 if guild else 1 if one.bot in channel.recipients else 2,
            "attachment_size_limit": self._size_limit,
        }
        if one.message is not None:
            event["message"] = one.message.payload(one.bot)
        if guild is None:
            return {**event, "user": person.payload}
        member = {**guild.members[person.id].payload(), "permissions": str(rights)}
        about = {"id": str(guild.id), "locale": guild.locale, "features": []}
        return {
            **event,
            "guild_id": str(guild.id),
            "guild": about,
            "guild_locale": guild.locale,
            "member": member,
        }

    def _must_see(self, person: Person, message: Message) -> None:
        if message.deleted or message not in message.channel.seen_by(person):
            raise NotOffered("the message is not there")

    def _find(
        self, channel: Channel, person: Person, name: str, kind: int, bot: Bot | None
    ) -> tuple[Bot, Json]:
        if not channel.permissions_of(person) & PERMISSIONS["use_application_commands"]:
            raise NotOffered("no commands here")
        context = 0 if channel.guild else 1
        for candidate in [bot] if bot else self._world.bots.values():
            owners = _installed(candidate, channel, person)
            here = 2 if channel.guild is None and candidate not in channel.recipients else context
            for command in candidate.offered(channel.guild):
                contexts, kinds = command.get("contexts"), command.get("integration_types") or [0]
                if command["name"] != name or command.get("type", 1) != kind:
                    continue
                if contexts is not None and here not in contexts:
                    continue
                if command.get("nsfw") and not channel.nsfw:
                    continue
                if owners and any(int(one) in kinds for one in owners):
                    return candidate, command
        raise NotOffered(f"no command {name!r} in #{channel.name}")


def _where(command: Json) -> Json:
    return {"guild_id": command["guild_id"]} if command.get("guild_id") else {}


def _installed(bot: Bot, channel: Channel, person: Person) -> Json:
    """By whom the application may act here: the guild (0; "0" in a direct message), the person (1)."""
    owners: Json = {}
    if channel.guild is not None and bot.id in channel.guild.members:
        owners["0"] = str(channel.guild.id)
    elif channel.guild is None and bot in channel.recipients:
        owners["0"] = "0"
    if bot.id in person.installed:
        owners["1"] = str(person.id)
    return owners


def _owner(message: Message) -> Bot:
    if message.application is not None:
        return message.application
    if isinstance(message.author, Bot):
        return message.author
    raise NotOffered("nobody answers to this message")
