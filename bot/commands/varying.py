"""Commands that make another picture from one that hangs already: larger, a little different, in another pose, or the
same but for a few words. The buttons give them.
"""

from __future__ import annotations

import re
from functools import partial

from bot.commands.calling import Asked, Asking, Call, Command
from bot.commands.named import check_rating, made_anew, named, named_to_change, shown
from bot.front import Option, OptionKind
from engine import remaking
from engine.errors import NotFound
from engine.locales import say
from engine.store import pictures
from engine.store.records import Job, Picture, Question

#: Of which picture, and what is to be different.
_CHANGE = re.compile(r"(?:(\d{1,2})\s*(?::(?!\d)|but\b)|but\b)?\s*(.*)", re.DOTALL | re.IGNORECASE)


async def _upscale(call: Call) -> None:
    found = await named(call, "upscale")
    record = await shown(call, found.job)
    picture = await _picture(call, found.job, found.words)
    request = remaking.larger(found.job.request, picture)
    await made_anew(call, found.job, record, request, parent=picture.id)


async def _vary(call: Call) -> None:
    found = await named(call, "vary")
    record = await shown(call, found.job)
    picture = await _picture(call, found.job, found.words)
    request = remaking.varied(found.job.request, picture)
    await made_anew(call, found.job, record, request, parent=picture.id)


async def _pose(call: Call) -> None:
    job = (await named(call, "pose")).job
    record = await shown(call, job)
    request = await remaking.in_another_pose(call.engine.imagining, record, job.request)
    await made_anew(call, job, record, request)


async def _asks_for_change(asking: Asking) -> Asked | None:
    found = await named_to_change(asking, "same")
    number, words = _change(found.words)
    if words:
        return None
    check_rating(asking, found.job)
    job = str(found.job.id)
    if number:
        await _picture(asking, found.job, number)
        return asking.say("imagine.asks_change"), Question(f"same {job} {number}:")
    several = len(await _made(asking, found.job)) > 1
    asks = "imagine.asks_change_of_one" if several else "imagine.asks_change"
    return asking.say(asks), Question(f"same {job}")


async def _same_but(call: Call) -> None:
    found = await named_to_change(call, "same")
    number, words = _change(found.words)
    record = await shown(call, found.job)
    picture = await _picture(call, found.job, number or "1")
    request = await remaking.same_but(call.engine.imagining, record, found.job.request, picture, words)
    await made_anew(call, found.job, record, request, parent=picture.id)


def _change(words: str) -> tuple[str, str]:
    """`3: at night`, `3 but at night`, `but at night`, `at night`: of which picture, and what is to be different."""
    matched = _CHANGE.fullmatch(words.strip())
    return (matched[1] or "", matched[2].strip()) if matched else ("", words)


async def _made(asking: Asking, job: Job) -> list[Picture]:
    found = (await asking.engine.database.look(partial(pictures.of_jobs, job_ids=[job.id]))).get(job.id, [])
    if not found:
        raise NotFound(say("imagine.nothing_made", job=str(job.id)))
    return found


async def _picture(asking: Asking, job: Job, number: str) -> Picture:
    """One of a job's pictures, by its place in the grid; without a number the only one."""
    made = await _made(asking, job)
    if not number and len(made) == 1:
        return made[0]
    for picture in made:
        if str(picture.number) == number.strip():
            return picture
    numbers = [str(picture.number) for picture in made]
    raise NotFound(say("imagine.no_such_picture", job=str(job.id), numbers=numbers))


_JOB = Option("job", "", OptionKind.JOB, required=True)
_NUMBERED = (_JOB, Option("number", "", OptionKind.NUMBER))

COMMANDS = (
    Command("upscale", _upscale, _NUMBERED, topic="pictures", listed=False),
    Command("vary", _vary, _NUMBERED, topic="pictures", listed=False),
    Command("pose", _pose, (_JOB,), topic="pictures", listed=False),
    Command(
        "same", _same_but, (_JOB, Option("words", "")), topic="pictures", listed=False, asks=_asks_for_change
    ),
)
