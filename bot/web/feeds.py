"""The routes of feeds and hooks: what happens elsewhere, and which personas post about it where."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from bot.commands.sources import edited, hooked, listened
from bot.places import WhoAndWhere, place_named
from bot.posts_shown import feed_shown, look_shown
from bot.web.by_time import Line
from bot.web.doors import Scope, needs
from bot.web.owners import Manager, asked_once, told_in
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.shapes import Before, Given, Id, IdInPath, Key, Limit, Page, page_of
from engine.engine import Engine
from engine.errors import BadRequest
from engine.locales import Locale, say
from engine.newsroom import key_for_signatures
from engine.schedules import MOST_TARGETS
from engine.store import feeds
from engine.store.records import Feed, FeedKind, FeedState

Words = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewFeed(Given):
    kind: FeedKind = FeedKind.FEED
    #: Where the feed is; a hook has none, and is told its own.
    address: Annotated[Words, Field(max_length=2_000)] = ""
    #: A place by its number, or as platforms know it: FRONT:ACCOUNT:CHAT.
    chat: Annotated[Line, Field(min_length=1)]
    #: Who posts; empty: whoever is there.
    persona: Line = ""
    #: Only what has one of these words in it; nothing that has one of those.
    only: Words = ""
    without: Words = ""
    #: How often it is looked at: `30m`, `2h`, `1d`.
    every: Line = ""
    picture: Literal["render", "item", "folder", "none"] = "render"
    style: Line = ""
    approval: Literal["no", "skip", "post"] = "no"
    to: Annotated[tuple[Id, ...], Field(max_length=MOST_TARGETS)] = ()
    #: Asked twice with the same one, it is made once; a hook is told another secret then.
    key: Key | None = None

    def flags(self) -> dict[str, str]:
        """As they are given in a chat."""
        told = {"only": self.only, "not": self.without, "every": self.every, "style": self.style}
        told |= {"approval": self.approval, "to": ",".join(map(str, self.to))}
        told |= {"text-only": "yes"} if self.picture == "none" else {"picture": self.picture}
        return {name: one for name, one in told.items() if one}


class EditedFeed(Given):
    """What is left out stays as it is."""

    address: Annotated[Words, Field(min_length=1, max_length=2_000)] | None = None
    #: Another place, by its number or as platforms know it.
    chat: Annotated[Line, Field(min_length=1)] | None = None
    persona: Annotated[Line, Field(min_length=1)] | None = None
    #: Empty: whatever there is.
    only: Words | None = None
    without: Words | None = None
    #: `30m`, `2h`, `1d`; empty: as usual again.
    every: Line | None = None
    picture: Literal["render", "item", "folder", "none"] | None = None
    #: Empty: as it suits.
    style: Line | None = None
    approval: Literal["no", "skip", "post"] | None = None
    to: Annotated[tuple[Id, ...], Field(max_length=MOST_TARGETS)] | None = None

    def flags(self) -> dict[str, str]:
        """As they are given in a chat."""
        told = {"only": self.only, "not": self.without, "every": self.every, "approval": self.approval}
        told |= {"style": None if self.style is None else self.style or "none"}
        told |= {"to": None if self.to is None else ",".join(map(str, self.to))}
        told |= {"text-only": "yes"} if self.picture == "none" else {"picture": self.picture}
        return {name: one for name, one in told.items() if one is not None}


class ShownFeed(BaseModel):
    id: int
    kind: FeedKind
    state: FeedState
    address: str
    title: str
    place: int
    chat: str
    persona: str
    only: list[str]
    without: Annotated[list[str], Field(validation_alias="not")]
    to: list[int]
    approval: str
    #: `render`, `item` or `folder`; empty: none.
    picture: str
    style: str
    #: As it may be sent again; empty: as usual.
    every: str
    next: str | None
    failures: int
    error: str


class AddedFeed(ShownFeed):
    #: Of a hook, and told this once: what a caller shows, and the key of its signatures.
    secret: str = ""
    key: str = ""


class Item(BaseModel):
    title: str
    link: str


class Checked(BaseModel):
    title: str
    items: int
    known: int
    new: list[Item]


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=f"{API}/feeds", responses=PROBLEMS, tags=["posts"])
    reads, manages = Depends(needs(Scope.READ)), Depends(needs(Scope.MANAGE))

    @router.get("", response_model=Page[ShownFeed], dependencies=[reads])
    async def listing(
        words: Spoken, chat: Annotated[Line, Query()] = "", before: Before = None, limit: Limit = 100
    ) -> dict[str, Any]:
        """All feeds and hooks, or those of a place; the newest first."""
        chat_id = (await place_named(engine, chat)).id if chat else None
        rows = partial(feeds.page, chat_id=chat_id, before=before, most=limit + 1)
        found = await engine.database.look(rows)
        beside = WhoAndWhere(engine)
        return page_of(found, limit, [await _told(beside, one, words) for one in found[:limit]])

    @router.post("", status_code=201, response_model=AddedFeed)
    async def add(wanted: NewFeed, who: Manager, words: Spoken) -> dict[str, Any]:
        """A feed is read at once, and its newest item is the first post; a hook is told its secret, this once."""
        place = await place_named(engine, wanted.chat)
        order, told = asked_once(who, wanted.key), told_in(wanted)
        flags, persona = wanted.flags(), wanted.persona
        if wanted.kind is FeedKind.HOOK:
            if wanted.address or wanted.every:
                raise BadRequest(say("feeds.hook_is_called"))
            feed, secret = await hooked(engine, place, flags, persona=persona, order=order, told=told)
            return await _shown(feed, words) | {"secret": secret, "key": key_for_signatures(secret)}
        address = wanted.address
        feed = await listened(engine, place, address, flags, persona=persona, order=order, told=told)
        return await _shown(feed, words)

    @router.get("/{feed_id}", response_model=ShownFeed, dependencies=[reads])
    async def show(feed_id: IdInPath, words: Spoken) -> dict[str, Any]:
        return await _shown(await engine.newsroom.get(feed_id), words)

    @router.patch("/{feed_id}", response_model=ShownFeed, dependencies=[manages])
    async def edit(feed_id: IdInPath, wanted: EditedFeed, words: Spoken) -> dict[str, Any]:
        """What is said is changed for what comes from now on, all else stays. Another address is read at once."""
        known = await engine.newsroom.get(feed_id)
        place = await place_named(engine, wanted.chat) if wanted.chat else None
        address, persona = wanted.address or "", wanted.persona or ""
        return await _shown(
            await edited(engine, known, wanted.flags(), address=address, persona=persona, place=place), words
        )

    @router.post("/{feed_id}/pause", response_model=ShownFeed, dependencies=[manages])
    async def pause(feed_id: IdInPath, words: Spoken) -> dict[str, Any]:
        return await _shown(await engine.newsroom.pause(feed_id), words)

    @router.post("/{feed_id}/resume", response_model=ShownFeed, dependencies=[manages])
    async def resume(feed_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """It goes on with what is new from now on."""
        return await _shown(await engine.newsroom.resume(feed_id), words)

    @router.post("/{feed_id}/check", response_model=Checked, dependencies=[manages])
    async def check(feed_id: IdInPath) -> dict[str, Any]:
        """Look at a feed now, post nothing, and tell what is new in it."""
        return look_shown(await engine.newsroom.check(feed_id))

    @router.delete("/{feed_id}", status_code=204, dependencies=[manages])
    async def remove(feed_id: IdInPath) -> None:
        """It is gone, with what is still to come of it. What was published stays."""
        await engine.newsroom.remove(feed_id)

    async def _shown(feed: Feed, words: Locale) -> dict[str, Any]:
        return await _told(WhoAndWhere(engine), feed, words)

    async def _told(beside: WhoAndWhere, feed: Feed, words: Locale) -> dict[str, Any]:
        """What is wrong with it is told as whoever asks speaks."""
        return await feed_shown(beside, feed) | {"error": words.says(feed.error)}

    return router
