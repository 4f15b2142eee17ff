"""How late posts come while people keep the painter busy: from when one is due until its platform has it.

A whole house on the real clock. Somebody always waits for a picture; the pictures of the posts are made ahead, in
their lane, behind those people. A timetable knows minutes only, so these posts are planned as a feed would: as rows.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.front import Outgoing
from bot.house import open_house
from bot.logs import keep_quiet
from bot.testing import FakeFront
from engine.engine import Engine
from engine.imagining import Wish
from engine.pictures import PictureWanted, Progress, Rendered
from engine.planning import PICTURE_PATIENCE
from engine.settings import WebSettings
from engine.store import chats, personas, posts
from engine.store.records import ChatRef, DeliveryKind, PersonaRecord, Post
from engine.testing import FakeRenderer
from tests.bench.harness import Figure, median
from tests.bench.pictures_house import Asker, ask, askers, composed, ending, settings_of

#: Seconds that a step takes, and how many there are.
STEP, STEPS = 0.005, 3
#: So many jobs of each person are in line or being drawn at any time, each of so many pictures.
IN_LINE, EACH = 4, 4
ROOMS = 10


class Slow(FakeRenderer):
    """Takes a moment for each step, and keeps no list of what it rendered."""

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        made = super().render(wanted, progress)
        self.rendered.clear()
        self.passes.clear()
        return made


@dataclass
class Arrived:
    at: datetime
    pictured: bool
    #: How many jobs of people were in line or being drawn at that moment.
    busy: int


@dataclass
class People:
    """Who asks for pictures without a pause: for each that ends there is another."""

    engine: Engine
    askers: Sequence[Asker]
    open: set[int] = field(default_factory=set)
    done: int = 0
    _seeds: Iterator[int] = field(default_factory=itertools.count)

    async def keep_asking(self) -> None:
        wish = Wish("by the sea", width=64, height=64, steps=STEPS, count=EACH)
        usual = await composed(self.engine, self.askers[0], wish)
        whose: dict[int, Asker] = {}
        async with ending(self.engine) as ends:
            more = [asker for asker in self.askers for _ in range(IN_LINE)]
            while True:
                if more:
                    wanted = [(one, replace(usual, seed=next(self._seeds) * EACH)) for one in more]
                    whose |= {
                        job.id: one for one, job in zip(more, await ask(self.engine, wanted), strict=True)
                    }
                ended = whose.keys() & ends.at.keys()
                more = [whose.pop(one) for one in ended]
                self.done += len(more)
                self.open = set(whose)
                if not more:
                    await asyncio.sleep(0.005)


class Stage(FakeFront):
    """A platform that notes when it got a post, and keeps nothing else."""

    def __init__(self) -> None:
        super().__init__(name="bench", recognises_repeats=False, keeps_messages=True)
        self.arrived_posts: dict[int, Arrived] = {}
        self.people: People | None = None
        self._numbers = itertools.count(1)

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        row = outgoing.delivery
        if row.kind is DeliveryKind.POST and row.post_id is not None and self.people is not None:
            now, busy = self.people.engine.clock.now(), len(self.people.open)
            self.arrived_posts[row.post_id] = Arrived(now, bool(outgoing.pictures), busy)
        return (f"message {next(self._numbers)}",)


def take_late(
    folder: Path, *, many: int, people: int, ahead: float, spread: float
) -> tuple[list[Figure], str]:
    """`ahead`: seconds before the first of them is due; from then on they are due within `spread` seconds."""
    keep_quiet()
    return asyncio.run(_late(folder / "home", many, people, ahead, spread))


async def _late(home: Path, many: int, people: int, ahead: float, spread: float) -> tuple[list[Figure], str]:
    settings = settings_of(home).model_copy(update={"web": WebSettings(port=0)})
    stage = Stage()
    async with open_house(settings, [stage], renderer=Slow(pause=STEP)) as house:
        engine = house.engine
        async with _asking(engine, people) as crowd:
            stage.people = crowd
            planned = await _plan(engine, many, ahead, spread)
            made = await _made_ahead(engine, planned)
            async with asyncio.timeout(ahead + spread + PICTURE_PATIENCE.total_seconds() + 60):
                while len(stage.arrived_posts) < many:  # noqa: ASYNC110 - the outbox shows them
                    await asyncio.sleep(0.1)
            done = crowd.done
    came = [(stage.arrived_posts[post.id], post) for post in planned]
    late = [(one.at - post.due_at).total_seconds() for one, post in came]
    figures = [
        Figure(
            f"late: delivery time − due time, p99 of {many} posts with the interactive lane busy, seconds",
            p99(late),
            "≤ 2",
            "lower",
            "0",
        ),
        Figure("late: posts that came before their time", sum(one < 0 for one in late), "0", "lower", "0"),
        Figure(
            "late: posts without the picture that was wanted",
            sum(not one.pictured for one, _ in came),
            "0",
            "lower",
            "0",
        ),
    ]
    notes = (
        f"median {median(late):.3f} s, most {max(late):.3f} s; whenever a post came, at least "
        f"{min(one.busy for one, _ in came)} jobs of {EACH} pictures were in line or being drawn for {people} "
        f"people without a pause, and {done} were done meanwhile\n"
        f"due from {ahead:.0f} s on within {spread:.0f} s; all their pictures were there after {made:.0f} s"
    )
    return figures, notes


@asynccontextmanager
async def _asking(engine: Engine, people: int) -> AsyncIterator[People]:
    crowd = People(engine, await askers(engine, people))
    asking = asyncio.create_task(crowd.keep_asking())
    try:
        yield crowd
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


async def _plan(engine: Engine, many: int, ahead: float, spread: float) -> list[Post]:
    dice, now = random.Random(20_261_128), engine.clock.now()
    dues = [now + timedelta(seconds=ahead + dice.random() * spread) for _ in range(many)]

    async def planned(tx: AsyncConnection) -> list[Post]:
        cast: list[PersonaRecord] = [await personas.get(tx, one.id) for one in await personas.listing(tx)]
        rooms = [
            await chats.add_place(tx, ChatRef("bench", "one", f"channel {n}"), persona_id=None, now=now)
            for n in range(ROOMS)
        ]
        added = [
            await posts.add(
                tx,
                key=f"bench:{number}",
                due_at=due,
                chat_id=rooms[number % ROOMS].id,
                persona_id=cast[number % len(cast)].id,
                now=now,
                theme="a walk along the harbour",
            )
            for number, due in enumerate(dues)
        ]
        return [one for one in added if one is not None]

    found = await engine.database.change(planned)
    engine.posting.publishing.nudge()
    return found


async def _made_ahead(engine: Engine, planned: Sequence[Post]) -> float:
    """How many seconds it took until all of them had their pictures, or the last was due."""
    began, last = time.monotonic(), max(post.due_at for post in planned)
    while engine.clock.now() < last:
        rows = await engine.database.look(partial(_pictured, planned=planned))
        if all(rows):
            break
        await asyncio.sleep(0.25)
    return time.monotonic() - began


async def _pictured(tx: AsyncConnection, planned: Sequence[Post]) -> list[bool]:
    return [(await posts.get(tx, post.id)).picture_id is not None for post in planned]


def p99(values: Sequence[float]) -> float:
    """The value that ninety-nine of a hundred do not pass."""
    ordered = sorted(values)
    return ordered[-(-99 * len(ordered) // 100) - 1]
