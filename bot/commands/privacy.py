"""/privacy and /forget: what is kept of somebody, and that it goes when they say so."""

from __future__ import annotations

from bot.commands.calling import Call, Command
from bot.front import Button, Choice, Option, OptionKind
from engine import forgetting
from engine.errors import BadRequest
from engine.locales import say
from engine.store import forgetting as store

#: What has to be said for it to happen.
YES = "yes"


async def _privacy(call: Call) -> None:
    async with call.answering() as answer:
        answer.text = call.say("privacy.told")


async def _forget(call: Call) -> None:
    said = call.words.lower()
    if said not in ("", YES):
        raise BadRequest(say("privacy.how_to_forget"))
    if not said:
        await _ask(call)
        return
    engine = call.engine
    await forgetting.stop_jobs(engine.database, engine.queue, engine.clock, call.person.id)
    async with call.answering() as answer:
        await store.forget(answer.tx, call.person.id, order_id=call.said.turn.id)
        answer.text = call.say("privacy.forgotten")
    await forgetting.finish(engine.database, engine.files)


async def _ask(call: Call) -> None:
    async with call.answering() as answer:
        there = await store.belongings(answer.tx, call.person.id)
        messages = say("privacy.messages", n=there.messages)
        pictures = say("privacy.pictures", n=there.pictures)
        answer.text = call.say("privacy.asks", messages=messages, pictures=pictures)
        answer.buttons = ((Button(call.say("privacy.forget_me"), f"forget {YES}", "danger"),),)


_SURE = Option("sure", "", OptionKind.CHOICE, choices=(Choice(YES, ""),))

COMMANDS = (
    Command("privacy", _privacy, topic="house", quiet=True),
    Command("forget", _forget, (_SURE,), topic="house", quiet=True),
)
