"""Schedules, as orders change them: each order is one function, and part of its caller's transaction.

What comes of a schedule while nobody orders anything is none of its business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import occurrences, safety
from engine.errors import BadRequest, NotFound
from engine.imagining import Imagining
from engine.locales import say
from engine.occurrences import Occurrence, zone_of
from engine.planning import MOST_AHEAD, SKIPPED, is_by_hand, key_of, post_options, seed_of, theme_of
from engine.store import chats, posts
from engine.store import schedules as rows
from engine.store.jobs import LAST_ID
from engine.store.records import Post, PostState, Schedule, ScheduleState
from engine.timetable import Timing, written
from engine.timewords import read

#: What happens with a post that nobody approved by its time; empty: nobody has to.
APPROVALS = ("", "skip", "post")
#: So many chats one post goes to at most, and so many themes are used in turn.
MOST_TARGETS, MOST_THEMES = 100, 200
MOST_SKIPPED = 50
#: Where a schedule keeps that it rests because its persona does, and goes on with it.
WITH_PERSONA = "with_persona"


@dataclass(frozen=True)
class Change:
    """What an edit says anew; None and what is not among the options stays as it is."""

    timing: Timing | None = None
    zone: ZoneInfo | None = None
    theme: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def checked_theme(theme: str, imagining: Imagining) -> str:
    """What posts are about, as it is kept; empty: whatever the persona likes."""
    if not theme.strip():
        return ""
    theme = safety.cleaned(theme, most=imagining.longest_scene, what="scene")
    imagining.check_words(theme)
    return theme


def checked(options: Mapping[str, Any], imagining: Imagining) -> dict[str, Any]:
    """What may be said of a schedule, in the form in which it is kept. What nobody knows is left out."""
    told: dict[str, Any] = {name: bool(options[name]) for name in ("picture", "text") if name in options}
    if "targets" in options:
        told["targets"] = list(dict.fromkeys(int(one) for one in options["targets"]))[:MOST_TARGETS]
    if "style" in options:
        told["style"] = str(options["style"] or "").strip().lower()
        if told["style"] and told["style"] not in imagining.styles:
            styles = sorted(imagining.styles)
            raise NotFound(say("pictures.no_style", style=told["style"][:40], styles=styles))
    if "approval" in options:
        told["approval"] = str(options["approval"] or "")
        if told["approval"] not in APPROVALS:
            raise BadRequest(say("posting.bad_approval"))
    if "themes" in options:
        themes = [checked_theme(str(one), imagining) for one in list(options["themes"])[:MOST_THEMES]]
        told["themes"] = [one for one in themes if one]
    if "ahead" in options:
        ahead = options["ahead"]
        told["ahead"] = None if ahead is None else min(MOST_AHEAD.total_seconds(), max(0.0, float(ahead)))
    return told


async def add(
    tx: AsyncConnection,
    *,
    chat_id: int,
    persona_id: int,
    person_id: int | None,
    timing: Timing,
    zone: ZoneInfo,
    theme: str,
    options: dict[str, Any],
    now: datetime,
    dedup_key: str = "",
    told: str = "",
) -> Schedule:
    """`dedup_key` names an order that counts once, and `told` is what it says, in brief."""
    await _check(tx, options, options)
    return await rows.add(
        tx,
        chat_id=chat_id,
        persona_id=persona_id,
        person_id=person_id,
        spec=written(timing),
        zone=zone.key,
        theme=theme,
        options=options,
        next_due_at=_first(timing, zone, now, seed=options["seed"]),
        now=now,
        dedup_key=dedup_key,
        told=told,
    )


async def pause(tx: AsyncConnection, schedule_id: int) -> Schedule:
    known = await rows.get(tx, schedule_id)
    if known.state is ScheduleState.ENDED:
        raise BadRequest(say("posting.has_ended", id=str(schedule_id)))
    options = _by_itself(known)
    return _still(await rows.change(tx, known, state=ScheduleState.PAUSED, options=options))


async def pause_persona(tx: AsyncConnection, persona_id: int, *, chat_id: int | None = None) -> int:
    """All of a persona's schedules rest, in a chat or everywhere; answers how many that concerns."""
    known = await rows.listing(tx, chat_id=chat_id, persona_id=persona_id)
    active = [one for one in known if one.state is ScheduleState.ACTIVE and not orders_pictures(one)]
    for one in active:
        options = one.options | {WITH_PERSONA: True}
        _still(await rows.change(tx, one, state=ScheduleState.PAUSED, options=options))
    return len(active)


async def resume_persona(
    tx: AsyncConnection, persona_id: int, *, now: datetime, chat_id: int | None = None
) -> int:
    """Those go on that rest because their persona did; what was paused by itself still rests."""
    known = await rows.listing(tx, chat_id=chat_id, persona_id=persona_id)
    resting = [one for one in known if rests_with_persona(one)]
    for one in resting:
        upcoming = _upcoming(one, now)
        changed = await rows.change(
            tx,
            one,
            state=ScheduleState.ACTIVE
            if upcoming or await posts.open_of(tx, one.id)
            else ScheduleState.ENDED,
            next_due_at=upcoming.due if upcoming else None,
            options=_by_itself(one),
        )
        _still(changed)
    return len(resting)


def orders_pictures(schedule: Schedule) -> bool:
    """No post comes of it: see `standing.py`."""
    return "order" in schedule.options


def rests_with_persona(schedule: Schedule) -> bool:
    return schedule.state is ScheduleState.PAUSED and bool(schedule.options.get(WITH_PERSONA))


def _by_itself(schedule: Schedule) -> dict[str, Any]:
    """What was said of this schedule alone counts from now on."""
    return {name: told for name, told in schedule.options.items() if name != WITH_PERSONA}


async def resume(tx: AsyncConnection, schedule_id: int, *, now: datetime) -> Schedule:
    known = await rows.get(tx, schedule_id)
    if known.state is ScheduleState.ACTIVE:
        return known
    upcoming = _upcoming(known, now)
    if upcoming is None and not await posts.open_of(tx, schedule_id):
        raise BadRequest(say("posting.has_ended", id=str(schedule_id)))
    changed = await rows.change(
        tx,
        known,
        state=ScheduleState.ACTIVE,
        next_due_at=upcoming.due if upcoming else None,
        options=_by_itself(known),
    )
    return _still(changed)


async def remove(tx: AsyncConnection, schedule_id: int) -> list[Post]:
    """Answers the posts that were to come of it."""
    await rows.get(tx, schedule_id)
    gone = await posts.open_of(tx, schedule_id)
    why = say("posting.reason.schedule_gone")
    for post in gone:
        await posts.change(tx, post.id, was=posts.OPEN, state=PostState.SKIPPED, error=why)
    await rows.remove(tx, schedule_id)
    return gone


async def as_edited(tx: AsyncConnection, known: Schedule, *, change: Change, now: datetime) -> Schedule:
    """What an edit would make of it. Raises `BadRequest` for what never comes."""
    # What is None is as usual again.
    options = {name: one for name, one in (known.options | dict(change.options)).items() if one is not None}
    await _check(tx, change.options, options)
    timing, zone = change.timing or read(known.spec)[0], change.zone or zone_of(known.zone)
    return replace(
        known,
        spec=written(timing),
        zone=zone.key,
        theme=known.theme if change.theme is None else change.theme,
        options=options,
        next_due_at=_first(timing, zone, now, seed=seed_of(known)),
        # One that was over goes on with its new times.
        state=ScheduleState.PAUSED if known.state is ScheduleState.PAUSED else ScheduleState.ACTIVE,
    )


async def edit(
    tx: AsyncConnection, schedule_id: int, *, change: Change, now: datetime
) -> tuple[Schedule, list[Post]]:
    """The schedule as it is now, and the posts that were planned and are planned anew."""
    known = await rows.get(tx, schedule_id)
    wanted = await as_edited(tx, known, change=change, now=now)
    changed = await rows.change(
        tx,
        known,
        spec=wanted.spec,
        zone=wanted.zone,
        theme=wanted.theme,
        options=wanted.options,
        next_due_at=wanted.next_due_at,
        state=wanted.state,
    )
    return _still(changed), await posts.delete_coming(tx, schedule_id, after=now)


async def skip_next(tx: AsyncConnection, schedule_id: int, *, now: datetime) -> tuple[Schedule, list[Post]]:
    """The schedule as it is now, and the post that is not shown, if there was one."""
    known = await rows.get(tx, schedule_id)
    why = say("posting.reason.by_hand")
    open_ = await posts.open_of(tx, schedule_id)
    coming = [one for one in open_ if not is_by_hand(one)]
    if coming:
        post = coming[0]
        changed = _still(await with_skipped(tx, known, post, now=now))
        if await posts.change(tx, post.id, was=posts.OPEN, state=PostState.SKIPPED, error=why) is None:
            raise BadRequest(say("posting.changed_meanwhile"))
        return changed, [post]
    upcoming = _upcoming(known, now)
    if upcoming is None:
        raise BadRequest(say("posting.has_ended", id=str(schedule_id)))
    if not orders_pictures(known):
        await posts.add(
            tx,
            key=key_of(known, upcoming.key),
            due_at=upcoming.due,
            chat_id=known.chat_id,
            persona_id=known.persona_id,
            schedule_id=known.id,
            theme=known.theme,
            state=PostState.SKIPPED,
            error=why,
            options=post_options(known, read(known.spec)[0]),
            now=now,
        )
    after = next(_times(known, upcoming.due), None)
    moved_on = await rows.change(
        tx,
        known,
        move=True,  # whoever plans it at this moment is not overtaken
        next_due_at=after.due if after else None,
        state=known.state if after or open_ else ScheduleState.ENDED,
        options=_with_skipped(known, upcoming.due, now),
    )
    return _still(moved_on), []


async def with_skipped(tx: AsyncConnection, known: Schedule, post: Post, *, now: datetime) -> Schedule | None:
    """Nobody is told any more that this post of a schedule comes; None where the schedule was changed meanwhile."""
    return await rows.change(tx, known, options=_with_skipped(known, post.due_at, now))


async def ordered(tx: AsyncConnection, schedule_id: int, *, by: str) -> Post | None:
    """The post of an order that was heard before."""
    return await posts.keyed(tx, _key_of_order(await rows.get(tx, schedule_id), by))


def _key_of_order(schedule: Schedule, by: str) -> str:
    return key_of(schedule, f"now:{by}")


async def order(tx: AsyncConnection, schedule_id: int, *, now: datetime, by: str = "") -> Post:
    """A post beside the times of its schedule, due at once. `by`: what names the order, which counts once."""
    known = await rows.get(tx, schedule_id)
    if orders_pictures(known):
        raise BadRequest(say("posting.orders_pictures", id=str(schedule_id)))
    key = _key_of_order(known, by or now.isoformat())
    post = await posts.add(
        tx,
        key=key,
        due_at=now,
        chat_id=known.chat_id,
        persona_id=known.persona_id,
        schedule_id=known.id,
        theme=theme_of(known, await posts.count_of(tx, known.id)),
        options=post_options(known) | {"by_hand": True, "approved": True},
        now=now,
    )
    if post is None and by:
        post = await posts.keyed(tx, key)  # the same order was heard in this very moment
    if post is None:
        raise BadRequest(say("posting.changed_meanwhile"))
    return post


def _first(timing: Timing, zone: ZoneInfo, now: datetime, *, seed: str) -> datetime:
    """The first time from now on; `BadRequest` where none comes."""
    occurrences.check(timing, zone, now, seed=seed)
    return occurrences.next_times(timing, zone, now, seed=seed, most=1)[0]


def _upcoming(schedule: Schedule, now: datetime) -> Occurrence | None:
    """The next time after this moment that was not skipped, and is no post yet."""
    due = schedule.next_due_at if schedule.state is ScheduleState.ACTIVE else None
    after = max(now, due - timedelta(microseconds=1)) if due else now
    skipped = set(schedule.options.get(SKIPPED, ()))
    return next((one for one in _times(schedule, after) if one.due.isoformat() not in skipped), None)


def _times(schedule: Schedule, after: datetime) -> Iterator[Occurrence]:
    timing, zone = read(schedule.spec)[0], zone_of(schedule.zone)
    return occurrences.occurrences(timing, zone, after, seed=seed_of(schedule))


def _with_skipped(schedule: Schedule, due: datetime, now: datetime) -> dict[str, Any]:
    """A time that does not come, remembered until it is over."""
    told = [one for one in schedule.options.get(SKIPPED, ()) if one > now.isoformat()]
    return schedule.options | {SKIPPED: [*told, due.isoformat()][-MOST_SKIPPED:]}


async def _check(tx: AsyncConnection, said: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
    if not whole.get("picture", True) and not whole.get("text", True):
        raise BadRequest(say("posting.nothing_wanted"))
    for chat_id in said.get("targets", ()):
        if not 0 < chat_id <= LAST_ID or await chats.place_of(tx, chat_id) is None:
            raise NotFound(say("posting.no_target", id=str(chat_id)))


def _still(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise BadRequest(say("posting.changed_meanwhile"))
    return schedule
