"""Schedules, posts and feeds as other programs see them: the same JSON from the API and from `--json`.

It imports late: the command line names it before it knows what it is to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.places import WhoAndWhere
    from engine.engine import Engine
    from engine.newsroom import Look
    from engine.store.records import Feed, Post, Schedule

Message = dict[str, Any]


async def schedule_shown(beside: WhoAndWhere, one: Schedule) -> Message:
    """A schedule as other programs are told of it."""
    from engine.errors import BadRequest

    try:
        times = [when.isoformat() for when in beside.engine.posting.next_times(one)]
        error = ""
    except BadRequest as unreadable:
        # It was written by a program that knew more, or less. The others are told all the same.
        times, error = [], unreadable.sentence
    return {
        "id": one.id,
        "state": one.state.value,
        **await beside.of(one),
        "persona_id": one.persona_id or None,
        "when": one.spec,
        "zone": one.zone,
        "theme": one.theme,
        "options": {name: value for name, value in one.options.items() if name not in ("seed", "skipped")},
        "next": times,
        **({"error": error} if error else {}),
    }


async def post_shown(beside: WhoAndWhere, post: Post) -> Message:
    """A post as other programs are told of it."""
    return {
        "id": post.id,
        "state": post.state.value,
        "due": post.due_at.isoformat(),
        **await beside.of(post),
        "zone": beside.zone(post),
        "persona_id": post.persona_id,
        "schedule": post.schedule_id,
        "theme": post.theme,
        "caption": post.caption,
        "source": post.source.value if post.source else None,
        "job": post.job_id,
        "picture": post.picture_id,
        "file": await _file_of(beside.engine, post.picture_id),
        "error": post.error,
    }


async def _file_of(engine: Engine, picture_id: int | None) -> str:
    """Where its picture is; nowhere, where it has none, or has it no more."""
    from engine.errors import NotFound
    from engine.store import pictures

    if picture_id is None:
        return ""
    try:
        picture = await engine.database.look(partial(pictures.get, picture_id=picture_id))
    except NotFound:
        return ""
    return str(engine.home.files / picture.file)


async def feed_shown(beside: WhoAndWhere, one: Feed) -> Message:
    """A feed as other programs are told of it."""
    from bot.commands.sources import hook_address
    from engine.news import span_told
    from engine.store.records import FeedKind

    every = one.options.get("every")

    return {
        "id": one.id,
        "kind": one.kind.value,
        "state": one.state.value,
        "address": one.address if one.kind is FeedKind.FEED else hook_address(beside.engine, one),
        "title": str(one.options.get("title", "")),
        **await beside.of(one),
        "only": list(one.options.get("only", ())),
        "not": list(one.options.get("not", ())),
        "to": list(one.options.get("targets", ())),
        "approval": str(one.options.get("approval", "")),
        "picture": _picture(one.options),
        "style": str(one.options.get("style") or ""),
        "every": span_told(every) if every else "",
        "next": one.next_at.isoformat() if one.next_at else None,
        "failures": one.failures,
        "error": one.error,
    }


def look_shown(look: Look) -> Message:
    """What a feed says just now."""
    return {
        "title": look.document.title,
        "items": len(look.document.items),
        "known": look.known,
        "new": [{"title": one.title, "link": one.link} for one in look.wanted],
    }


def _picture(options: Mapping[str, Any]) -> str:
    """Whose pictures its posts have: rendered, of the item, of the folder; empty: they have none."""
    return str(options.get("picture_of", "render")) if options.get("picture", True) else ""
