"""The house: one process, one loop. It starts everything, keeps the fronts running, drains and stops.

What stops it is one event. Stopping takes at most `DRAIN_SECONDS`: replies being written are finished, what is
owed is shown, jobs in hand go back in line. What does not end in time is left as rows, and the next start goes on.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
import uvicorn

from bot.delivery import Deliveries
from bot.desk import Desk
from bot.front import Front
from bot.lookout import Lookout
from bot.parts import Parts, called
from bot.progress import Easels
from bot.shown import ended_shown
from bot.stagehands import Stagehands
from bot.web.app import create_app
from bot.web.doors import check_bind
from bot.web.happenings import Happenings
from bot.web.lines import Lines
from bot.web.pages import Pages
from engine.clock import Clock
from engine.engine import Engine
from engine.errors import SettingsError
from engine.events import CLOSING
from engine.home import Address, Home
from engine.language import LanguageModel
from engine.pictures import Renderer
from engine.settings import Settings, address_here

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 10.0
#: How long a thread of ours may compute before it lets others on, in seconds. Python's own 5 ms are added to each hop
#: between the loop and the store's thread while a picture is drawn, and a message takes dozens of them.
TURN_SECONDS = 0.0001
#: Of `DRAIN_SECONDS`: how long replies may take to be finished, what is owed to be shown, requests to be answered.
REPLY_SECONDS = 5.0
SHOW_SECONDS = 2.0
ANSWER_SECONDS = 1.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
#: So many bytes a message has at most that comes in by a socket.
MOST_ON_A_LINE = 64 * 1024
#: A part that ran this long was well; its next trouble starts with a short pause again.
WELL_SECONDS = 120.0


@dataclass
class House:
    """An open house. `stop` is set by whoever wants it closed."""

    engine: Engine
    desk: Desk
    address: Address
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def open_house(
    settings: Settings,
    fronts: Sequence[Front] = (),
    *,
    models: Sequence[LanguageModel] = (),
    renderer: Renderer | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[House]:
    """Own the home and run everything for as long as the block lasts; then drain."""
    home = Home(settings.home)
    with home.own(), _quick_turns():
        async with Engine.open(settings, models=models, renderer=renderer, clock=clock, home=home) as engine:
            lines, pages = Lines(), Pages(engine.database, engine.clock)
            everybody: list[Front] = [lines, pages, *fronts]
            desk = Desk(engine, everybody)
            pages.answering = desk.answering
            easels = Easels(engine, everybody)
            hands = Stagehands(engine, desk, easels)
            parts = Parts()
            running = partial(kept_running, clock=engine.clock, parts=parts)
            deliveries = Deliveries(engine, everybody, hands)
            await check_bind(engine)
            with _door(settings) as door:
                address = home.announce(_url(door))
                app = create_app(
                    engine,
                    desk,
                    lines,
                    pages,
                    address.secret,
                    deliveries.somebody_came,
                    parts=parts,
                    fronts=everybody,
                )
                server = Server(_served(app, settings))
                house = House(engine, desk, address)
                call_back = partial(engine.callbacks.run, ended_shown)
                failure: Exception | None = None
                async with asyncio.TaskGroup() as group:
                    web = group.create_task(server.serve([door]))
                    pump = group.create_task(running("outbox", deliveries.run))
                    work = group.create_task(running("pictures", engine.work))
                    listening = [
                        group.create_task(running(called(front, everybody), partial(front.run, desk)))
                        for front in everybody
                    ]
                    aside = [
                        group.create_task(engine.shelf.warm()),
                        group.create_task(running("easels", easels.run)),
                        group.create_task(running("forgetting", hands.sweep)),
                        group.create_task(running("posts", engine.posting.run)),
                        group.create_task(running("feeds", engine.newsroom.run)),
                        group.create_task(running("orders", engine.standing.run)),
                        group.create_task(running("callbacks", call_back)),
                        group.create_task(running("page", Happenings(engine, pages).run)),
                        group.create_task(running("lookout", Lookout(engine).run)),
                        group.create_task(running("history", engine.history.run)),
                    ]
                    await desk.resume()
                    log.info("house_open", address=address.url, home=str(home.path))
                    try:
                        with _kept_for_good():
                            yield house
                    except Exception as error:  # the caller's own: it leaves as it came, not in a group
                        failure = error
                    finally:
                        for task in aside:
                            task.cancel()
                        await _drain(desk, listening, work, pump)
                        engine.events.publish(CLOSING)
                        pages.watchers.close()
                        server.should_exit = True
                        await asyncio.wait([web], timeout=ANSWER_SECONDS)
                        server.force_exit = True
                        web.cancel()
                        await server.hang_up()
                        log.info("house_closed")
                if failure is not None:
                    raise failure


async def kept_running(
    name: str, run: Callable[[], Awaitable[None]], clock: Clock, parts: Parts | None = None
) -> None:
    """Run a part of the house, and start it again with growing pauses when it ends. The others never notice.

    `parts` is told how it is.
    """
    pause = FIRST_PAUSE
    parts = parts or Parts()
    while True:
        began = clock.monotonic()
        parts.runs(name)
        try:
            await run()
            parts.stopped(name, "")
            log.warning("part_ended", part=name, again_in=pause)
        except SettingsError as error:
            # It never works with these settings; the others go on without it.
            parts.stopped(name, str(error), given_up=True)
            log.error("part_given_up", part=name, cause=str(error))  # noqa: TRY400 - the sentence says it all
            return
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not we were cancelled, but something inside it, which it let through.
            parts.stopped(name, "")
            log.warning("part_ended", part=name, again_in=pause)
        except Exception as error:
            parts.stopped(name, str(error) or type(error).__name__)
            log.exception("part_failed", part=name, again_in=pause)
        if clock.monotonic() - began >= WELL_SECONDS:
            pause = FIRST_PAUSE
        await clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def _drain(
    desk: Desk, listening: Sequence[asyncio.Task[None]], work: asyncio.Task[None], pump: asyncio.Task[None]
) -> None:
    """Stop hearing, finish what is being said, hand back what is being made, show what is owed."""
    for task in listening:
        task.cancel()
    work.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(REPLY_SECONDS):
            await desk.quiet()
    await desk.close()
    await asyncio.wait([work], timeout=DRAIN_SECONDS - REPLY_SECONDS - SHOW_SECONDS - ANSWER_SECONDS)
    work.cancel()  # a second time: no more grace
    pump.cancel()
    await asyncio.wait([pump], timeout=SHOW_SECONDS)


@contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM ask the house to close; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextmanager
def _quick_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """What was made while the house opened stays as long as it does: Python need not look through it for waste again
    and again, a quarter of a second each time in which nobody is heard.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Server(uvicorn.Server):
    """uvicorn without hands on our signals: the house decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def hang_up(self) -> None:
        """Whoever still asks, or is still told something, has had their time: behind it the store is closed."""
        if late := list(self.server_state.tasks):
            log.info("hung_up", requests=len(late))
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=1.0)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _served(app: Callable[..., Awaitable[None]], settings: Settings) -> uvicorn.Config:
    proxies = settings.web.trusted_proxies
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        # What somebody says of where they come from is believed of nobody whom the operator did not name.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        # The lightest there is, and nothing of it is packed: each packer takes more memory than all else of a line.
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=MOST_ON_A_LINE,
    )


@contextmanager
def _door(settings: Settings) -> Iterator[socket.socket]:
    """Where the house listens. Where the usual port is taken, any free one does: clients read it from the note."""
    family = socket.AF_INET6 if ":" in settings.web.host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            _bind(door, settings.web.host, settings.web.port)
        except OSError:
            log.info("port_taken", port=settings.web.port)
            _bind(door, settings.web.host, 0)
        # Before anybody reads of it: who knocks while we still open waits, and is not turned away.
        door.listen(128)
        yield door
    finally:
        door.close()


def _bind(door: socket.socket, host: str, port: int) -> None:
    try:
        door.bind((host, port))
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(
                f"web.host: {host} is no address of this machine. 127.0.0.1 is for itself alone, 0.0.0.0 for all."
            ) from None
        raise


def _url(door: socket.socket) -> str:
    """Where this machine itself finds the door."""
    host, port = door.getsockname()[:2]
    return address_here(host, port)
