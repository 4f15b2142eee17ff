"""/v1/images/generations: a persona's picture, waited for. Whoever hangs up has it cancelled."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.web.compatible.answers import PicturesOut
from bot.web.compatible.chat import HUNG_UP
from bot.web.compatible.wording import (
    ERRORS,
    MOST_USER,
    STANDS_IN,
    V1,
    HungUpError,
    Maker,
    no_such_model,
    unsupported,
    while_there,
)
from bot.web.doors import Caller
from bot.web.files import link_to
from bot.web.problems import Mistake
from bot.web.talks import account_of
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, RenderFailed, TryAgain
from engine.events import CLOSING, Event
from engine.imagining import COUNTS, SIDES
from engine.locales import say
from engine.store import jobs, people, pictures
from engine.store.records import Job, JobState, Lane, PersonaRecord, Picture, PictureRequest
from engine.wishes import Wish

log = structlog.get_logger(__name__)

#: Whoever names this model, or none, gets a picture of the house's usual persona.
HOUSE = "greenroom"
#: OpenAI's words for how much work a picture is worth, and ours.
QUALITIES = {
    "low": "draft",
    "draft": "draft",
    "medium": "standard",
    "standard": "standard",
    "high": "high",
    "hd": "high",
}
#: OpenAI's two styles say how loud a picture is; a persona's own style is meant by both.
THEIR_STYLES = frozenset({"vivid", "natural"})
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)


class PictureAsked(BaseModel):
    prompt: Annotated[str, Field(min_length=1, max_length=100_000)]
    model: Annotated[str, Field(max_length=200)] | None = None
    n: int | None = None
    size: Annotated[str, Field(max_length=40)] | None = None
    quality: Annotated[str, Field(max_length=40)] | None = None
    style: Annotated[str, Field(max_length=80)] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    user: Annotated[str, Field(max_length=MOST_USER)] | None = None
    # Refused where they ask for something.
    output_format: Annotated[str, Field(max_length=40)] | None = None
    background: Annotated[str, Field(max_length=40)] | None = None
    stream: bool | None = None


def routes(engine: Engine, signs: bytes) -> APIRouter:
    router = APIRouter(prefix=V1, responses=ERRORS)

    @router.post("/images/generations", responses={200: {"model": PicturesOut}})
    async def generate(asked: PictureAsked, who: Maker, request: Request) -> Response:
        """`prompt` is a scene, and `model` names the persona who is seen in it."""
        wish = _wish(asked, set(engine.imagining.styles))
        try:
            return await while_there(request, made(asked, wish, who, str(request.base_url)))
        except HungUpError:
            return HUNG_UP

    async def made(asked: PictureAsked, wish: Wish, who: Caller, at: str) -> Response:
        record = await meant(asked.model or HOUSE, who)
        rating = await engine.speaking.rating(account_of(who))
        composed = await engine.imagining.compose(record, wish, rating=rating)
        job = await in_line(composed, record, asked.user or "", who)
        try:
            job, found = await ended(job.id)
        except asyncio.CancelledError:
            await given_up(job.id)
            raise
        if job.state is JobState.CANCELLED:
            raise TryAgain(say("compatible.cancelled"))
        if job.state is not JobState.DONE:
            raise RenderFailed(job.error or say("compatible.not_made"))
        headers = STANDS_IN if any(one.stand_in for one in found) else None
        data = [await shown(one, asked.response_format or "url", at) for one in found]
        return JSONResponse({"created": int(engine.clock.now().timestamp()), "data": data}, headers=headers)

    async def meant(named: str, who: Caller) -> PersonaRecord:
        if named == HOUSE:
            usual = await engine.database.look(lambda tx: engine.presence.here(tx, None))
            named = str(usual[0].id)
        try:
            return await engine.speaking.persona(named, account_of(who))
        except NotFound as error:
            raise no_such_model(named, error.sentence) from None

    async def in_line(composed: PictureRequest, record: PersonaRecord, user: str, who: Caller) -> Job:
        async def put(tx: AsyncConnection) -> Job:
            account = account_of(who)
            # Quotas go by person: a program is one.
            person = await people.known(tx, account)
            person = person or await people.add_person(tx, account, now=engine.clock.now())
            accepted = await engine.imagining.put_in_line(
                tx,
                composed,
                persona_id=record.id,
                person=person,
                lane=Lane.INTERACTIVE,
                fair_owner=_owner(person.id, user) if user else "",
            )
            return accepted.job

        job = await engine.database.change(put)
        engine.imagining.nudge()
        return job

    async def ended(job_id: int) -> tuple[Job, list[Picture]]:
        def of_this_job(event: Event) -> bool:
            ours = event.name == "job.ended" and event.about.get("job") == job_id
            return ours or event.name == CLOSING

        async def seen(tx: AsyncConnection) -> tuple[Job, list[Picture]]:
            job = await jobs.get(tx, job_id)
            return job, (await pictures.of_jobs(tx, [job_id])).get(job_id, [])

        # Watch first, then look: what ends in between is seen by the look.
        with engine.events.watch(of_this_job) as watch:
            found = await engine.database.look(seen)
            if not found[0].state.ended:
                async for _ in watch:
                    break
                found = await engine.database.look(seen)
        if not found[0].state.ended:
            raise TryAgain(say("compatible.closing"), after_s=30)
        return found

    async def given_up(job_id: int) -> None:
        try:
            await engine.imagining.cancel(job_id)
            log.info("picture_given_up", job=job_id)
        except BadRequest:
            pass  # it has ended meanwhile

    async def shown(picture: Picture, form: str, at: str) -> dict[str, Any]:
        if form == "url":
            told = {"url": await link_to(picture.file, engine, signs, at=at)}
        else:
            told = {"b64_json": base64.b64encode(await engine.files.get(picture.file)).decode()}
        return {**told, "revised_prompt": picture.prompt}

    return router


def _wish(asked: PictureAsked, styles: set[str]) -> Wish:
    """What is asked for, in our words. What cannot be had is refused by the name that the program gave it."""
    if asked.stream:
        raise unsupported("stream", say("compatible.stream"))
    if asked.output_format not in (None, "png"):
        raise unsupported("output_format", say("compatible.png"))
    if asked.background not in (None, "auto", "opaque"):
        raise unsupported("background", say("compatible.background"))
    count = 1 if asked.n is None else asked.n
    if count not in COUNTS:
        told = say("compatible.count", least=COUNTS[0], most=COUNTS[-1])
        raise Mistake(400, told, param="n", code="invalid_value")
    quality = asked.quality if asked.quality not in (None, "", "auto") else "standard"
    if quality not in QUALITIES:
        told = say("compatible.quality", choices=["auto", *QUALITIES])
        raise Mistake(400, told, param="quality", code="invalid_value")
    style = asked.style if asked.style and asked.style not in THEIR_STYLES else None
    if style is not None and style.strip().lower() not in styles:
        told = say("compatible.style", choices=sorted(styles | THEIR_STYLES))
        raise Mistake(400, told, param="style", code="invalid_value")
    width, height = _size(asked.size)
    return Wish(
        scene=asked.prompt,
        style=style,
        count=count,
        width=width,
        height=height,
        quality=QUALITIES[quality or "standard"],
    )


def _size(told: str | None) -> tuple[int | None, int | None]:
    if told in (None, "", "auto"):
        return None, None
    found = _SIZE.fullmatch(told or "")
    if found is None or not all(int(side) in SIDES for side in found.groups()):
        sentence = say("compatible.size", least=str(SIDES[0]), most=str(SIDES[-1]))
        raise Mistake(400, sentence, param="size", code="invalid_value")
    return int(found[1]), int(found[2])


def _owner(person_id: int, user: str) -> str:
    """Whose turn it is in the line: those whom a program names stand there each for themselves."""
    return f"person:{person_id}:{hashlib.sha256(user.encode()).hexdigest()[:24]}"
