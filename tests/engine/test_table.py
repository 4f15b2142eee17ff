"""Who goes on the next pass: order is kept, nobody is left, and nobody's failure or picture is another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import RenderFailed, Stopped, TryAgain
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered
from engine.pictures.table import Finished, Order, Table, Waiting, next_pass
from engine.testing import FakeRenderer
from personas.appearance import Ledger, Scene
from personas.persona import Persona

SCENE = Scene(Persona(slug="ada", name="Ada"), "on the roof", Ledger(), 7)


def wanted(seed: int, width: int = 64, steps: int = 3) -> PictureWanted:
    return PictureWanted(SCENE, "a roof", "", seed, width, 64, steps=steps)


# The decision


def lines() -> st.SearchStrategy[list[Waiting]]:
    """Orders of some pictures each, one behind the other."""
    order = st.tuples(st.integers(1, 4), st.sampled_from([64, 96]), st.booleans())
    return st.lists(order, max_size=8).map(
        lambda orders: [
            Waiting(owner, wanted(number, width), alone)
            for owner, (count, width, alone) in enumerate(orders)
            for number in range(count)
        ]
    )


#: What a renderer may answer, and what it must not.
answers = st.lists(st.integers(-3, 40), max_size=12)
hands = st.integers(0, 6)


@given(lines(), answers, hands)
def test_whatever_the_renderer_answers_the_first_goes_and_order_is_kept(
    waiting: list[Waiting], answer: list[int], owners: int
) -> None:
    going = next_pass(waiting, lambda _wanted: answer, owners)
    if not waiting:
        assert going == []
        return
    assert going[0] == 0
    assert going == sorted(set(going) & set(range(len(waiting))))
    served = {waiting[place].owner for place in going}
    assert len(served) <= max(1, owners)
    assert len(served) == 1 or not any(waiting[place].alone for place in going)


@given(lines(), hands)
def test_no_more_go_than_the_renderer_takes_along(waiting: list[Waiting], owners: int) -> None:
    asked: list[Sequence[PictureWanted]] = []
    renderer = FakeRenderer()

    def company(those: Sequence[PictureWanted]) -> list[int]:
        asked.append(those)
        return renderer.company(those)

    going = next_pass(waiting, company, owners)
    if asked:
        [those] = asked
        taken = [those[at] for at in renderer.company(those)]
        assert all(any(waiting[place].wanted is one for one in taken) for place in going)
        assert len(going) <= renderer.at_once
        if owners >= len(those):
            assert len(going) == len(taken), "and nobody who could go stays behind"
    else:
        assert len(going) <= 1, "one alone needs not be asked about"


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from([64, 96]), st.integers(0, 12)), max_size=12), hands
)
def test_nobody_waits_for_longer_than_those_before_take(
    orders: list[tuple[int, int, int]], owners: int
) -> None:
    """Each picture of those before takes one pass at most, whatever comes behind meanwhile."""
    renderer, line, passes = FakeRenderer(), list[Waiting](), 0
    patience: dict[int, int] = {}
    coming = sorted(enumerate(orders), key=lambda one: one[1][2])
    while line or coming:
        while coming and (coming[0][1][2] <= passes or not line):
            owner, (count, width, _) = coming.pop(0)
            line += [Waiting(owner, wanted(number, width)) for number in range(count)]
            patience[owner] = passes + len(line)
        going = next_pass(line, renderer.company, owners)
        line = [one for place, one in enumerate(line) if place not in going]
        passes += 1
        assert all(patience[one.owner] > passes - 1 for one in line)
    assert passes <= sum(count for count, _, _ in orders)


def test_nobody_waits_longer_for_a_lower_lane_that_goes_along() -> None:
    """First one size, then another of the same lane, then backfill of the first one's size."""
    waiting = [Waiting(0, wanted(0)), Waiting(1, wanted(1, 96)), Waiting(2, wanted(2), lane=9)]

    def everybody_alike(some: Sequence[PictureWanted]) -> list[int]:
        return [at for at, one in enumerate(some) if one.width == some[0].width]

    assert next_pass(waiting, everybody_alike, 5) == [0]
    assert next_pass([waiting[0], waiting[2]], everybody_alike, 5) == [0, 1]
    same_lane = [*waiting[:2], Waiting(2, wanted(2))]
    assert next_pass(same_lane, everybody_alike, 5) == [0, 2]


# The table


class Held(FakeRenderer):
    """Waits before each rendering until it may; and does not make a certain picture."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Semaphore(0)
        self.asked = 0
        self.cannot = -1
        self.error: BaseException = RenderFailed("no such colour")
        self.closed = threading.Event()

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        self.asked += 1
        assert self.may.acquire(timeout=30)
        if self.cannot in [one.seed for one in wanted]:
            self.passes.append([one.seed for one in wanted])
            raise self.error
        return super().render(wanted, progress)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def renderer() -> Held:
    return Held()


@asynccontextmanager
async def spread(renderer: FakeRenderer, hands: int = 6) -> AsyncIterator[Table]:
    table = Table(renderer, hands)
    try:
        yield table
    finally:
        table.close()


def order(job_id: int, *pictures: PictureWanted, rank: int = 0, **more: Any) -> Order:
    heard: dict[str, Any] = {"told": lambda *_: None, "look": lambda _: None, "stopped": lambda: False}
    return Order(job_id, (rank, job_id), pictures, **(heard | more))


async def made(table: Table, wish: Order) -> list[Finished]:
    async with aclosing(table.make(wish)) as coming:
        return [one async for one in coming]


async def laid(table: Table, *jobs: int) -> None:
    async with asyncio.timeout(30):
        while table.jobs != jobs:  # noqa: ASYNC110 - it changes on the picture thread
            await asyncio.sleep(0.002)


Making = list[asyncio.Task[list[Finished]]]


async def gathered(table: Table, renderer: Held, *wishes: Order) -> Making:
    """They lie on the table while the picture thread is busy with somebody else's, and go as soon as it may go on."""
    before = asyncio.create_task(made(table, order(0, wanted(0, 512), rank=-1)))
    async with asyncio.timeout(30):
        while not renderer.asked:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.002)
    making = [asyncio.create_task(made(table, wish)) for wish in wishes]
    await laid(table, 0, *(wish.job_id for wish in sorted(wishes, key=lambda wish: wish.place)))
    renderer.may.release(99)
    await before
    return making


async def test_who_stands_further_ahead_in_line_goes_first_whenever_they_came(renderer: Held) -> None:
    async with spread(renderer) as table:
        wishes = [
            order(1, wanted(1, 96), rank=5),
            order(2, wanted(2, 128), rank=2),
            order(3, wanted(3), rank=9),
        ]
        await asyncio.gather(*await gathered(table, renderer, *wishes))
    assert renderer.passes == [[0], [2], [1], [3]]


async def test_who_is_to_be_alone_shares_with_nobody_and_the_others_go_together(renderer: Held) -> None:
    async with spread(renderer) as table:
        wishes = [order(1, wanted(1)), order(2, wanted(2), alone=True), order(3, wanted(3))]
        await asyncio.gather(*await gathered(table, renderer, *wishes))
    assert renderer.passes == [[0], [1, 3], [2]]


@pytest.mark.parametrize(
    ("hands", "passes"),
    [
        (1, [[1], [2], [3], [4], [5]]),
        (2, [[1], [2], [3], [4], [5]]),
        (3, [[1, 2], [3, 4], [5]]),
        (6, [[1, 2, 3, 4], [5]]),
    ],
)
async def test_a_pass_leaves_a_hand_free_unless_there_is_but_one(
    renderer: Held, hands: int, passes: list[list[int]]
) -> None:
    async with spread(renderer, hands) as table:
        wishes = [order(job, wanted(job)) for job in range(1, 6)]
        await asyncio.gather(*await gathered(table, renderer, *wishes))
    assert renderer.passes[1:] == passes


@pytest.mark.parametrize("error", [RenderFailed("no such colour"), KeyError("a mistake"), SystemExit(3)])
async def test_only_who_cannot_be_made_fails_and_hears_why(renderer: Held, error: BaseException) -> None:
    renderer.cannot, renderer.error = 2, error
    async with spread(renderer) as table:
        making = await gathered(table, renderer, *(order(job, wanted(job)) for job in (1, 2, 3)))
        found = await asyncio.gather(*making, return_exceptions=True)
    assert renderer.passes[1:] == [[1, 2, 3], [1], [2], [3]]
    assert [isinstance(one, Exception) for one in found] == [False, True, False]
    if isinstance(error, Exception):
        assert found[1] is error
    else:
        assert "SystemExit" in str(found[1]), "and the picture thread goes on"


async def test_passing_trouble_is_everybodys(renderer: Held) -> None:
    renderer.cannot, renderer.error = 2, TryAgain("in a moment")
    async with spread(renderer) as table:
        making = await gathered(table, renderer, *(order(job, wanted(job)) for job in (1, 2, 3)))
        found = await asyncio.gather(*making, return_exceptions=True)
    assert [isinstance(one, TryAgain) for one in found] == [True] * 3
    assert renderer.passes[1:] == [[1, 2, 3]]


async def test_too_few_pictures_are_a_failure() -> None:
    class Short(FakeRenderer):
        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            return super().render(wanted, progress)[:-1]

    async with spread(Short()) as table:
        with pytest.raises(ValueError, match="zip"):
            await made(table, order(1, wanted(1), wanted(2)))


async def test_a_renderer_that_cannot_say_who_goes_along_renders_one_by_one() -> None:
    class Dumb(FakeRenderer):
        def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
            raise RenderFailed("the weights are broken")

    renderer = Dumb()
    async with spread(renderer) as table:
        found = await made(table, order(1, wanted(1), wanted(2)))
    assert [one.number for one in found] == [0, 1]
    assert renderer.passes == [[1], [2]]


async def test_who_stops_listening_is_passed_over(renderer: Held) -> None:
    async with spread(renderer) as table:
        making = [asyncio.create_task(made(table, order(job, wanted(job, 64 * job)))) for job in (1, 2, 3)]
        await laid(table, 1, 2, 3)
        making[1].cancel()
        await laid(table, 1, 3)
        renderer.may.release(9)
        await asyncio.gather(making[0], making[2])
    assert renderer.passes == [[1], [3]]


async def test_a_closed_table_takes_no_orders_and_its_thread_lets_go(renderer: Held) -> None:
    table = Table(renderer, 6)
    making = asyncio.create_task(made(table, order(1, wanted(1))))
    await laid(table, 1)
    table.close()
    renderer.may.release()
    with pytest.raises(TryAgain):
        await made(table, order(2, wanted(2)))
    assert await asyncio.to_thread(renderer.closed.wait, 30)
    assert not making.done(), "what was not finished has no outcome"
    making.cancel()
    assert renderer.rendered == []


# What is to be seen


class Redoing(Held):
    """Its pictures are made together until something goes wrong; from then on one by one, and so they are seen."""

    def __init__(self, steps: list[tuple[int, int, int]]) -> None:
        super().__init__()
        #: Step, of how many, and whose picture is to be seen, by its place.
        self.steps = steps

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        made = super().render(wanted, lambda *_: None)
        for step, steps, place in self.steps:
            seen = Image.new("RGB", (8, 8), (wanted[min(place, len(wanted) - 1)].seed, 0, 0))
            progress(step, steps, seen.copy)
        return made


WHOLE = [(1, 4, 0), (2, 4, 0), (3, 4, 0), (4, 4, 0)]


def noting(colours: list[int]) -> Callable[[Preview], None]:
    """Looks at each picture, and keeps how red it is."""

    def look(preview: Preview) -> None:
        colour = preview().getpixel((0, 0))
        assert isinstance(colour, tuple)
        colours.append(int(colour[0]))

    return look


@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        (WHOLE, 4),
        ([(1, 4, 0), (2, 4, 0), (2, 4, 0), (2, 4, 1), (3, 4, 1), (4, 4, 1)], 2),
        ([*WHOLE, (4, 4, 1), (4, 4, 1)], 4),
        ([(1, 4, 0), (2, 8, 1), (3, 8, 1)], 1),
        ([(1, 1, 0), (1, 1, 1)], 1),
    ],
    ids=["as it should", "halved", "flawed", "by another", "in one step"],
)
async def test_what_does_not_say_whose_it_is_goes_to_the_first_as_long_as_it_is_surely_theirs(
    steps: list[tuple[int, int, int]], seen: int
) -> None:
    looks: dict[int, list[int]] = {2: [], 3: []}

    renderer = Redoing(steps)
    async with spread(renderer) as table:
        wishes = [order(job, wanted(job), look=noting(looks[job])) for job in (2, 3)]
        await asyncio.gather(*await gathered(table, renderer, *wishes))
    assert renderer.passes[1:] == [[2, 3]]
    assert looks == {2: [2] * seen, 3: []}


class Showing(Held):
    """Says of each step whose pictures are to be seen, by their places, and counts what is looked at."""

    def __init__(self, steps: list[tuple[int, int, tuple[int, ...]]]) -> None:
        super().__init__()
        self.steps = steps
        self.looks: list[int] = []

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        made = super().render(wanted, lambda *_: None)
        for step, steps, places in self.steps:
            progress(step, steps, Looks({place: partial(self.looked, wanted, place) for place in places}))
        return made

    def looked(self, wanted: Sequence[PictureWanted], place: int) -> Image.Image:
        self.looks.append(place)
        return Image.new("RGB", (8, 8), (wanted[place].seed if place < len(wanted) else 99, 0, 0))


ALL = (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        ([(1, 2, ALL), (2, 2, ALL)], {2: [20, 20], 3: [30, 30], 4: [40, 40]}),
        # In halves, and one of them once more: steps do not go on, and it is still known whose they are.
        (
            [(1, 2, ALL), (1, 2, (0, 1)), (2, 2, (2, 3)), (2, 2, (3,))],
            {2: [20, 20], 3: [30, 30], 4: [40, 40, 41]},
        ),
        ([(1, 4, (3,)), (2, 8, (1,))], {2: [], 3: [30], 4: [41]}),
        ([(1, 1, ()), (1, 1, (7, -1))], {2: [], 3: [], 4: []}),
    ],
    ids=["as it should", "in halves", "one by one", "oddly"],
)
async def test_each_order_of_a_shared_pass_sees_a_picture_of_its_own(
    steps: list[tuple[int, int, tuple[int, ...]]], seen: dict[int, list[int]]
) -> None:
    renderer, looks = Showing(steps), {job: list[int]() for job in seen}

    async with spread(renderer) as table:
        wishes = [
            order(2, wanted(20), look=noting(looks[2])),
            order(3, wanted(30), look=noting(looks[3])),
            order(4, wanted(40), wanted(41), look=noting(looks[4])),
        ]
        await asyncio.gather(*await gathered(table, renderer, *wishes))
    assert renderer.passes[1:] == [[20, 30, 40, 41]]
    assert looks == seen
    assert len(renderer.looks) == sum(map(len, looks.values())), (
        "one for each order and step, and none for nobody"
    )


async def test_who_is_passed_over_is_not_looked_at_and_hides_nobody(renderer: Held) -> None:
    showing, stopped = Showing([(1, 2, ALL), (2, 2, ALL)]), threading.Event()
    looks: list[Preview] = []

    def first_is_stopped(preview: Preview) -> None:
        stopped.set()

    async with spread(showing) as table:
        wishes = [
            order(1, wanted(1), look=first_is_stopped, stopped=stopped.is_set),
            order(2, wanted(2), look=looks.append),
        ]
        found = await asyncio.gather(*await gathered(table, showing, *wishes), return_exceptions=True)
    assert isinstance(found[0], Stopped)
    assert isinstance(found[1], list)
    assert len(looks) == 2


async def test_one_order_sees_whatever_there_is_of_its_own() -> None:
    looks: list[int] = []
    renderer = Redoing([(1, 2, 0), (2, 2, 0), (2, 2, 1)])

    def look(preview: Preview) -> None:
        colour = preview().getpixel((0, 0))
        assert isinstance(colour, tuple)
        looks.append(int(colour[0]))

    renderer.may.release(9)
    async with spread(renderer) as table:
        await made(table, order(1, wanted(5), wanted(6), look=look))
    assert looks == [5, 5, 6]


async def test_steps_of_an_order_only_grow_whatever_its_passes_tell() -> None:
    told: list[tuple[int, int]] = []
    renderer = Redoing([(1, 4, 0), (3, 4, 0), (2, 4, 0), (4, 4, 0)])
    pictures = [wanted(seed, width) for seed, width in ((1, 64), (2, 64), (3, 96))]
    renderer.may.release(9)
    async with spread(renderer) as table:
        await made(table, order(1, *pictures, told=lambda *step: told.append(step)))
    assert told == sorted(told)
    assert {total for _, total in told} == {6}
    assert told[-1] == (6, 6)


async def test_a_stopped_order_hears_of_it_and_takes_nobody_along(renderer: Held) -> None:
    stopped = threading.Event()
    async with spread(renderer) as table:
        stopped.set()
        wishes = [order(1, wanted(1)), order(2, wanted(2), stopped=stopped.is_set), order(3, wanted(3))]
        found = await asyncio.gather(*await gathered(table, renderer, *wishes), return_exceptions=True)
    assert [isinstance(one, Stopped) for one in found] == [False, True, False]
    assert renderer.passes[1:] == [[1, 3]]


async def test_between_two_steps_somebody_else_may_have_a_turn() -> None:
    turns: list[tuple[str, float]] = []
    on: list[str] = []

    def between(seconds: float, device: str) -> None:
        turns.append((threading.current_thread().name, seconds))
        on.append(device)

    table = Table(FakeRenderer(), 2, between)
    try:
        for number in range(2):
            await made(table, order(number, wanted(number, steps=3)))
    finally:
        table.close()
    assert len(turns) == 2 * 2, "behind the last step of a picture nobody has to be let in"
    assert all(name.startswith("pictures") and seconds >= 0 for name, seconds in turns)
    assert on[:2] == ["", ""]
    assert on[2] == on[3] != ""


async def test_it_is_warmed_when_pictures_were_made_and_nobody_waits(renderer: Held) -> None:
    renderer.cold = 1
    renderer.may.release(99)
    async with spread(renderer) as table:
        table.warm()
        await made(table, order(1, wanted(1)))
        assert renderer.cold == 1, "before the first picture nobody knows whether there will be any"
        async with asyncio.timeout(30):
            while renderer.cold:  # its thread may be busy with the picture for a moment more
                table.warm()
                await asyncio.sleep(0.002)
        assert [one.number for one in await made(table, order(2, wanted(2)))] == [0]


async def test_asked_to_rest_the_renderer_lets_go_between_two_passes_and_is_there_for_the_next(
    renderer: Held,
) -> None:
    async with spread(renderer) as table:
        making = asyncio.create_task(made(table, order(1, wanted(1))))
        async with asyncio.timeout(30):
            while not renderer.asked:  # noqa: ASYNC110 - it changes on the picture thread
                await asyncio.sleep(0.002)
        resting = asyncio.create_task(asyncio.to_thread(table.rest))
        await asyncio.sleep(0.01)
        assert not renderer.closed.is_set(), "not under somebody's picture"
        renderer.may.release(9)
        assert await resting
        assert renderer.closed.is_set()
        assert len(await making) == 1
        assert len(await made(table, order(2, wanted(2)))) == 1
    assert await asyncio.to_thread(table.rest), "closed, it holds nothing"


async def test_after_a_rest_there_is_nothing_to_warm_before_the_next_picture_and_then_it_is_warmed_again(
    renderer: Held,
) -> None:
    renderer.may.release(99)
    async with spread(renderer) as table:

        async def warmed() -> None:
            async with asyncio.timeout(30):
                while renderer.cold:
                    table.warm()
                    await asyncio.sleep(0.002)

        await made(table, order(1, wanted(1)))
        renderer.cold = 2
        await warmed()
        assert await asyncio.to_thread(table.rest)
        renderer.cold = 1
        for _ in range(20):
            table.warm()
            await asyncio.sleep(0.002)
        assert renderer.cold == 1, "whoever asked for the memory keeps it until somebody wants a picture"
        await made(table, order(2, wanted(2)))
        await warmed()
