"""Commands, buttons and forms: acknowledged at once, or answered with a question, and then heard like anything else.

Discord gives three seconds for the first word. Nothing here waits for the store before it has been said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import discord
import structlog
from discord.http import MultipartParameters
from discord.webhook.async_ import async_context

from bot.discord import menu as menus
from bot.discord.answers import Answers
from bot.discord.failures import BROKEN_WAY
from bot.discord.hearing import Ears, Ordered, is_quiet, ordered, submitted
from bot.discord.markdown import units
from bot.discord.wire import Answer, Wire, custom_id, order_in
from bot.front import Entry, FrontDesk, Incoming, OptionKind, Question
from engine.errors import GreenroomError

log = structlog.get_logger(__name__)

#: Of the three seconds, so much may go to finding out whether to ask back.
ASK_WITHIN = 1.5
SUGGEST_WITHIN = 2.0
CHOICES, FORM = 8, 9
ALREADY_ANSWERED = 40060
#: The field of a form, and how much Discord lets stand in one.
WORDS, FORM_LENGTH, LABEL_LENGTH, HINT_LENGTH = "words", 4_000, 45, 100

Hear = Callable[[Incoming], Awaitable[None]]


class Asked:
    """Answers the interactions of one client."""

    def __init__(
        self, desk: FrontDesk, ears: Ears, wire: Wire, answers: Answers, hear: Hear, hurry: float
    ) -> None:
        self._desk = desk
        self._ears = ears
        self._wire = wire
        self._answers = answers
        self._hear = hear
        self._hurry = hurry

    async def handle(self, interaction: discord.Interaction) -> None:
        data: dict[str, Any] = dict(interaction.data or {})
        menu = self._desk.menu(self._desk.languages()[0])
        match interaction.type:
            case discord.InteractionType.application_command:
                order = ordered(data, menu)
                if order.wants_words and await self._asks_back(interaction, order.text):
                    return
                await self._promise(interaction, order.text, quiet=order.quiet)
            case discord.InteractionType.component:
                await self._pressed(interaction, order_in(str(data.get("custom_id", ""))), menu)
            case discord.InteractionType.modal_submit:
                text = submitted(data)
                await self._promise(interaction, text, quiet=is_quiet(text, menu))
            case discord.InteractionType.autocomplete:
                await self._suggest(interaction, ordered(data, menu))
            case _:
                log.info("unknown_interaction", kind=str(interaction.type))

    async def _pressed(
        self, interaction: discord.Interaction, text: str | None, menu: Sequence[Entry]
    ) -> None:
        if text is None:
            # Of an earlier program, or another hand: it is met with silence, not with an error.
            await self._defer(interaction, thinking=False, quiet=False)
            return
        if await self._asks_back(interaction, text):
            return
        if is_quiet(text, menu):
            await self._promise(interaction, text, quiet=True)
            return
        done, _ = await self._defer(interaction, thinking=False, quiet=False)
        incoming = self._ears.of_interaction(interaction, text)
        await self._hear(incoming if done else _too_late(incoming))

    async def _promise(self, interaction: discord.Interaction, text: str, *, quiet: bool) -> None:
        """“… is thinking” first, then everything else; the answer will stand in that message."""
        done, message = await self._defer(interaction, thinking=True, quiet=quiet)
        if message:
            self._answers.expect(message, Answer.of(interaction), quiet=quiet)
        if not text:
            return
        incoming = self._ears.of_interaction(interaction, text, message=message)
        # Too late for an answer in its place, but not for an answer.
        await self._hear(incoming if done else _too_late(incoming))

    async def _defer(
        self, interaction: discord.Interaction, *, thinking: bool, quiet: bool
    ) -> tuple[bool, str]:
        """Acknowledge; answers whether that arrived, and the id of the message that is “thinking” now."""
        for last in (False, True):
            try:
                told = await interaction.response.defer(thinking=thinking, ephemeral=quiet)
            except discord.HTTPException as error:
                if error.code == ALREADY_ANSWERED:
                    # An earlier try of ours arrived, and its answer did not.
                    return True, await self._first_answer(interaction) if thinking else ""
                log.warning("not_acknowledged", interaction=interaction.id, code=error.code)
                return False, ""
            except BROKEN_WAY as error:
                if last:
                    log.warning("not_acknowledged", interaction=interaction.id, cause=repr(error))
                    return False, ""
            else:
                number = told.message_id if told is not None and thinking else None
                return True, str(number or "")
        return False, ""

    async def _first_answer(self, interaction: discord.Interaction) -> str:
        at = replace(Answer.of(interaction), first=True)
        there = await self._wire.get(at, "")
        return str(there["id"]) if there else ""

    async def _asks_back(self, interaction: discord.Interaction, text: str) -> bool:
        """Meet an order that lacks its words with a form; False where nothing is missing, or time is short."""
        incoming = self._ears.of_interaction(interaction, text)
        try:
            async with asyncio.timeout(ASK_WITHIN * self._hurry):
                asked = await self._desk.question(incoming)
        except TimeoutError:
            return False
        except GreenroomError as error:
            log.info("nothing_asked", cause=str(error))
            return False
        if asked is None:
            return False
        title = self._desk.says("discord.form", incoming.account.language)
        too_long = self._desk.says("discord.form_too_long", incoming.account.language)
        try:
            await self._answer(interaction, FORM, form(*asked, title=title, too_long=too_long))
        except discord.HTTPException as error:
            return error.code == ALREADY_ANSWERED
        except BROKEN_WAY:
            return False
        return True

    async def _suggest(self, interaction: discord.Interaction, order: Ordered) -> None:
        option = (
            next((one for one in order.entry.options if one.name == order.focused), None)
            if order.entry
            else None
        )
        choices: list[dict[str, Any]] = []
        if option is not None:
            typed = str(order.told.get(order.focused, ""))
            if option.kind is OptionKind.CHOICE:
                near = [one for one in option.choices if typed.lower() in one.label.lower()]
                choices = menus.suggested(near)
            else:
                choices = await self._meant(interaction, option.kind, typed, order.text)
        try:
            await self._answer(interaction, CHOICES, {"choices": choices})
        except (discord.HTTPException, *BROKEN_WAY) as error:
            log.debug("nothing_suggested", cause=repr(error))

    async def _meant(
        self, interaction: discord.Interaction, kind: OptionKind, typed: str, text: str
    ) -> list[dict[str, Any]]:
        incoming = self._ears.of_interaction(interaction, text)
        try:
            async with asyncio.timeout(SUGGEST_WITHIN * self._hurry):
                return menus.suggested(await self._desk.suggestions(kind, typed, incoming))
        except (TimeoutError, GreenroomError):
            return []

    async def _answer(self, interaction: discord.Interaction, kind: int, data: dict[str, Any]) -> None:
        """The first word, for what discord.py has only in forms and views that it would keep in memory for ever."""
        http = interaction.client.http
        await async_context.get().create_interaction_response(
            interaction.id,
            interaction.token,
            session=interaction._session,
            proxy=http.proxy,
            proxy_auth=http.proxy_auth,
            params=MultipartParameters({"type": kind, "data": data}, None, None),
        )


def _too_late(incoming: Incoming) -> Incoming:
    """Nothing can be said by its token any more; who asked is still known."""
    answer = Answer.read(incoming.answer_to)
    return replace(incoming, answer_to=replace(answer, token="").opaque if answer is not None else "")


def form(sentence: str, question: Question, *, title: str, too_long: str = "") -> dict[str, Any]:
    """Pure: a question as Discord's form with one field. `too_long` is said where what is there does not fit in."""
    # A part of it, sent back, would take the place of the whole.
    fits = units(question.prefill) <= FORM_LENGTH
    field = {
        "type": 4,
        "style": 2,
        "custom_id": WORDS,
        "required": True,
        "max_length": FORM_LENGTH,
        **({"value": question.prefill} if question.prefill and fits else {}),
    }
    asked, mark, hint = sentence.partition("? ")
    label = {"type": 18, "label": _cut(asked + mark.strip(), LABEL_LENGTH), "component": field}
    hint = hint if fits else too_long
    if hint or len(asked) > LABEL_LENGTH:
        label["description"] = _cut(hint or sentence, HINT_LENGTH)
    return {
        "custom_id": custom_id(question.order),
        "title": _cut(title, LABEL_LENGTH),
        "components": [label],
    }


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
