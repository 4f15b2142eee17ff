"""A schedule of pictures instead of posts, as somebody asks for it in a chat or on the command line.

Words and flags become a time and an order. Who may ask, and where it is kept, is not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bot import orders
from bot.commands.settings import zone_here
from bot.front import Option, OptionKind
from engine.engine import Engine
from engine.errors import BadRequest
from engine.locales import say
from engine.ordering import Kind, Order
from engine.store.records import Place, Schedule
from engine.timetable import Timing
from engine.timewords import read

#: What is said of pictures alone, and what of them as well as of posts.
_OF_PICTURES = ("tag", "limit")
_OF_BOTH = frozenset({"persona", "theme", "style", "zone", orders.YES})

OPTIONS = (
    orders.switch(Kind.BACKFILL.value),
    orders.switch(Kind.BATCH.value),
    Option("tag", "", flag="tag"),
    Option("limit", "", OptionKind.NUMBER, flag="limit", least=1),
)


def is_meant(flags: Mapping[str, str]) -> bool:
    """Whether a schedule with these flags orders pictures. Raises `BadRequest` where they say two things."""
    kinds = [kind.value for kind in Kind if kind.value in flags]
    if not kinds:
        for flag in _OF_PICTURES:
            if flag in flags:
                raise BadRequest(say("posts.of_pictures", flag=flag))
        return False
    if len(kinds) > 1:
        raise BadRequest(say("posts.one_of_two"))
    for flag in sorted(flags.keys() - _OF_BOTH - {*kinds, *_OF_PICTURES}):
        raise BadRequest(say("posts.of_posts", flag=flag))
    return True


def asked(
    words: str,
    flags: Mapping[str, str],
    *,
    tags: Collection[str] | None = None,
    limit: int | None = None,
    key: str = "",
) -> tuple[Timing, Order]:
    """`daily 03:00` and its flags; `tags` and `limit` are read from those where nobody says them."""
    timing, rest = read(words)
    if tags is None:
        tags = [tag for one in flags.get("tag", "").split(",") if (tag := one.strip())]
    if limit is None and (told := flags.get("limit", "").strip()):
        if not told.isascii() or not told.isdecimal() or len(told) > 9:
            raise BadRequest(say("runs.limit", told=told[:20]))
        limit = int(told)
    batch = Kind.BATCH.value in flags
    return timing, Order(
        kind=Kind.BATCH if batch else Kind.BACKFILL,
        scene=flags.get("theme") or rest,
        tags=tuple(tags),
        personas=(flags["persona"],) if "persona" in flags else (),
        missing_only=not batch,
        limit=limit,
        key=key,
        wish={"style": flags.get("style", "").strip().lower() or None},
    )


async def ordered(
    engine: Engine,
    words: str,
    place: Place,
    flags: Mapping[str, str],
    *,
    tags: Collection[str],
    limit: int | None = None,
    key: str = "",
    dry: bool = False,
    dedup_key: str = "",
    told: str = "",
) -> Schedule:
    """The schedule that begins a run each time, for whoever runs the house; `dry`: what would be kept.

    `dedup_key` names an order that counts once, and `told` is what it says, in brief.
    """
    timing, order = asked(words, flags, tags=tags, limit=limit, key=key)
    zone = flags.get("zone") or zone_here(place, engine.settings)
    if dry:
        return await engine.standing.planned(place=place, timing=timing, zone=zone, order=order)
    return await engine.standing.add(
        place=place, timing=timing, zone=zone, order=order, dedup_key=dedup_key, told=told
    )
