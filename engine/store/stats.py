"""What came of everything since a moment, from the rows: replies, pictures, posts, and what stood in for what.

Only read, beside whoever works.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store import sentences
from engine.store.records import JobState
from engine.store.tables import chats, deliveries, jobs, pictures, posts, turns

DAY = timedelta(days=1)
#: So many ways to make a picture, and so many causes, are told.
MOST_OPTIONS, MOST_CAUSES = 50, 50
NO_CAUSE = "nobody wrote down why"


@dataclass(frozen=True)
class Option:
    """One way in which pictures were made, and what one took, in seconds."""

    model: str
    device: str
    style: str
    size: str
    steps: int
    pictures: int
    seconds: float
    slowest: float


@dataclass(frozen=True)
class Uptime:
    """How long somebody was there, as far as what they made shows it: the share of the time, and how often not."""

    share: float
    outages: int


@dataclass(frozen=True)
class Stats:
    since: datetime
    until: datetime
    #: By who wrote them, and by what became of them.
    replies: dict[str, int]
    jobs: dict[str, int]
    pictures: int
    stand_ins: int
    posts: dict[str, int]
    #: By front, and then by what became of them.
    deliveries: dict[str, dict[str, int]]
    #: Why something stood in for a picture, and why jobs came to nothing; the most frequent first.
    stood_in: list[tuple[str, int]]
    failures: list[tuple[str, int]]
    options: list[Option]
    #: None where nobody was there at all, as far as anybody can see.
    words_up: Uptime | None
    pictures_up: Uptime | None

    @property
    def reply_success(self) -> float | None:
        """The share of replies that a model wrote."""
        return _share(self.replies.get(Source.MODEL.value, 0), self.replies.values())

    @property
    def job_success(self) -> float | None:
        """The share of jobs that were done, of those that nobody took back."""
        done = self.jobs.get(JobState.DONE.value, 0)
        return _share(done, (done, self.jobs.get(JobState.FAILED.value, 0)))


def _share(of: int, all_: Iterable[int]) -> float | None:
    whole = sum(all_)
    return of / whole if whole else None


async def since(tx: AsyncConnection, *, start: datetime, now: datetime) -> Stats:
    made = select(func.count(), func.count().filter(pictures.c.stand_in)).where(
        pictures.c.created_at >= start, pictures.c.device != ""
    )
    count, stand_ins = (await tx.execute(made)).one()
    return Stats(
        since=start,
        until=now,
        replies=await _replies(tx, start),
        jobs=await _jobs(tx, start),
        pictures=count,
        stand_ins=stand_ins,
        posts=await _posts(tx, start, now),
        deliveries=await _deliveries(tx, start),
        stood_in=await stood_in(tx, since=start),
        failures=await _failures(tx, start),
        options=await _options(tx, start),
        words_up=uptime(await _words(tx, start), since=start, now=now),
        pictures_up=uptime(await _painted(tx, start), since=start, now=now),
    )


def uptime(marks: Iterable[tuple[bool, datetime]], *, since: datetime, now: datetime) -> Uptime | None:
    """`marks`: when something was made, and whether something stood in for whoever should have made it.

    Down is from the first stand-in to the next thing that was made as it should be. Where nothing ever was, there is
    nobody to be up or down.
    """
    down, outages, began, anybody = 0.0, 0, None, False
    for stood_in_, at in marks:
        if stood_in_:
            began, outages = (at, outages + 1) if began is None else (began, outages)
            continue
        anybody = True
        if began is not None:
            down += (at - began).total_seconds()
            began = None
    if not anybody:
        return None
    if began is not None:
        down += (now - began).total_seconds()
    whole = max(1.0, (now - since).total_seconds())
    return Uptime(max(0.0, 1 - down / whole), outages)


async def stood_in(tx: AsyncConnection, *, since: datetime) -> list[tuple[str, int]]:
    """Why pictures are stand-ins, and how many for each reason."""
    because = func.coalesce(pictures.c.facts["because"].as_string(), NO_CAUSE)
    found = (
        select(because.label("cause"), func.count().label("n"))
        .where(pictures.c.created_at >= since, pictures.c.stand_in, pictures.c.device != "")
        # By its name: PostgreSQL takes the same words with a value of their own for others.
        .group_by("cause")
        .order_by(func.count().desc(), "cause")
        .limit(MOST_CAUSES)
    )
    return [(row.cause, row.n) for row in await tx.execute(found)]


async def _replies(tx: AsyncConnection, start: datetime) -> dict[str, int]:
    found = (
        select(turns.c.source, func.count())
        .where(turns.c.created_at >= start, turns.c.persona_id.is_not(None), turns.c.source.is_not(None))
        .group_by(turns.c.source)
        .order_by(turns.c.source)
    )
    return {row[0]: row[1] for row in await tx.execute(found)}


async def _jobs(tx: AsyncConnection, start: datetime) -> dict[str, int]:
    ended = [state.value for state in JobState if state.ended]
    found = (
        select(jobs.c.state, func.count())
        .where(jobs.c.state.in_(ended), jobs.c.ended_at >= start)
        .group_by(jobs.c.state)
        .order_by(jobs.c.state)
    )
    return {row[0]: row[1] for row in await tx.execute(found)}


async def _failures(tx: AsyncConnection, start: datetime) -> list[tuple[str, int]]:
    found = (
        select(jobs.c.error, func.count().label("n"))
        .where(jobs.c.state == JobState.FAILED.value, jobs.c.ended_at >= start)
        .group_by(jobs.c.error)
        .order_by(func.count().desc(), jobs.c.error)
        .limit(MOST_CAUSES)
    )
    return [(sentences.told(row.error) or NO_CAUSE, row.n) for row in await tx.execute(found)]


async def _posts(tx: AsyncConnection, start: datetime, now: datetime) -> dict[str, int]:
    found = (
        select(posts.c.state, func.count())
        .where(posts.c.due_at >= start, posts.c.due_at <= now)
        .group_by(posts.c.state)
        .order_by(posts.c.state)
    )
    return {row[0]: row[1] for row in await tx.execute(found)}


async def _deliveries(tx: AsyncConnection, start: datetime) -> dict[str, dict[str, int]]:
    found = (
        select(chats.c.front, deliveries.c.state, func.count())
        .join(chats, chats.c.id == deliveries.c.chat_id)
        .where(deliveries.c.created_at >= start)
        .group_by(chats.c.front, deliveries.c.state)
        .order_by(chats.c.front, deliveries.c.state)
    )
    told: dict[str, dict[str, int]] = {}
    for front, state, count in await tx.execute(found):
        told.setdefault(front, {})[state] = count
    return told


async def _options(tx: AsyncConnection, start: datetime) -> list[Option]:
    ways = (
        pictures.c.model,
        pictures.c.device,
        pictures.c.style,
        pictures.c.width,
        pictures.c.height,
        pictures.c.steps,
    )
    found = (
        select(
            *ways,
            func.count().label("n"),
            func.avg(pictures.c.seconds).label("seconds"),
            func.max(pictures.c.seconds).label("slowest"),
        )
        .where(pictures.c.created_at >= start, pictures.c.device != "")
        .group_by(*ways)
        .order_by(func.count().desc(), *ways)
        .limit(MOST_OPTIONS)
    )
    return [
        Option(
            row.model,
            row.device,
            row.style,
            f"{row.width}x{row.height}",
            row.steps,
            row.n,
            round(float(row.seconds), 2),
            round(float(row.slowest), 2),
        )
        for row in await tx.execute(found)
    ]


async def _words(tx: AsyncConnection, start: datetime) -> list[tuple[bool, datetime]]:
    found = select(turns.c.source, turns.c.created_at).where(
        turns.c.created_at >= start,
        turns.c.source.in_((Source.MODEL.value, Source.UNDERSTUDY.value)),
    )
    return [
        (row.source == Source.UNDERSTUDY.value, row.created_at)
        for row in await tx.execute(found.order_by(turns.c.id))
    ]


async def _painted(tx: AsyncConnection, start: datetime) -> list[tuple[bool, datetime]]:
    found = select(pictures.c.stand_in, pictures.c.created_at).where(
        pictures.c.created_at >= start, pictures.c.device != ""
    )
    return [(row.stand_in, row.created_at) for row in await tx.execute(found.order_by(pictures.c.id))]
