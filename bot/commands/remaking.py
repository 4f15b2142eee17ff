"""Commands about a job that is there already: seen, stopped, tried again, made anew, taken away. Most are given by
the buttons under a picture, which hold a job's number and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bot.commands import varying
from bot.commands.calling import Answer, Asked, Asking, Call, Command
from bot.commands.imagining import show_job
from bot.commands.named import check_rating, made_anew, named, named_to_change, shown
from bot.front import Option, OptionKind
from bot.progress import record_told
from engine import limits, remaking
from engine.errors import BadRequest
from engine.language import PROMPT_WORDS, Source
from engine.locales import Said, locale_of, say
from engine.pictures import fairness
from engine.store import forgetting, jobs, messages, outbox
from engine.store.records import DeliveryKind, Job, JobState, Question
from engine.wishes import any_seed

#: How much of a scene stands in a list.
LONGEST_SCENE = 50
#: As many of somebody's jobs are listed.
MOST = 10


async def _reroll(call: Call) -> None:
    job = (await named(call, "reroll")).job
    record = await shown(call, job)
    request = replace(job.request, seed=any_seed())
    # What began from a picture begins from that one again.
    parent = job.parent_picture_id if request.strength is not None else None
    await made_anew(call, job, record, request, parent=parent)


async def _asks_for_prompt(asking: Asking) -> Asked | None:
    found = await named_to_change(asking, "reprompt")
    if found.words:
        return None
    check_rating(asking, found.job)
    asks = asking.say(
        "imagine.asks_prompt", job=str(found.job.id), least=PROMPT_WORDS[0], most=PROMPT_WORDS[-1]
    )
    return asks, Question(f"reprompt {found.job.id}", prefill=found.job.request.prompt)


async def _reprompt(call: Call) -> None:
    found = await named_to_change(call, "reprompt")
    record = await shown(call, found.job)
    request = await remaking.reworded(call.engine.imagining, record, found.job.request, found.words)
    await made_anew(call, found.job, record, request)


async def _show_prompt(call: Call) -> None:
    job = (await named(call, "showprompt")).job
    check_rating(call, job)
    request = job.request
    size = f"{request.width} × {request.height}"
    effort = call.say("imagine.prompt.effort", n=request.steps, size=size, guidance=request.guidance)
    told = [
        request.prompt,
        "",
        call.say("imagine.prompt.negative", negative=request.negative or "–"),
        call.say("imagine.prompt.style", style=request.style),
        call.say("imagine.prompt.seed", seed=str(request.seed)),
        effort + (f" · {request.scheduler}" if request.scheduler else ""),
        call.say(f"imagine.prompt.by.{request.source.value}"),
        call.say("imagine.prompt.words", n=request.word_count),
    ]
    if request.source is Source.PERSON and request.word_count not in PROMPT_WORDS:
        told.append(call.say("imagine.prompt.raw"))
    await call.tell("\n".join(told), code=(request.prompt,))


async def _delete(call: Call) -> None:
    job = (await named_to_change(call, "delete")).job
    now = call.engine.clock.now()

    async def happens(answer: Answer) -> tuple[bool, list[str]]:
        stopped = await jobs.end(answer.tx, job.id, JobState.CANCELLED, now)
        files = await forgetting.delete_pictures(answer.tx, job.id, now)
        if job.chat_id is not None:
            answer.removes = await messages.of_job(answer.tx, job.id, chat_id=job.chat_id)
        # A picture that is still owed would be looked for in vain.
        await outbox.drop_job(answer.tx, job.id)
        answer.text = call.say("imagine.deleted", job=str(job.id))
        return stopped, files

    stopped, files = await call.answer(happens)
    # Nothing slow holds up those who write. After a crash in between, files lie there that no row shows any more.
    for file in files:
        await call.engine.thumbs.delete(file)
    if stopped:
        await _tell_cancelled(call, job)


async def _cancel(call: Call) -> None:
    job = (await named_to_change(call, "cancel")).job

    async def happens(answer: Answer) -> None:
        if not await jobs.end(answer.tx, job.id, JobState.CANCELLED, call.engine.clock.now()):
            ended = await jobs.get(answer.tx, job.id)
            outcome = say(f"pictures.outcome.{ended.state.value}")
            raise BadRequest(say("pictures.job.has_ended", id=str(job.id), outcome=outcome))
        answer.text = call.say("imagine.cancelled", job=str(job.id))
        if job.chat_id == call.place.id:
            answer.job_id = job.id
        elif job.chat_id is not None:
            told = locale_of(await jobs.language_of(answer.tx, job.id))
            await outbox.owe(
                answer.tx,
                job.chat_id,
                DeliveryKind.NOTICE,
                text=told.say("imagine.cancelled", job=str(job.id)),
                job_id=job.id,
                now=call.engine.clock.now(),
            )

    await call.answer(happens)
    await _tell_cancelled(call, job)


async def _tell_cancelled(call: Call, job: Job) -> None:
    """The row says so already; whoever works on it stops, and whoever watches hears of it."""
    await call.engine.queue.cancel(job.id)
    cancelled = JobState.CANCELLED.value
    call.engine.events.publish("job.ended", job=job.id, chat_id=job.chat_id, state=cancelled)


async def _retry(call: Call) -> None:
    job = (await named_to_change(call, "retry")).job
    record = await shown(call, job)
    now = call.engine.clock.now()

    async def happens(answer: Answer) -> None:
        if job.person_id is not None:
            # One that failed today is counted among today's already, one that was cancelled is not.
            counted = job.state is JobState.FAILED and job.created_at >= now - limits.DAY
            used = await call.engine.imagining.used(answer.tx, job.person_id, now)
            limits.check_pictures(
                call.engine.settings.limits,
                asked=job.request.count,
                today=used.pictures - (job.request.count if counted else 0),
                waiting=used.waiting,
                oldest=used.oldest,
                now=now,
            )
        again = await jobs.requeue(answer.tx, job.id)
        if again is None:
            raise BadRequest(say("pictures.job.not_failed", id=str(job.id)))
        await call.engine.queue.submit(answer.tx, again.id, fairness.rank_of(again))
        show_job(call, answer, again, record.persona.called)

    await call.answer(happens)
    call.engine.imagining.nudge()


async def _queue(call: Call) -> None:
    """Where others read along, only what was asked for there."""
    waiting = (JobState.QUEUED, JobState.RUNNING)
    listed = partial(jobs.listing, states=waiting, person_id=call.person.id, limit=100)
    found = await call.engine.database.look(listed)
    here = [job for job in found if not call.place.shared or job.chat_id == call.place.id]
    lines = [await _told(call, job) for job in reversed(here[:MOST])]
    if lines and (told := await record_told(call.engine, locale_of(call.person.language))):
        lines.append(told)
    await call.tell("\n".join(lines) or call.say("imagine.queue.empty"))


async def _told(call: Call, job: Job) -> str:
    ahead = await call.engine.imagining.ahead_of(job.id)
    scene = job.request.scene
    scene = scene if len(scene) <= LONGEST_SCENE else scene[: LONGEST_SCENE - 1] + "…"
    where: Said
    if ahead is None:
        where = say("imagine.queue.being_made")
    elif ahead == 0:
        where = say("imagine.queue.next")
    else:
        where = say("imagine.queue.waits", n=ahead)
    return call.say("imagine.queue.line", job=str(job.id), scene=scene, where=where)


_JOB = (Option("job", "", OptionKind.JOB, required=True),)

COMMANDS = (
    Command("queue", _queue, topic="pictures", quiet=True),
    Command("cancel", _cancel, _JOB, topic="pictures"),
    Command("reroll", _reroll, _JOB, topic="pictures", listed=False),
    Command(
        "reprompt",
        _reprompt,
        (*_JOB, Option("words", "")),
        topic="pictures",
        listed=False,
        asks=_asks_for_prompt,
    ),
    Command("showprompt", _show_prompt, _JOB, topic="pictures", listed=False, quiet=True),
    Command("delete", _delete, _JOB, topic="pictures", listed=False, quiet=True),
    Command("retry", _retry, _JOB, topic="pictures", listed=False),
    *varying.COMMANDS,
)
