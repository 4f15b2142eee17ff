"""/privacy and /forget: what is kept of somebody, and that it goes when they say so."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.commands.calling import Answer, Call, Command
from bot.front import Button, Choice, Option, OptionKind
from engine import forgetting, limits
from engine.errors import BadRequest
from engine.locales import say
from engine.store import forgetting as store
from engine.store import jobs, personas
from engine.store.records import JobState

#: What has to be said for it to happen.
YES = "yes"


async def _privacy(call: Call) -> None:
    await call.tell(call.say("privacy.told"))


async def _forget(call: Call) -> None:
    said = call.words.lower()
    if said not in ("", YES):
        raise BadRequest(say("privacy.how_to_forget"))
    if not said:
        await _ask(call)
        return
    engine = call.engine
    async with engine.database.read() as tx:
        spent = await _spent(call, tx)
    stopped = await forgetting.stop_jobs(
        engine.database, engine.queue, engine.clock, call.person.id, here=call.place
    )
    for job in stopped:
        cancelled = JobState.CANCELLED.value
        engine.events.publish("job.ended", job=job.id, chat_id=job.chat_id, state=cancelled)

    async def happens(answer: Answer) -> None:
        await store.forget(answer.tx, call.person.id, order_id=call.said.turn.id)
        answer.text = call.say("privacy.forgotten")

    await call.answer(happens)
    for what, known_by, count, oldest in spent:
        engine.spent.keep(what, known_by, count, oldest)
    await forgetting.remove_files(engine.database, engine.files)


async def _spent(call: Call, tx: AsyncConnection) -> list[tuple[str, list[str], int, datetime | None]]:
    """What they have had of their quotas, also of what is stopped now: to be forgotten is no way to new ones."""
    now = call.engine.clock.now()
    known_by = await store.accounts_of(tx, call.person.id)
    since = now - limits.DAY
    pictures = await jobs.used(tx, call.person.id, since=since, now=now)
    made = await personas.made_by(tx, call.person.id, since=since, now=now)
    return [
        ("pictures", known_by, pictures.pictures, pictures.oldest),
        ("personas", known_by, made.count, made.oldest),
    ]


async def _ask(call: Call) -> None:
    async def happens(answer: Answer) -> None:
        there = await store.belongings(answer.tx, call.person.id)
        messages = say("privacy.messages", n=there.messages)
        pictures = say("privacy.pictures", n=there.pictures)
        answer.text = call.say("privacy.asks", messages=messages, pictures=pictures)
        answer.buttons = ((Button(call.say("privacy.forget_me"), f"forget {YES}", "danger"),),)

    await call.answer(happens)


_SURE = Option("sure", "", OptionKind.CHOICE, choices=(Choice(YES, ""),))

COMMANDS = (
    Command("privacy", _privacy, topic="house", quiet=True),
    Command("forget", _forget, (_SURE,), topic="house", quiet=True),
)
