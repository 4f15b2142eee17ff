"""The routes of schedules: when personas post, or pictures are ordered; looked at beforehand, kept, changed."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from bot.commands.plans import edited, planned_here, saved
from bot.commands.standing import ordered
from bot.places import WhoAndWhere, place_named
from bot.posts_shown import schedule_shown
from bot.web.by_time import Line
from bot.web.doors import Scope, needs
from bot.web.owners import Manager, asked_once, told_in
from bot.web.posts import ShownPost, post_told
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.shapes import Before, Given, Id, IdInPath, Key, Limit, Page, page_of
from engine.engine import Engine
from engine.locales import Locale
from engine.ordering import Kind
from engine.schedules import MOST_TARGETS
from engine.store import schedules
from engine.store.records import Place, Schedule

Words = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Approval = Literal["no", "skip", "post"]


class Manner(Given):
    """How the posts of a schedule are; what is left out is as usual, or stays as it is."""

    theme: Words | None = None
    style: Line | None = None
    zone: Line | None = None
    approval: Approval | None = None
    #: How long before its time a post is made: `90m`, `2h`, `1d`; `default`: as usual again.
    ahead: Line | None = None
    #: Other places it also goes to, by number.
    to: Annotated[list[Id], Field(max_length=MOST_TARGETS)] | None = None
    #: Words and a picture, or one of the two.
    posts: Literal["both", "text-only", "picture-only"] | None = None

    def flags(self) -> dict[str, str]:
        """As they are given in a chat."""
        told = {"theme": self.theme, "zone": self.zone, "approval": self.approval}
        told |= {"style": None if self.style is None else self.style or "none"}
        told |= {
            "ahead": None if self.ahead is None else self.ahead or "default",
            "to": None if self.to is None else ",".join(map(str, self.to)),
        }
        flags = {name: one for name, one in told.items() if one is not None}
        return flags | ({self.posts: "yes"} if self.posts else {})


class NewSchedule(Manner):
    #: `daily 09:00`, `weekly mon,thu 20:00`, `every 6 hours`, `cron 0 9 * * 1-5`, `window 18:00-21:00`, …
    words: Annotated[Words, Field(min_length=1)]
    #: A place by its number, or as platforms know it: FRONT:ACCOUNT:CHAT.
    chat: Annotated[Line, Field(min_length=1)]
    #: Who posts; empty: whoever is there.
    persona: Line = ""
    #: Instead of posts, a run of pictures each time.
    pictures: Kind | None = None
    #: Of pictures: whoever has one of these tags, and at most so many.
    tags: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    limit: Id | None = None
    run_key: Line = ""
    #: Asked twice with the same one, it is kept once.
    key: Key | None = None
    #: Keep nothing, and tell what would be kept, with its next five times.
    dry: bool = False

    def flags(self) -> dict[str, str]:
        return super().flags() | ({"persona": self.persona} if self.persona else {})


class Edited(Manner):
    #: Another time, another theme in quotes, or both; empty: they stay.
    words: Words = ""
    #: Change nothing, and tell how it would be, with its next five times.
    dry: bool = False


class RunNow(Given):
    #: Asked twice with the same one, it is posted once.
    key: Key | None = None


class ShownSchedule(BaseModel):
    #: Null: it is not kept.
    id: int | None
    state: str
    #: The number of its place, and how platforms know it.
    place: int
    chat: str
    persona: str
    #: Null: no posts come of it, but pictures.
    persona_id: int | None
    when: str
    zone: str
    theme: str
    options: dict[str, Any]
    #: In UTC, five at most; those of one that is paused as if it were not.
    next: list[str]
    #: Its words cannot be read by this version.
    error: str = ""


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=f"{API}/schedules", responses=PROBLEMS, tags=["posts"])
    reads, manages = Depends(needs(Scope.READ)), Depends(needs(Scope.MANAGE))

    @router.get("", response_model=Page[ShownSchedule], dependencies=[reads])
    async def listing(
        words: Spoken, chat: Annotated[Line, Query()] = "", before: Before = None, limit: Limit = 100
    ) -> dict[str, Any]:
        """All schedules, or those of a place; the newest first."""
        chat_id = (await place_named(engine, chat)).id if chat else None
        rows = partial(schedules.page, chat_id=chat_id, before=before, most=limit + 1)
        found = await engine.database.look(rows)
        beside = WhoAndWhere(engine)
        return page_of(found, limit, [await _told(beside, one, words) for one in found[:limit]])

    @router.post(
        "",
        status_code=201,
        response_model=ShownSchedule,
        responses={200: {"model": ShownSchedule, "description": "What would be kept: `dry` was asked."}},
    )
    async def add(wanted: NewSchedule, who: Manager, response: Response, words: Spoken) -> dict[str, Any]:
        """Keep a schedule. Asked again under the same key, it is the same one, as it is by now."""
        key, told = asked_once(who, wanted.key), told_in(wanted)
        if wanted.dry:
            response.status_code = 200
        elif (there := await _ordered(key, told)) is not None:
            return await _shown(there, words)
        place = await place_named(engine, wanted.chat)
        kept = await (_of_pictures if wanted.pictures else _of_posts)(wanted, place, key, told)
        return await _shown(kept, words)

    async def _ordered(key: str, told: str) -> Schedule | None:
        """What was kept of an order before: it may be over by now, and could not be planned again."""
        found = partial(schedules.ordered, dedup_key=key, told=told)
        return await engine.database.look(found) if key else None

    async def _of_posts(wanted: NewSchedule, place: Place, key: str, told: str) -> Schedule:
        plan = await planned_here(engine, wanted.words, wanted.flags(), place)
        if wanted.dry:
            return plan.as_schedule(place, engine.clock.now())
        return await saved(engine, plan, place, dedup_key=key, told=told)

    async def _of_pictures(wanted: NewSchedule, place: Place, key: str, told: str) -> Schedule:
        flags = wanted.flags() | ({wanted.pictures.value: "yes"} if wanted.pictures else {})
        return await ordered(
            engine,
            wanted.words,
            place,
            flags,
            tags=wanted.tags,
            limit=wanted.limit,
            key=wanted.run_key,
            dry=wanted.dry,
            dedup_key=key,
            told=told,
        )

    @router.get("/{schedule_id}", response_model=ShownSchedule, dependencies=[reads])
    async def show(schedule_id: IdInPath, words: Spoken) -> dict[str, Any]:
        return await _shown(await engine.posting.get(schedule_id), words)

    @router.patch("/{schedule_id}", response_model=ShownSchedule, dependencies=[manages])
    async def edit(schedule_id: IdInPath, wanted: Edited, words: Spoken) -> dict[str, Any]:
        """What is said is changed, all else stays; an empty theme, style or time before is as usual again."""
        known = await engine.posting.get(schedule_id)
        changed = await edited(engine, known, wanted.words, wanted.flags(), dry=wanted.dry)
        return await _shown(changed, words)

    @router.post("/{schedule_id}/pause", response_model=ShownSchedule, dependencies=[manages])
    async def pause(schedule_id: IdInPath, words: Spoken) -> dict[str, Any]:
        return await _after(engine.posting.pause(schedule_id), words)

    @router.post("/{schedule_id}/resume", response_model=ShownSchedule, dependencies=[manages])
    async def resume(schedule_id: IdInPath, words: Spoken) -> dict[str, Any]:
        return await _after(engine.posting.resume(schedule_id), words)

    @router.post("/{schedule_id}/skip", response_model=ShownSchedule, dependencies=[manages])
    async def skip(schedule_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """Its next time is passed over."""
        return await _after(engine.posting.skip_next(schedule_id), words)

    @router.post("/{schedule_id}/run", status_code=202, response_model=ShownPost)
    async def run(
        schedule_id: IdInPath, who: Manager, words: Spoken, wanted: RunNow | None = None
    ) -> dict[str, Any]:
        """One more post, as soon as it is made; asked again with the same key, the same one."""
        by = asked_once(who, wanted.key if wanted else None)
        return await post_told(WhoAndWhere(engine), await engine.posting.run_now(schedule_id, by=by), words)

    @router.delete("/{schedule_id}", status_code=204, dependencies=[manages])
    async def remove(schedule_id: IdInPath) -> None:
        """It is gone, with what was planned. What was published stays."""
        await engine.posting.remove(schedule_id)

    async def _after(change: Awaitable[Schedule], words: Locale) -> dict[str, Any]:
        return await _shown(await change, words)

    async def _shown(one: Schedule, words: Locale) -> dict[str, Any]:
        return await _told(WhoAndWhere(engine), one, words)

    async def _told(beside: WhoAndWhere, one: Schedule, words: Locale) -> dict[str, Any]:
        """Why it cannot be read is told as whoever asks speaks."""
        shown = await schedule_shown(beside, one)
        return shown | ({"error": words.says(shown["error"])} if "error" in shown else {})

    return router
