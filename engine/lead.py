"""How long before its time a picture has to be asked for, and the lane in which it then is there in time.

That grows with what this machine's own pictures take, with the line, and with those who may still come in between.
How many those are is measured: pictures that were asked for lately in the lane that goes first, in as much time as a
dozen of these takes, and in a day; the busier of the two counts, and where few came more are reckoned with. The
head starts of `pictures/fairness.py` say how many it can be at most. Whose picture it is, is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import estimating
from engine.estimating import Work
from engine.language import Source
from engine.pictures.fairness import HEAD_START
from engine.store import jobs, promises
from engine.store.promises import Pace
from engine.store.records import Job, JobState, Lane, PictureRequest

#: Who asked so lately may ask again.
LATELY = timedelta(hours=1)
#: It is looked at how many are asked for while so many are made; but for no shorter and no longer than that.
LOOKED_AT = 12
SHORTEST, DAY = timedelta(minutes=10), timedelta(days=1)
#: Whoever comes by chance comes more often than usual at times: so many spreads beyond it, nine times of ten no more.
BEYOND = 1.28


@dataclass(frozen=True)
class Asked:
    """So many pictures were asked for in the lane that goes first, in so much time."""

    pictures: int
    within: timedelta

    @property
    def rate(self) -> float:
        """How many there may well be in a second. Somebody may always begin to ask: it is never none."""
        one_more = self.pictures + 1
        return (one_more + BEYOND * math.sqrt(one_more)) / self.within.total_seconds()


@dataclass(frozen=True)
class Lead:
    """From when it is asked for, a picture is nearly always there so much later; None while nothing is known of this
    machine.
    """

    events: timedelta | None = None
    scheduled: timedelta | None = None

    @property
    def needed(self) -> timedelta:
        """So long before its time it is asked for, so that it can still be there."""
        return self.events or timedelta()

    def lane(self, left: timedelta) -> Lane:
        """Where a picture stands that is wanted in so much time: what comes in time from further back stays there,
        however many are asked for meanwhile.
        """
        late = self.scheduled is not None and left < self.scheduled
        return Lane.EVENTS if late else Lane.SCHEDULED


def longest(
    pace: Pace, work: Work, lane: Lane, askers: int, lately: Sequence[Asked] = ()
) -> timedelta | None:
    """Pure: how long it takes at most, nearly always. Each of those who ask without a pause goes first for as long as
    the head start of their lane lets them; one may always begin to.

    `lately` says how busy they really were; without it they are taken to ask without a pause.
    """

    def at_most(between: int) -> float | None:
        line = (*pace.before, replace(work, count=between))
        guess = estimating.expected(pace.made, work, line)
        return None if guess is None else estimating.corrected(guess, pace.met).at_most

    most = HEAD_START[lane] * max(1, askers)
    alone, with_all = at_most(0), at_most(most)
    if alone is None or with_all is None:
        return None
    between = most
    if lately:
        rate = max(one.rate for one in lately)
        between = coming(alone, (with_all - alone) / most, rate, most=most)
    return timedelta(seconds=at_most(between) or with_all)


def coming(alone: float, each: float, rate: float, *, most: int) -> int:
    """Pure: how many go first of those that are asked for in the meantime, `rate` of them in a second, each of which
    takes `each` seconds of it and so makes room for more. `alone`: how long it would be without them.
    """
    share = rate * each
    if share >= 1.0:
        return most
    return min(most, math.ceil(rate * alone / (1.0 - share)))


def spans(pace: Pace, work: Work) -> tuple[timedelta, ...]:
    """Pure: the times for which it is looked at how many are asked for. A slow machine is watched for longer."""
    one = estimating.expected(pace.made, replace(work, count=1, done=0.0))
    if one is None:
        return ()
    dozen = timedelta(seconds=min(LOOKED_AT * one.likely, DAY.total_seconds()))
    return (max(SHORTEST, dozen), DAY)


async def look(tx: AsyncConnection, work: Work, now: datetime) -> Lead:
    """For a picture of that kind which would be asked for now."""
    askers = await jobs.askers(tx, since=now - LATELY)
    tag = await jobs.virtual_time(tx)
    soon, later = [
        await promises.pace(tx, _new(lane, tag, now), head_start=HEAD_START)
        for lane in (Lane.EVENTS, Lane.SCHEDULED)
    ]
    lately = [Asked(await jobs.pictures_asked(tx, since=now - span), span) for span in spans(soon, work)]
    # How early to begin may be measured; to stand further back is for those who are in time whatever comes.
    return Lead(
        longest(soon, work, Lane.EVENTS, askers, lately), longest(later, work, Lane.SCHEDULED, askers)
    )


def _new(lane: Lane, tag: int, now: datetime) -> Job:
    """A job that is asked for now, as the first of its owner: behind all that were before it with the same rank."""
    request = PictureRequest("", "", "", "", Source.UNDERSTUDY, 0, 0)
    return Job(jobs.LAST_ID, JobState.QUEUED, lane, tag, request, now)
