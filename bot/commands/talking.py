"""Commands about the talk itself: begin it again, answer in another way, go on, take back."""

from __future__ import annotations

from bot.commands.calling import Answer, Call, Command
from engine.errors import Refused
from engine.locales import say

#: So much of what was taken back is repeated, to know it by.
QUOTED = 60


async def _reset(call: Call) -> None:
    await call.demand_charge(say("rights.talk_of_all"))

    async def happens(answer: Answer) -> None:
        await call.engine.presence.start_over(answer.tx, call.place, call.person)

    await call.answer(happens)


async def _demand_own(call: Call) -> None:
    """Where many talk, nobody changes what somebody else was told."""
    if not call.place.shared:
        return
    asker = await call.engine.second_thoughts.asked_by(call.place)
    if asker not in (None, call.person.id) and not await call.in_charge():
        raise Refused(say("rights.asker_only"))


async def _regenerate(call: Call) -> None:
    await _demand_own(call)
    async with call.writing() as draft:
        await call.engine.second_thoughts.again(call.said, draft)


async def _continue(call: Call) -> None:
    async with call.writing() as draft:
        await call.engine.second_thoughts.go_on(call.said, draft)


async def _undo(call: Call) -> None:
    await _demand_own(call)

    async def happens(answer: Answer) -> None:
        taken, shown = await call.engine.second_thoughts.take_back(answer.tx, call.place)
        words = taken.text if len(taken.text) <= QUOTED else taken.text[: QUOTED - 1] + "…"
        answer.text = call.say("talk.taken_back", words=words)
        answer.removes = shown

    await call.answer(happens)


COMMANDS = (
    Command("reset", _reset, topic="talk", quiet=True),
    Command("regenerate", _regenerate, topic="talk", quiet=True),
    Command("continue", _continue, topic="talk", quiet=True),
    Command("undo", _undo, topic="talk", quiet=True),
)
