"""Pure: which times of a schedule become posts now, and what becomes of a post whose time has come.

It reads what a schedule says and what the rows say; it changes nothing and asks no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from engine.occurrences import Occurrence, occurrences, zone_of
from engine.store.posts import Under
from engine.store.records import JobState, Post, PostState, Schedule
from engine.timetable import GRACE, Span, Timing
from personas.persona import Rating

#: So long before its time a post is begun, unless its schedule says otherwise; and the most that it can say.
AHEAD = timedelta(hours=1)
MOST_AHEAD = timedelta(days=1)
#: What comes so late is on time: the loop was busy, or somebody asked just then.
PUNCTUAL = timedelta(seconds=60)
#: A post goes out without its picture when that is so late.
PICTURE_PATIENCE = timedelta(minutes=3)
#: In place of one that is late a picture is borrowed so long before it has to be shown: to fetch it takes a while.
LENDING = timedelta(seconds=15)
#: What somebody ordered just so is shown as soon as its picture is ready; for so long that is waited for.
BY_HAND_PATIENCE = timedelta(hours=2)
#: Whatever a schedule says of what was missed: what is only so late was slow, and not missed.
SLOW = timedelta(minutes=5)
#: Where a schedule keeps the times that were skipped, so that nobody is told that they come.
SKIPPED = "skipped"
#: Where a post keeps who is to lend it its picture: the item that it is about, or the operator's folder.
PICTURE_OF, ITEM, FOLDER, RENDER = "picture_of", "item", "folder", "render"
#: Where it keeps of which of its pictures nothing could come but what somebody lends.
INSTEAD = "instead"
#: How far back missed times are looked at one by one.
LOOK_BACK = timedelta(days=8)

_JUST_BEFORE = timedelta(microseconds=1)
#: So long before quiet hours begin nobody waits any more for what could come in them.
_IN_GOOD_TIME = timedelta(seconds=10)


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


def quiet_end(quiet: Span | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When it is not quiet any more; None where it is not quiet now."""
    local = now.astimezone(zone)
    if quiet is None or local.time() not in quiet:
        return None
    return _next_at(quiet.end, local)


def _next_at(moment: time, local: datetime) -> datetime:
    """When clocks show this next."""
    for days in (0, 1):
        day = local.date() + timedelta(days=days)
        # Of an hour that comes twice the one is meant that it is now.
        at = datetime.combine(day, moment, local.tzinfo).replace(fold=local.fold).astimezone(UTC)
        if at > local.astimezone(UTC):
            return at
    return at


def seed_of(schedule: Schedule) -> str:
    """What draws the minute of a window. Kept from when it was made, so that nothing that is edited moves it."""
    return str(schedule.options.get("seed") or schedule.id)


def key_of(schedule: Schedule, occurrence: str) -> str:
    return f"schedule:{schedule.id}:{occurrence}"


def ahead_of(options: Mapping[str, Any], needed: timedelta = timedelta()) -> timedelta:
    """How long before its time a post is begun; `needed` is what a picture takes to be there in time."""
    told = options.get("ahead")
    ahead = timedelta(seconds=float(told)) if isinstance(told, int | float) else AHEAD
    least = needed if options.get("picture", True) else timedelta()
    return min(MOST_AHEAD, max(ahead, least))


def post_options(schedule: Schedule, timing: Timing | None = None) -> dict[str, Any]:
    """What a post has to know of its schedule, which may change or go while the post is made."""
    grace = timing.grace if timing else GRACE
    told = schedule.options
    kept = {name: told[name] for name in ("targets", "picture", "text", "style", "approval") if name in told}
    return kept | {
        "zone": schedule.zone,
        "grace": round(grace.total_seconds()),
        **({"quiet": str(timing.quiet)} if timing and timing.quiet else {}),
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


@dataclass(frozen=True)
class About:
    """Something that happened elsewhere, and that a post is about: an item of a feed, or what a hook was told."""

    feed_id: int
    title: str
    text: str = ""
    link: str = ""
    #: Its own picture, and under which licence that is, where that is told; and who may see it.
    picture: str = ""
    licence: str = ""
    rating: Rating = Rating.ALL_AGES


def about_of(post: Post) -> About | None:
    told = post.options.get("item")
    if not isinstance(told, Mapping):
        return None
    words = {name: str(told.get(name, "")) for name in ("title", "text", "link", "picture", "licence")}
    rating = Rating.ADULT if told.get("adult") else Rating.ALL_AGES
    return About(int(told.get("feed", 0)), **words, rating=rating)


def take_of(post: Post) -> int:
    """Which picture of a post this is: each that is asked for anew is another."""
    return int(post.options.get("take", 1))


def lenders_first(post: Post) -> tuple[str, ...]:
    """Who is to lend a post its picture before any is rendered. A second one of the same item there is not."""
    lender = post.options.get(PICTURE_OF)
    return (str(lender),) if lender == FOLDER or (lender == ITEM and take_of(post) == 1) else ()


def lenders_instead(post: Post) -> tuple[str, ...]:
    """Who may lend it one where none could be rendered."""
    return tuple(
        one for one in (ITEM, FOLDER) if about_of(post) is not None and one != post.options.get(PICTURE_OF)
    )


def instead(post: Post) -> dict[str, Any]:
    """The options of a post of which no picture could be rendered: who may lend it one is asked next."""
    return post.options | {INSTEAD: take_of(post)}


def is_to_borrow(post: Post) -> bool:
    """Whether no picture could be rendered: until another one is asked for, nobody tries that again."""
    return bool(post.options.get(INSTEAD) == take_of(post))


def words_of(post: Post) -> str:
    """What is shown of a post: its caption, and behind that the link to what it is about."""
    about = about_of(post)
    told = post.caption if wants(post, "text") else ""
    return f"{told}\n\n{about.link}".strip() if about is not None and about.link else told


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


def quiet_of(post: Post) -> Span | None:
    """The hours in which it is not shown. What somebody ordered just so is shown whenever it is ready."""
    told = post.options.get("quiet")
    if not told or is_by_hand(post):
        return None
    start, end = str(told).split("-")
    return Span(time.fromisoformat(start), time.fromisoformat(end))


def picture_until(post: Post, now: datetime | None = None) -> datetime:
    """For so long a picture that is asked for now is waited for: some minutes, and not into quiet hours."""
    if is_by_hand(post):
        return max(post.due_at, now or post.due_at) + BY_HAND_PATIENCE
    latest, quiet = post.due_at + PICTURE_PATIENCE, quiet_of(post)
    if quiet is None:
        return latest
    begins = _next_at(quiet.start, post.due_at.astimezone(_zone(post))) - _IN_GOOD_TIME
    return min(latest, max(post.due_at, begins))


def lent_at(post: Post) -> datetime | None:
    """When a picture that somebody lends is shown in place of one that is only late: at the post's time; but where
    that is the moment in which something happened, the other one has some minutes to be made. None: nobody lends
    one, or there is one already.
    """
    if not wants(post, "picture") or post.picture_id is not None or is_by_hand(post) or is_to_borrow(post):
        return None
    if not lenders_instead(post):
        return None
    return max(post.due_at, min(picture_until(post), post.created_at + PICTURE_PATIENCE))


def is_to_lend(under: Under, now: datetime) -> bool:
    """Whether its picture is so late that one is borrowed. What nobody has approved is not shown without that."""
    if under.post.state is not PostState.MAKING or under.post.job_id is None or not _is_being_painted(under):
        return False
    at = lent_at(under.post)
    return at is not None and at - LENDING <= now and approval_of(under.post) != "skip"


def shown_until(post: Post, now: datetime) -> datetime | None:
    """After this, what is published now would come too late or in quiet hours; None: somebody waits for it."""
    if is_by_hand(post):
        return None
    # What was published at the very last has some time to arrive, too.
    latest, quiet = max(post.due_at + lateness(post), now + SLOW), quiet_of(post)
    return latest if quiet is None else min(latest, _next_at(quiet.start, now.astimezone(_zone(post))))


def lateness(post: Post) -> timedelta:
    """How late it is still shown."""
    return max(SLOW, timedelta(seconds=float(post.options.get("grace", GRACE.total_seconds()))))


def opens_at(post: Post, now: datetime) -> datetime | None:
    """When quiet hours end that keep it from being shown; None: nothing does."""
    return quiet_end(quiet_of(post), _zone(post), now)


def _zone(post: Post) -> ZoneInfo:
    return zone_of(str(post.options.get("zone") or "UTC"))


class Verdict(StrEnum):
    """What becomes of a post whose time has come."""

    PUBLISH = "publish"
    #: It is being made, and there is time; or it is quiet, and will not be for too long.
    WAIT = "wait"
    MISSED = "missed"
    #: It could be shown in quiet hours only, or far too late.
    QUIET = "quiet"
    UNAPPROVED = "unapproved"
    #: Only a picture was wanted, and there is none.
    NOTHING = "nothing"


def verdict(under: Under, now: datetime, *, newer: bool) -> Verdict:
    """`newer`: another post of the same schedule is due as well, and comes later than this one."""
    post, late = under.post, now - under.post.due_at
    if not is_by_hand(post) and (late > lateness(post) or (newer and late > PUNCTUAL)):
        return Verdict.MISSED
    if approval_of(post) == "skip":
        return Verdict.UNAPPROVED
    if (opens := opens_at(post, now)) is not None:
        return Verdict.WAIT if opens - post.due_at <= lateness(post) else Verdict.QUIET
    if post.state is PostState.PLANNED:
        return Verdict.WAIT
    patience = _patience(under)
    if _is_being_painted(under) and (patience is None or now < patience):
        return Verdict.WAIT
    if not wants(post, "text") and under.picture_id is None and post.picture_id is None:
        return Verdict.NOTHING
    return Verdict.PUBLISH


def look_again_at(under: Under, now: datetime) -> datetime | None:
    """When something else becomes of a post that is due and waits, though nothing happens to it."""
    if (opens := opens_at(under.post, now)) is not None:
        return opens
    if under.post.state is not PostState.MAKING:
        return None
    lent = lent_at(under.post)
    times = [_patience(under), lent - LENDING if lent is not None and lent - LENDING > now else None]
    return min((at for at in times if at is not None), default=None)


def _patience(under: Under) -> datetime | None:
    """What was ordered just so waits as long as its picture has time, counted from when that was asked for."""
    if is_by_hand(under.post):
        return under.picture_deadline
    return picture_until(under.post)


def _is_being_painted(under: Under) -> bool:
    job = under.job_state
    return under.post.state is PostState.MAKING and (
        job is None or job in (JobState.QUEUED, JobState.RUNNING)
    )
