"""What there is to do for posts at a moment: times of schedules that become posts, pictures that came, what is due.

Each change is part of its caller's transaction. Making posts and showing them is none of its business.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest
from engine.locales import say
from engine.occurrences import occurrences, zone_of
from engine.planning import (
    MOST_AHEAD,
    SKIPPED,
    Plan,
    ahead_of,
    is_by_hand,
    key_of,
    look_again_at,
    post_options,
    seed_of,
    theme_of,
)
from engine.store import posts, schedules
from engine.store.posts import Under
from engine.store.records import Post, PostState, Schedule
from engine.timetable import Timing
from engine.timewords import read


@dataclass(frozen=True)
class Open:
    """What there is to do at a moment: times to become posts, pictures that came, posts that are due."""

    now: datetime
    to_plan: tuple[Schedule, ...]
    #: Of these nothing is to come any more.
    over: tuple[Schedule, ...]
    made: tuple[Under, ...]
    due: tuple[Under, ...]
    #: When there is more to do, if nothing happens meanwhile.
    coming: datetime | None


async def look(tx: AsyncConnection, now: datetime, needed: timedelta = timedelta()) -> Open:
    """What there is to do. Nearly always that is nothing, and it is asked again and again.

    `needed`: see `ahead_of`.
    """
    usual = ahead_of({}, needed)
    planned = await schedules.to_plan(tx, soon=now + usual, far=now + MOST_AHEAD, usual=usual.total_seconds())
    due = await posts.due(tx, now=now)
    times = [at - ahead_of(options, needed) for at, options in await schedules.next_times(tx)]
    times += [at for one in due if (at := look_again_at(one, now)) is not None]
    if (next_due := await posts.next_due(tx, after=now)) is not None:
        times.append(next_due)
    return Open(
        now,
        tuple(
            one
            for one in planned
            if one.next_due_at and one.next_due_at - ahead_of(one.options, needed) <= now
        ),
        tuple(await schedules.over(tx)),
        tuple(await posts.made(tx)),
        tuple(due),
        # Whatever could not be done at its time is tried again a moment later.
        max(now + timedelta(seconds=1), min(times)) if times else None,
    )


def is_followed(under: Under, due: Sequence[Under]) -> bool:
    """Whether a later time of the same schedule is due as well."""
    post = under.post
    if post.schedule_id is None or is_by_hand(post):
        return False
    return any(
        one.post.schedule_id == post.schedule_id
        and one.post.due_at > post.due_at
        and not is_by_hand(one.post)
        for one in due
    )


async def behind(tx: AsyncConnection, now: datetime) -> list[tuple[Schedule, datetime]]:
    """Schedules that would be silent for too long, because the clock was ahead when their next time was found; each
    with the first of its times that is neither a post nor skipped.
    """
    found: list[tuple[Schedule, datetime]] = []
    for schedule in await schedules.timed(tx, after=now):
        with suppress(BadRequest):  # it cannot be read, which is told when it is planned
            due = await _first_free(tx, schedule, now)
            if due is not None:
                found.append((schedule, due))
    return found


async def _first_free(tx: AsyncConnection, schedule: Schedule, now: datetime) -> datetime | None:
    """None where that is the time that is kept."""
    timing, zone = read(schedule.spec)[0], zone_of(schedule.zone)
    kept, passed = schedule.next_due_at, set(schedule.options.get(SKIPPED, ()))
    known: set[str] | None = None
    for one in occurrences(timing, zone, now, seed=seed_of(schedule)):
        if kept is None or one.due >= kept:
            return None
        if known is None:
            known = await posts.keys_of(tx, schedule.id, after=now)
        if one.due.isoformat() not in passed and key_of(schedule, one.key) not in known:
            return one.due
    return None


async def taken_in(
    tx: AsyncConnection, schedule: Schedule, timing: Timing, plan: Plan, now: datetime
) -> list[Post]:
    """The times of a plan as posts. Nothing where somebody else has planned them, or changed the schedule."""
    since = schedule.next_due_at
    moved = await schedules.change(tx, schedule, move=True, next_due_at=plan.next_due)
    if moved is None:
        return []
    made: list[Post | None] = []
    add = partial(
        posts.add, tx, chat_id=moved.chat_id, persona_id=moved.persona_id, now=now, schedule_id=moved.id
    )
    options = post_options(moved, timing)
    if plan.passed is not None:
        why = say("posting.reason.missed")
        if since is not None and since < plan.passed.due:
            local = since.astimezone(zone_of(moved.zone))
            why = say("posting.reason.missed_since", since=f"{local:%Y-%m-%d %H:%M}")
        made.append(
            await add(
                key=key_of(moved, plan.passed.key),
                due_at=plan.passed.due,
                state=PostState.SKIPPED,
                error=why,
                options=options,
            )
        )
    number = await posts.count_of(tx, moved.id) if moved.options.get("themes") else 0
    for ahead, one in enumerate(plan.coming):
        theme = theme_of(moved, number + ahead)
        made.append(await add(key=key_of(moved, one.key), due_at=one.due, theme=theme, options=options))
    return [one for one in made if one is not None]
