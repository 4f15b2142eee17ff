"""What may be ordered of a run: whom it is about, in words and in rows; its key; and what is no order at all.

It reads, and puts nothing in line: see `runs.py`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest, NotFound
from engine.locales import say
from engine.store import cohorts, personas
from engine.store.cohorts import Cohort
from personas.persona import printable

#: What everybody is seen in whom nobody ordered a scene for.
SCENE = "a portrait of them in a place that is their own, looking into the camera"
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
YEARS = range(1970, 10_000)
LONGEST_NOTES = 500
#: So many names of personas are told; of more, how many there are.
NAMED = 4


class Kind(StrEnum):
    BATCH = "batch"
    BACKFILL = "backfill"


@dataclass(frozen=True)
class Order:
    """One order for many pictures, as somebody gave it."""

    kind: Kind = Kind.BACKFILL
    scene: str = ""
    tags: tuple[str, ...] = ()
    #: By id, slug or name.
    personas: tuple[str, ...] = ()
    year: int | None = None
    #: For posts that lack a picture, instead of personas.
    posts: bool = False
    #: Only who has no picture; in the style, where one is named.
    missing_only: bool = True
    #: At most so many pictures.
    limit: int | None = None
    #: What came of it becomes the face of all, and not only of those who have none.
    face: bool = False
    #: Empty: made of the rest.
    key: str = ""
    notes: str = ""
    #: The rest of `engine.wishes.Wish`, by name; what is not there is left open.
    wish: Mapping[str, Any] = field(default_factory=dict)

    @property
    def style(self) -> str:
        return str(self.wish.get("style") or "").strip().lower()


@dataclass(frozen=True)
class Understood:
    """An order whose names were looked up."""

    order: Order
    key: str
    cohort: Cohort
    #: In words: `tag fitness`, `all`.
    words: str
    notes: str
    #: All that has to be the same for the same order, as it is kept.
    kept: dict[str, Any]


async def understood(tx: AsyncConnection, order: Order, *, stand_ins_count: bool) -> Understood:
    """Raises `BadRequest` or `NotFound` for whom and what is not there."""
    if order.limit is not None and order.limit < 1:
        raise BadRequest(say("runs.limit", told=str(order.limit)))
    if order.key and not KEY.fullmatch(order.key):
        raise BadRequest(say("runs.key", told=printable(order.key)[:40]))
    if order.year is not None and order.year not in YEARS:
        raise BadRequest(say("runs.year", told=str(order.year)[:20]))
    notes = printable(order.notes).strip()
    if len(notes) > LONGEST_NOTES:
        raise BadRequest(say("runs.notes", n=len(notes), most=LONGEST_NOTES))
    tags = await _tags(tx, order)
    who = [await personas.find(tx, word) for word in order.personas]
    slugs = sorted({record.persona.slug for record in who})
    words = _words(order, tags, slugs)
    kept = {
        "kind": order.kind.value,
        "scene": order.scene.strip(),
        "tags": list(tags),
        "personas": sorted({record.id for record in who}),
        "year": order.year,
        "posts": order.posts,
        "missing_only": order.missing_only,
        "limit": order.limit,
        "face": order.face,
        "wish": {name: value for name, value in sorted(order.wish.items()) if value not in (None, "")},
    }
    cohort = cohort_kept(kept, stand_ins_count=stand_ins_count)
    return Understood(order, order.key or _key(words, kept), cohort, words, notes, kept)


def order_kept(kept: Mapping[str, Any]) -> Order:
    """An order out of its row, as far as it is needed to go on with it."""
    return Order(
        kind=Kind(kept["kind"]),
        scene=kept["scene"],
        tags=tuple(kept["tags"]),
        year=kept["year"],
        posts=kept["posts"],
        missing_only=kept["missing_only"],
        limit=kept["limit"],
        face=kept["face"],
        wish=kept["wish"],
    )


def cohort_kept(kept: Mapping[str, Any], *, stand_ins_count: bool) -> Cohort:
    order = order_kept(kept)
    return Cohort(
        posts=order.posts,
        tags=order.tags,
        personas=tuple(kept["personas"]),
        year=order.year,
        missing=order.missing_only,
        style=order.style,
        stand_ins_count=stand_ins_count,
    )


async def _tags(tx: AsyncConnection, order: Order) -> tuple[str, ...]:
    """As somebody has them, however they were typed."""
    if not order.tags:
        return ()
    there = {tag.casefold(): tag for tag in await cohorts.tags(tx)}
    for told in order.tags:
        if told.strip().casefold() not in there:
            word = printable(told).strip()[:40]
            near = difflib.get_close_matches(word.casefold(), there, n=4, cutoff=0.4) or list(there)[:6]
            if not near:
                raise NotFound(say("runs.no_tags", told=word))
            raise NotFound(say("runs.no_tag", told=word, near=[there[one] for one in near]))
    return tuple(sorted({there[told.strip().casefold()] for told in order.tags}))


def _words(order: Order, tags: tuple[str, ...], slugs: list[str]) -> str:
    parts = []
    if slugs:
        more = f" and {len(slugs) - NAMED} more" if len(slugs) > NAMED else ""
        parts.append(", ".join(slugs[:NAMED]) + more)
    if tags:
        parts.append(f"tag {', '.join(tags)}")
    if order.year is not None:
        parts.append(f"year {order.year}")
    whom = ", ".join(parts) or "all"
    return f"posts: {whom}" if order.posts else whom


def _key(words: str, kept: Mapping[str, Any]) -> str:
    """The same order has the same key; a plain one has a plain one."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{kept['kind']} {words}".lower()).strip("-")[:60]
    rest = {name: kept[name] for name in ("scene", "wish", "limit", "face", "missing_only", "personas")}
    usual = {
        "scene": "",
        "wish": {},
        "limit": None,
        "face": False,
        "missing_only": kept["kind"] == Kind.BACKFILL.value,
        "personas": [],
    }
    if rest == usual:
        return plain
    digest = hashlib.blake2b(json.dumps(rest, sort_keys=True).encode("utf-8", "replace"), digest_size=3)
    return f"{plain}-{digest.hexdigest()}"
