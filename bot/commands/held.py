"""/posts held, again and arrived: for operators, what may have reached people and may not, as the house stopped while
it was being shown.
"""

from __future__ import annotations

from bot.commands.calling import ID, Answer, Call, Part, numbered
from bot.commands.plans import moment_at, with_words
from bot.front import Button
from engine.errors import BadRequest
from engine.locales import say
from engine.store.records import Delivery

#: So many are listed, and so many have their two buttons.
MOST, MOST_WITH_BUTTONS = 15, 4
#: What can be done with one.
RELEASES = ("again", "arrived")


async def _list(call: Call) -> None:
    held = await call.engine.posting.held()
    lines = [_line(call, one) for one in held[:MOST]]
    if lines:
        lines.insert(0, call.say("posts.held"))
    if len(held) > MOST:
        lines.append(call.say("posts.more", n=len(held) - MOST))

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join(lines) or call.say("posts.none_held")
        answer.buttons = tuple(
            tuple(
                Button(call.say(f"posts.button.{one}_held", id=str(row.id)), f"posts {one} {row.id}")
                for one in RELEASES
            )
            for row in held[:MOST_WITH_BUTTONS]
        )

    await call.answer(happens)


def _line(call: Call, row: Delivery) -> str:
    told = call.say(
        "posts.held_line",
        id=str(row.id),
        post=str(row.post_id or "–"),
        time=moment_at(call.engine, call.locale, call.place, row.created_at),
        persona=row.persona_name or "–",
        place=call.say("posts.in_place", id=str(row.chat_id)),
        chat=f"{row.chat.front} {row.chat.chat}",
    )
    return with_words(call.locale, told, row.text)


async def _again(call: Call) -> None:
    await _release(call, again=True)


async def _arrived(call: Call) -> None:
    await _release(call, again=False)


async def _release(call: Call, *, again: bool) -> None:
    told = numbered(call.words)
    if told is None:
        raise BadRequest(say("posts.which_held"))
    words = call.say("posts.sent_again" if again else "posts.had_arrived", id=str(told[0]))
    await call.engine.posting.release(told[0], again=again, within=call.answering(words))


PARTS = (
    Part("held", _list, quiet=True, operators_only=True),
    Part("again", _again, (ID,), quiet=True, operators_only=True),
    Part("arrived", _arrived, (ID,), quiet=True, operators_only=True),
)
