"""Pure: which times of a schedule become posts now, and what becomes of a post whose time has come.

It reads what a schedule says and what the rows say; it changes nothing and asks no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from engine.occurrences import Occurrence, occurrences
from engine.store.posts import Under
from engine.store.records import JobState, Post, PostState, Schedule
from engine.timetable import GRACE, Timing

#: So long before its time a post is begun, unless its schedule says otherwise; and the most that it can say.
AHEAD = timedelta(hours=1)
MOST_AHEAD = timedelta(days=1)
#: What comes so late is on time: the loop was busy, or somebody asked just then.
PUNCTUAL = timedelta(seconds=60)
#: A post goes out without its picture when that is so late.
PICTURE_PATIENCE = timedelta(minutes=3)
#: Whatever a schedule says of what was missed: what is only so late was slow, and not missed.
SLOW = timedelta(minutes=5)
#: How far back missed times are looked at one by one.
LOOK_BACK = timedelta(days=8)

_JUST_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True)
class Plan:
    """What becomes of the times of a schedule that were not posts yet."""

    #: These become posts.
    coming: tuple[Occurrence, ...]
    #: The newest of those that were missed for good, if any were.
    passed: Occurrence | None
    #: The next that is left for later; None: there is none.
    next_due: datetime | None


def planned(
    timing: Timing, zone: ZoneInfo, *, since: datetime, now: datetime, ahead: timedelta, seed: str
) -> Plan:
    """`since` is the first time that was not a post yet. Of those missed at most one is made up: the newest."""
    coming: list[Occurrence] = []
    missed: list[Occurrence] = []
    next_due = None
    begin = max(since, now - LOOK_BACK)
    for one in occurrences(timing, zone, begin - _JUST_BEFORE, seed=seed):
        if one.due > now + ahead:
            next_due = one.due
            break
        if one.due < now - PUNCTUAL:
            missed = [*missed[-1:], one]
        else:
            coming.append(one)
    if begin > since and not missed:
        missed = [_first(timing, zone, since, seed)]
    is_due = any(one.due <= now for one in coming)
    if missed and not is_due and missed[-1].due >= now - timing.grace:
        coming.insert(0, missed.pop())
    return Plan(tuple(coming), missed[-1] if missed else None, next_due)


def _first(timing: Timing, zone: ZoneInfo, since: datetime, seed: str) -> Occurrence:
    found = next(occurrences(timing, zone, since - _JUST_BEFORE, seed=seed), None)
    return found or Occurrence(since, since.isoformat(timespec="minutes"))


def seed_of(schedule: Schedule) -> str:
    """What draws the minute of a window. Kept from when it was made, so that nothing that is edited moves it."""
    return str(schedule.options.get("seed") or schedule.id)


def key_of(schedule: Schedule, occurrence: str) -> str:
    return f"schedule:{schedule.id}:{occurrence}"


def ahead_of(options: Mapping[str, Any]) -> timedelta:
    """How long before its time a post is begun."""
    told = options.get("ahead")
    if not isinstance(told, int | float):
        return AHEAD
    return min(MOST_AHEAD, max(timedelta(), timedelta(seconds=float(told))))


def post_options(schedule: Schedule, grace: timedelta = GRACE) -> dict[str, Any]:
    """What a post has to know of its schedule, which may change or go while the post is made."""
    told = schedule.options
    kept = {name: told[name] for name in ("targets", "picture", "text", "style", "approval") if name in told}
    return kept | {
        "zone": schedule.zone,
        "grace": round(grace.total_seconds()),
        **({"person": schedule.person_id} if schedule.person_id is not None else {}),
    }


def theme_of(schedule: Schedule, number: int) -> str:
    """What the post of that number is about: one theme after the other, where there are several."""
    themes = [str(one) for one in schedule.options.get("themes", ()) if str(one).strip()]
    return themes[number % len(themes)] if themes else schedule.theme


def targets_of(post: Post) -> tuple[int, ...]:
    """The chats that a post goes to, each once."""
    more = [one for one in post.options.get("targets", ()) if isinstance(one, int)]
    return tuple(dict.fromkeys((post.chat_id, *more)))


def wants(post: Post, what: str) -> bool:
    """Whether a post has a `text`, or a `picture`; it has, unless its schedule says otherwise."""
    return bool(post.options.get(what, True))


def approval_of(post: Post) -> str:
    """What happens if nobody approves it by its time, `skip` or `post`; empty: nobody needs to, or somebody did."""
    return "" if post.options.get("approved") else str(post.options.get("approval", ""))


def state_made(post: Post) -> PostState:
    """What a post is in that is made."""
    return PostState.WAITING if approval_of(post) else PostState.READY


def is_by_hand(post: Post) -> bool:
    """Whether somebody ordered it just so, beside the times of its schedule."""
    return bool(post.options.get("by_hand"))


class Verdict(StrEnum):
    """What becomes of a post whose time has come."""

    PUBLISH = "publish"
    #: It is being made, and there is time.
    WAIT = "wait"
    MISSED = "missed"
    UNAPPROVED = "unapproved"
    #: Only a picture was wanted, and there is none.
    NOTHING = "nothing"


def verdict(under: Under, now: datetime, *, newer: bool) -> Verdict:
    """`newer`: another post of the same schedule is due as well, and comes later than this one."""
    post, late = under.post, now - under.post.due_at
    grace = timedelta(seconds=float(post.options.get("grace", GRACE.total_seconds())))
    if late > max(grace, SLOW) or (newer and late > PUNCTUAL):
        return Verdict.MISSED
    if approval_of(post) == "skip":
        return Verdict.UNAPPROVED
    if post.state is PostState.PLANNED or (_is_being_painted(under) and late < PICTURE_PATIENCE):
        return Verdict.WAIT
    if not wants(post, "text") and under.picture_id is None and post.picture_id is None:
        return Verdict.NOTHING
    return Verdict.PUBLISH


def _is_being_painted(under: Under) -> bool:
    job = under.job_state
    return under.post.state is PostState.MAKING and (
        job is None or job in (JobState.QUEUED, JobState.RUNNING)
    )
