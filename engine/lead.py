"""How long before its time a picture has to be asked for, and the lane in which it then is there in time.

That grows with what this machine's own pictures take, with the line, and with those who may still come in between:
the head starts of `pictures/fairness.py` say how much that is at most. Whose picture it is, is not known here.
"""

from __future__ import annotations

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
        """Where a picture stands that is wanted in so much time: what comes in time from further back stays there."""
        late = self.scheduled is not None and left < self.scheduled
        return Lane.EVENTS if late else Lane.SCHEDULED


def longest(pace: Pace, work: Work, lane: Lane, askers: int) -> timedelta | None:
    """Pure: how long it takes at most, nearly always. Each of those who ask without a pause goes first for as long as
    the head start of their lane lets them; one may always begin to.
    """
    between = replace(work, count=HEAD_START[lane] * max(1, askers))
    guess = estimating.expected(pace.made, work, (*pace.before, between))
    if guess is None:
        return None
    return timedelta(seconds=estimating.corrected(guess, pace.met).at_most)


async def look(tx: AsyncConnection, work: Work, now: datetime) -> Lead:
    """For a picture of that kind which would be asked for now."""
    askers = await jobs.askers(tx, since=now - LATELY)
    tag = await jobs.virtual_time(tx)

    async def of(lane: Lane) -> timedelta | None:
        pace = await promises.pace(tx, _new(lane, tag, now), head_start=HEAD_START)
        return longest(pace, work, lane, askers)

    return Lead(await of(Lane.EVENTS), await of(Lane.SCHEDULED))


def _new(lane: Lane, tag: int, now: datetime) -> Job:
    """A job that is asked for now, as the first of its owner: behind all that were before it with the same rank."""
    request = PictureRequest("", "", "", "", Source.UNDERSTUDY, 0, 0)
    return Job(jobs.LAST_ID, JobState.QUEUED, lane, tag, request, now)
