"""The routes of posts: what is coming, what was shown, and a person's word on each."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from bot.places import WhoAndWhere, place_named
from bot.posts_shown import post_shown
from bot.web.by_time import Cursor, Line, Moment, PageByTime, behind, cursor
from bot.web.doors import Scope, needs
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.shapes import Given, IdInPath, Limit
from engine.captions import LONGEST
from engine.engine import Engine
from engine.locales import Locale
from engine.store import posts
from engine.store.records import Post, PostState


class ShownPost(BaseModel):
    id: int
    state: PostState
    due: str
    #: The number of its place, and how platforms know it.
    place: int
    chat: str
    #: By which clock people there live.
    zone: str
    persona: str
    persona_id: int
    schedule: int | None
    theme: str
    caption: str
    #: Who wrote the caption; null before it is written.
    source: str | None
    job: int | None
    picture: int | None
    error: str


class Recalled(BaseModel):
    recalled: int
    #: So many messages are taken back.
    messages: int


class Caption(Given):
    #: More than a caption may have is told by a sentence.
    caption: Annotated[str, Field(min_length=1, max_length=10 * LONGEST)]


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=f"{API}/posts", responses=PROBLEMS, tags=["posts"])
    reads, manages = Depends(needs(Scope.READ)), Depends(needs(Scope.MANAGE))

    @router.get("", response_model=PageByTime[ShownPost], dependencies=[reads])
    async def listing(
        words: Spoken,
        state: Annotated[list[PostState] | None, Query(max_length=len(PostState))] = None,
        since: Annotated[Moment | None, Query(alias="from")] = None,
        until: Annotated[Moment | None, Query(alias="to")] = None,
        chat: Annotated[Line, Query()] = "",
        soonest: bool = False,
        before: Annotated[Cursor, Query()] = "",
        limit: Limit = 50,
    ) -> dict[str, Any]:
        """By the time at which they are due, the latest first; `soonest`: the other way round.

        `from` is the first moment, `to` the first that is not meant any more. `before` is the `next` of a page.
        """
        chat_id = (await place_named(engine, chat)).id if chat else None
        rows = partial(
            posts.listing,
            chat_id=chat_id,
            states=state,
            since=since,
            until=until,
            behind=behind(before),
            soonest=soonest,
            most=limit + 1,
        )
        found = await engine.database.look(rows)
        beside = WhoAndWhere(engine)
        items = [await post_told(beside, one, words) for one in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        return {"items": items, "next": cursor(last.due_at, last.id) if last else None}

    @router.get("/{post_id}", response_model=ShownPost, dependencies=[reads])
    async def show(post_id: IdInPath, words: Spoken) -> dict[str, Any]:
        return await _shown(await engine.posting.post(post_id), words)

    @router.post("/{post_id}/approve", response_model=ShownPost, dependencies=[manages])
    async def approve(post_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """It is shown at its time."""
        return await _shown(await engine.posting.approve(post_id), words)

    @router.post("/{post_id}/skip", response_model=ShownPost, dependencies=[manages])
    async def skip(post_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """It is not shown."""
        return await _shown(await engine.posting.skip(post_id), words)

    @router.post("/{post_id}/picture", status_code=202, response_model=ShownPost, dependencies=[manages])
    async def picture(post_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """Another picture is made."""
        return await _shown(await engine.posting.repicture(post_id), words)

    @router.post("/{post_id}/caption", response_model=ShownPost, dependencies=[manages])
    async def caption(post_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """Another caption is written."""
        return await _shown(await engine.posting.reword(post_id, None), words)

    @router.patch("/{post_id}", response_model=ShownPost, dependencies=[manages])
    async def edit(post_id: IdInPath, wanted: Caption, words: Spoken) -> dict[str, Any]:
        """It reads so."""
        return await _shown(await engine.posting.reword(post_id, wanted.caption), words)

    @router.post("/{post_id}/recall", response_model=Recalled, dependencies=[manages])
    async def recall(post_id: IdInPath) -> dict[str, int]:
        """A published post is taken back, wherever it was shown."""
        return {"recalled": post_id, "messages": await engine.posting.recall(post_id)}

    async def _shown(post: Post, words: Locale) -> dict[str, Any]:
        return await post_told(WhoAndWhere(engine), post, words)

    return router


async def post_told(beside: WhoAndWhere, post: Post, words: Locale) -> dict[str, Any]:
    """Why nothing came of it is kept as a sentence of the house, and told as whoever asks speaks."""
    return await post_shown(beside, post) | {"error": words.says(post.error)}
