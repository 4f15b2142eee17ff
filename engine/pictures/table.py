"""The table before the picture thread: orders lie on it by their place in line, and whenever that thread is free, it
takes the first one's pictures and whatever of the others goes through in the same pass.

It knows orders, pictures and passes. Who asked, and what becomes of a finished picture, it does not know.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

import structlog

from engine.errors import Stopped, TryAgain
from engine.pictures import Looks, PictureWanted, Preview, Rendered, Renderer
from engine.stepping_back import step_back

log = structlog.get_logger(__name__)

#: Whoever asks that the renderer let go waits so many seconds for a pass under way.
RESTING = 60.0

Company = Callable[[Sequence[PictureWanted]], Sequence[int]]


@dataclass(frozen=True)
class Waiting:
    """A picture that nobody has begun: whose it is, and whether it goes with none of the others'."""

    owner: int
    wanted: PictureWanted
    alone: bool = False
    #: The lane of its order: smaller goes first.
    lane: int = 0


def next_pass(waiting: Sequence[Waiting], company: Company, owners: int) -> list[int]:
    """Which of those that wait go now, by their places. They stand in their order, and keep it.

    The first one always goes, and with it what the renderer takes along, of its own owner or of others, but of no
    more than so many owners. Nobody of a higher lane waits longer for what goes along of a lower one.
    """
    if not waiting:
        return []
    first = waiting[0]
    may = [
        place
        for place, one in enumerate(waiting)
        if one.owner == first.owner or not (first.alone or one.alone)
    ]
    if len(may) == 1:
        return may
    along = company([waiting[place].wanted for place in may])
    # A renderer that answers oddly costs nobody their place.
    going = [may[at] for at in sorted({0, *along} & set(range(len(may))))]
    left = min((place for place in range(len(waiting)) if place not in going), default=len(waiting))
    lane = min(
        (waiting[place].lane for place in range(left, len(waiting)) if place not in going), default=None
    )
    going = [place for place in going if place < left or lane is None or waiting[place].lane <= lane]
    served = list(dict.fromkeys(waiting[place].owner for place in going))[: max(1, owners)]
    return [place for place in going if waiting[place].owner in served]


@dataclass(frozen=True)
class Order:
    """What one job wants of the picture thread, and who hears of it."""

    job_id: int
    #: Lowest first; no two orders have the same.
    place: tuple[int, int]
    wanted: tuple[PictureWanted, ...]
    #: Asked on the picture thread, between steps.
    stopped: Callable[[], bool]
    #: Told on the loop after each step: how far all its pictures are.
    told: Callable[[int, int], None]
    #: Handed on the picture thread what shows a picture of this order, and never another's.
    look: Callable[[Preview], None]
    #: Smaller goes first; of a lower lane nobody goes along while a higher one waits behind.
    lane: int = 0
    #: It shares its pass with nobody.
    alone: bool = False


@dataclass(frozen=True)
class Finished:
    """A picture that is made: which of its order's, and its share of the seconds that its pass took."""

    number: int
    rendered: Rendered
    seconds: float


class _Laid:
    """An order on the table, and what has become of it by now."""

    def __init__(self, order: Order, loop: asyncio.AbstractEventLoop) -> None:
        self.order = order
        #: The pictures that are not made yet. Only the picture thread takes from them.
        self.left = list(range(len(order.wanted)))
        #: It is to be so; or a pass with others has failed: whoever it was, the next failure is nobody else's.
        self.alone = order.alone
        #: Nobody waits for it any more.
        self.gone = False
        self.came: asyncio.Queue[Finished | Exception] = asyncio.Queue()
        self._loop = loop
        self._furthest = self._total = 0

    def send(self, news: Finished | Exception) -> None:
        self._on_the_loop(self.came.put_nowait, news)

    def stepped(self, share: int, step: int, steps: int) -> None:
        """A pass with so many of its pictures has made a step. What is done again is not told backwards."""
        count = len(self.order.wanted)
        self._total = self._total or max(1, round(steps * count / share))
        done = (count - len(self.left) + share * min(1.0, step / steps)) / count
        self._furthest = max(1, self._furthest, round(self._total * done))
        self._on_the_loop(self.order.told, self._furthest, self._total)

    def _on_the_loop(self, call: Callable[..., object], *args: Any) -> None:
        with suppress(RuntimeError):  # it is closed: the process ends, and nobody listens
            self._loop.call_soon_threadsafe(call, *args)


class Table:
    """Orders on their way through the one thread that touches the renderer.

    `hands` is how many orders are in work at once, from the line to the disk. A pass leaves one of them free, so that
    while its pictures are encoded and stored the next ones are there to be rendered.
    """

    def __init__(
        self, renderer: Renderer, hands: int, between: Callable[[float, str], object] | None = None
    ) -> None:
        """`between` is called on the picture thread after each step, with how long it took, and on which device the
        last picture was made; it may keep the next step waiting.
        """
        self._renderer = renderer
        self._between = between
        self._device = ""
        #: There is nothing more to warm.
        self._warm = False
        self._owners = max(1, hands - 1)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures", initializer=step_back)
        #: Held by the loop and the picture thread while they change what follows, and never for long.
        self._lock = Lock()
        self._laid: list[_Laid] = []
        #: Those who wait until the renderer has let go.
        self._resting: list[Event] = []
        self._busy = False
        self.closed = False

    @property
    def jobs(self) -> tuple[int, ...]:
        """Whose orders lie here, the first first; those in the making too."""
        with self._lock:
            return tuple(laid.order.job_id for laid in self._laid)

    async def make(self, order: Order) -> AsyncGenerator[Finished, None]:
        """Each picture of an order as soon as it is made; or why there is none. Whoever stops listening is passed
        over from then on.
        """
        laid = _Laid(order, asyncio.get_running_loop())
        self._lay(laid)
        try:
            for _ in order.wanted:
                came = await laid.came.get()
                if isinstance(came, Exception):
                    raise came
                yield came
        finally:
            self._take_away(laid)

    def warm(self) -> None:
        """What makes later pictures quicker is done now, if pictures were made and nobody waits for one."""
        with self._lock:
            if self._busy or self.closed or not self._device or self._warm:
                return
            self._busy = True
            self._thread.submit(self._warm_up)

    def rest(self) -> bool:
        """The renderer lets go of what it holds, between two passes, and takes it again for the next picture. False:
        it has not done so in time.
        """
        done = Event()
        with self._lock:
            if self.closed:
                return True  # its thread lets go, or has done so
            self._resting.append(done)
            if not self._busy:
                self._busy = True
                self._thread.submit(self._work_off)
        return done.wait(RESTING)

    def close(self) -> None:
        """A pass under way ends at its next step. Nobody is told: what was not finished is done another time."""
        with self._lock:
            self.closed = True
            self._laid.clear()
            resting, self._resting = self._resting, []
        for one in resting:
            one.set()
        self._thread.submit(self._renderer.close)
        self._thread.shutdown(wait=False)

    def _lay(self, laid: _Laid) -> None:
        with self._lock:
            if self.closed:
                raise TryAgain("no pictures are made any more")
            insort(self._laid, laid, key=lambda one: one.order.place)
            if not self._busy:
                self._busy = True
                self._thread.submit(self._work_off)

    def _take_away(self, laid: _Laid) -> bool:
        """False if it had gone before."""
        with self._lock:
            gone, laid.gone = laid.gone, True
            if laid in self._laid:
                self._laid.remove(laid)
        return not gone

    # All that follows is on the picture thread.

    def dismiss_stopped(self) -> None:
        """Whoever was stopped hears of it now, whether they wait or are in the making."""
        with self._lock:
            laid = list(self._laid)
        for one in laid:
            if one.order.stopped():
                self._dismiss(one, Stopped("The picture was cancelled."))

    def between_steps(self, seconds: float) -> None:
        if self._between is not None:
            self._between(seconds, self._device)

    def _work_off(self) -> None:
        while going := self._next():
            self._pass(going)

    def _rest_now(self) -> None:
        with self._lock:
            asked, self._resting = self._resting, []
        if asked:
            self._renderer.close()
            # Before the next picture there is nothing to warm.
            self._device, self._warm = "", False
        for one in asked:
            one.set()

    def _warm_up(self) -> None:
        try:
            self._warm = not self._renderer.warm()
        except Exception:
            log.exception("not_warmed", renderer=self._renderer.name)
            self._warm = True
        finally:
            self._work_off()  # whoever came meanwhile

    def _next(self) -> list[tuple[_Laid, int]]:
        self._rest_now()
        self.dismiss_stopped()
        with self._lock:
            laid = list(self._laid)
            there = [(one, number) for one in laid for number in one.left]
            if not there:
                self._busy = bool(self._resting) and not self.closed
                if self._busy:
                    self._thread.submit(self._work_off)
                return []
        waiting = [
            Waiting(owner, one.order.wanted[number], one.alone, one.order.lane)
            for owner, one in enumerate(laid)
            for number in one.left
        ]
        return [there[place] for place in next_pass(waiting, self._company, self._owners)]

    def _company(self, wanted: Sequence[PictureWanted]) -> Sequence[int]:
        try:
            return self._renderer.company(wanted)
        except Exception as error:  # what is wrong shows in the rendering, to those whom it concerns
            log.warning("company_unknown", renderer=self._renderer.name, cause=repr(error))
            return [0]

    def _pass(self, going: Sequence[tuple[_Laid, int]]) -> None:
        wanted = [laid.order.wanted[number] for laid, number in going]
        began = time.perf_counter()
        try:
            made = self._renderer.render(wanted, _Steps(self, [laid for laid, _ in going]))
            pairs = list(zip(going, made, strict=True))
        except BaseException as error:  # nobody is left to wait for what does not come
            self._failed(list(dict.fromkeys(laid for laid, _ in going)), error)
            return
        each = (time.perf_counter() - began) / len(pairs)
        # What is wanted most may be another shape now, or what was warm was taken apart for this one.
        self._device, self._warm = made[0].device, False
        for (laid, number), rendered in pairs:
            laid.left.remove(number)
            if not laid.gone:
                laid.send(Finished(number, rendered, each))
        with self._lock:
            self._laid = [laid for laid in self._laid if laid.left]

    def _failed(self, in_it: Sequence[_Laid], error: BaseException) -> None:
        self._warm = False
        if self.closed:
            return
        if len(in_it) > 1 and not isinstance(error, (Stopped, TryAgain)):
            jobs = [laid.order.job_id for laid in in_it]
            log.warning("pass_taken_apart", jobs=jobs, cause=repr(error))
            for laid in in_it:
                laid.alone = True
            return
        for laid in in_it:
            self._dismiss(laid, error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _dismiss(self, laid: _Laid, why: Exception) -> None:
        if self._take_away(laid):
            laid.send(why)


class _Steps:
    """The progress of one pass: each order in it hears how far it is, and it ends when nobody waits for it."""

    def __init__(self, table: Table, going: Sequence[_Laid]) -> None:
        self._table = table
        self._shares = Counter(going)
        #: Whose each picture of the pass is.
        self._owners = going
        self._last = (0, 0)
        self._stepped = time.perf_counter()
        #: What is to be seen without a place is the first picture of the pass, and nothing else.
        self._sure = True

    def __call__(self, step: int, steps: int, preview: Preview | None = None, /) -> None:
        if self._table.closed:
            raise Stopped("The picture thread is another one by now.")
        self._table.dismiss_stopped()
        here = {laid: share for laid, share in self._shares.items() if not laid.gone}
        if not here:
            raise Stopped("Nobody waits for these pictures any more.")
        again = step <= self._last[0]
        for laid, look in self._seen(step, steps, preview).items():
            if laid in here:
                laid.order.look(look)
        for laid, share in here.items():
            laid.stepped(share, step, steps)
        # What is done again is told at the place where it was told before, and may be the last one.
        if step < steps or again:
            self._table.between_steps(time.perf_counter() - self._stepped)
        self._stepped = time.perf_counter()

    def _seen(self, step: int, steps: int, preview: Preview | None) -> dict[_Laid, Preview]:
        """What each order sees: one picture of its own, the first that is to be seen. Nothing is computed yet."""
        sure = self._shows_the_first(step, steps)
        if isinstance(preview, Looks):
            each = sorted(preview.each.items(), reverse=True)
            return {self._owners[place]: look for place, look in each if 0 <= place < len(self._owners)}
        return {self._owners[0]: preview} if sure and preview is not None else {}

    def _shows_the_first(self, step: int, steps: int) -> bool:
        """Steps that do not go on mean that some pictures of the pass are done again, and it is not said which: what
        is to be seen may be somebody else's from then on.
        """
        last, self._last = self._last, (step, steps)
        self._sure = self._sure and step > last[0] and steps == (last[1] or steps)
        return self._sure or len(self._shares) == 1
