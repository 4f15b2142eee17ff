"""The job that an order names by its number, and what whoever gives the order may have of it: the buttons under a
picture hold nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bot.commands.calling import Answer, Asking, Call, numbered
from bot.commands.imagining import take_on
from engine import safety
from engine.errors import BadRequest, NotFound, Refused, Unsuitable
from engine.locales import say
from engine.store import jobs, personas, pictures
from engine.store.records import Job, PersonaRecord, PictureRequest


@dataclass(frozen=True)
class Named:
    """The job that somebody names, and what else they say."""

    job: Job
    words: str


async def named(asking: Asking, command: str) -> Named:
    """Whoever asks sees the jobs of this chat and their own. All others are, to them, not there."""
    told = numbered(asking.words)
    if told is None:
        raise BadRequest(say("imagine.which_job", command=command))
    number, words = told
    job = await asking.engine.database.look(partial(jobs.get, job_id=number))
    here, own = job.chat_id == asking.place.id, job.person_id == asking.person.id
    if not here and not (own and command == "cancel"):
        raise NotFound(say("pictures.job.unknown", id=str(job.id)))
    return Named(job, words)


async def named_to_change(asking: Asking, command: str) -> Named:
    found = await named(asking, command)
    if found.job.person_id == asking.person.id:
        return found
    # Nobody asked for it: a post, a schedule. That is for those in charge. So are others' jobs, but only
    # where others are: a private chat is nobody else's.
    if not await asking.in_charge():
        raise Refused(say("rights.asker_only"))
    return found


def check_rating(asking: Asking, job: Job) -> None:
    """No button makes or tells to anybody what they could not have asked for themselves, here and now."""
    if job.request.rating.level > asking.allowed_rating.level:
        raise Unsuitable(say("imagine.too_grown_up"))


async def shown(call: Call, job: Job) -> PersonaRecord:
    """Who is on a picture that is to be made again, for whoever may see it."""
    check_rating(call, job)
    if job.persona_id is None:
        raise NotFound(say("pictures.persona_gone"))
    record = await call.engine.database.look(partial(personas.get, persona_id=job.persona_id))
    safety.check_persona(record.persona, call.allowed_rating)
    return record


async def made_anew(
    call: Call, job: Job, record: PersonaRecord, request: PictureRequest, *, parent: int | None = None
) -> None:
    """Another job, made from one that is there. `parent`: the picture that it begins from, or was made after."""

    async def happens(answer: Answer) -> None:
        # It may have been deleted a moment ago.
        if parent is not None or request.strength is not None:
            await _check_there(answer, job, parent)
        made = [] if parent is not None else (await pictures.of_jobs(answer.tx, [job.id])).get(job.id, [])
        first = made[0].id if made else None
        await take_on(call, answer, request, record, parent_picture_id=parent or first)

    await call.answer(happens)
    call.engine.imagining.nudge()


async def _check_there(answer: Answer, job: Job, picture_id: int | None) -> None:
    try:
        await pictures.get(answer.tx, picture_id or 0)
    except NotFound:
        raise NotFound(say("imagine.beginning_gone", job=str(job.id))) from None
