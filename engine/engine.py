"""Engine: opens everything from Settings and wires it together. The only place that does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import resources

import structlog

from engine import monitor
from engine.borrowing import Borrowing
from engine.broker import Broker
from engine.callbacks import Callbacks
from engine.captions import Captions
from engine.casting import Casting
from engine.clock import Clock, SystemClock
from engine.conversation import Conversation
from engine.errors import SettingsError
from engine.events import Events
from engine.feeding import Feeder
from engine.gauges import Gauges
from engine.history import Busy, History
from engine.home import Home
from engine.imagining import Imagining, Instructions
from engine.language import LanguageModel
from engine.language import shelf as shelves
from engine.language.embedders import Embedders
from engine.language.shelf import Shelf
from engine.language.understudy import Understudy
from engine.language.writers import Writers
from engine.limits import Spent
from engine.making import Making
from engine.memory import Memory
from engine.newsroom import Newsroom
from engine.pictures import Queue, Renderer
from engine.pictures.apart import Apart
from engine.pictures.atelier import Atelier
from engine.pictures.painters import Painters
from engine.pictures.painting import loras_checked, painter
from engine.pictures.queue import EmbeddedQueue
from engine.pictures.thumbs import Thumbs
from engine.pictures.worker import Worker
from engine.posting import Posting
from engine.presence import Presence
from engine.publishing import Publishing
from engine.pulls import Pulls
from engine.runs import Runs
from engine.safety import BlockList
from engine.second_thoughts import SecondThoughts
from engine.settings import Settings
from engine.speaking import Speaking
from engine.standing import Standing
from engine.store import personas
from engine.store.database import Database
from engine.store.files import Files
from engine.store.outgoing import open_files
from engine.styles import Style, load_poses, load_styles
from engine.telling import Telling
from personas.cast import shipped_cast
from personas.persona import Pose

log = structlog.get_logger(__name__)

#: The versions of the system prompts in `data/prompts/` that are in use.
PROMPT_VERSION = "v1"


@dataclass(frozen=True)
class Engine:
    """All parts, open. Ask them; the engine itself decides nothing."""

    settings: Settings
    home: Home
    clock: Clock
    database: Database
    files: Files
    #: The same files, and small copies of them.
    thumbs: Thumbs
    events: Events
    queue: Queue
    presence: Presence
    conversation: Conversation
    second_thoughts: SecondThoughts
    speaking: Speaking
    imagining: Imagining
    runs: Runs
    standing: Standing
    casting: Casting
    posting: Posting
    newsroom: Newsroom
    callbacks: Callbacks
    worker: Worker
    atelier: Atelier
    spent: Spent
    shelf: Shelf
    embedders: Embedders
    gauges: Gauges
    history: History
    pulls: Pulls
    telling: Telling

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        models: Sequence[LanguageModel] = (),
        renderer: Renderer | None = None,
        home: Home | None = None,
    ) -> AsyncIterator[Engine]:
        """Everything ready to be used; closed again at the end of the block. Nothing is being worked on yet.

        `home`: the one of the settings, from whoever owns it.
        """
        clock = clock or SystemClock()
        home = home or Home(settings.home)
        home.prepare()
        async with AsyncExitStack() as stack:
            database = await Database.open(settings.database_url)
            stack.push_async_callback(database.close)
            async with database.write() as tx:
                seeded = await personas.seed(tx, shipped_cast(), now=clock.now())
            if seeded:
                log.info("cast_seeded", personas=seeded)

            casting, picture = _instructions("casting"), _instructions("picture")
            broker = Broker(free=monitor.gpu_free, waiting=lambda: shelf.waiting)
            shelf = Shelf(
                settings,
                shelves.Instructions(casting=casting, picture=picture),
                broker=broker,
            )
            stack.push_async_callback(shelf.close)
            embedders = Embedders(settings, broker=broker)
            stack.push_async_callback(embedders.close)
            understudy = Understudy()
            gauges = Gauges()
            writers = Writers([*models, understudy], choose=None if models else shelf.for_, gauges=gauges)
            stack.push_async_callback(writers.close)
            atelier = Atelier()
            stack.callback(atelier.close)
            stand_in = Apart(atelier)
            painters = Painters(painter(settings, stand_in, broker.share("pictures")), stand_in, clock)
            files = await stack.enter_async_context(open_files(settings.files, home, clock))
            events = Events()
            pulls = Pulls(settings.home, events)
            stack.push_async_callback(pulls.close)
            queue = await stack.enter_async_context(_queue(database, settings, clock))
            presence = Presence(database, settings, clock)
            spent = Spent()
            memory = Memory(database, presence, settings, _instructions("chat"))
            worker = Worker(
                database,
                files,
                queue,
                renderer or painters,
                events,
                clock,
                atelier,
                between=lambda step, device: broker.between_steps(step) if shelf.shares(device) else None,
                cost_per_hour=settings.pictures.cost_per_hour,
            )
            # Asked to let go, it finishes its pass: words do not wait for the whole line.
            broker.takes_part("pictures", let_go=worker.rest, busy=lambda: False)
            instructions = Instructions(picture, f"picture.{PROMPT_VERSION}")
            imagining = Imagining(
                database,
                writers,
                queue,
                events,
                _styles(home),
                settings,
                clock,
                instructions,
                spent,
                _poses(home),
                # What somebody else's renderer can wear nobody knows.
                loras=None if renderer else loras_checked(settings),
            )
            captions = Captions(
                writers,
                _instructions("caption"),
                understudy.captions,
                BlockList(settings.safety.blocked_words).allows,
            )
            borrowing = Borrowing(database, files, atelier, settings, clock)
            making = Making(database, captions, imagining, borrowing, presence, settings, clock)
            publishing = Publishing(database, making, imagining, events, clock)
            feeder = Feeder(database, imagining, queue, events, settings, clock)
            runs = Runs(database, imagining, feeder, events, settings, clock, instructions)
            yield cls(
                settings=settings,
                home=home,
                clock=clock,
                database=database,
                files=files,
                thumbs=Thumbs(files, home.thumbs, atelier),
                events=events,
                queue=queue,
                presence=presence,
                conversation=Conversation(database, writers, presence, events, settings, clock, memory),
                second_thoughts=SecondThoughts(database, writers, memory, events, clock),
                speaking=Speaking(database, writers, memory, presence, settings, clock, atelier),
                imagining=imagining,
                runs=runs,
                standing=Standing(database, runs, clock),
                casting=Casting(database, writers, settings, clock),
                posting=Posting(database, publishing, making, imagining, clock),
                newsroom=Newsroom(database, publishing, settings, clock),
                callbacks=Callbacks(database, events, settings.web, clock, home),
                worker=worker,
                atelier=atelier,
                spent=spent,
                shelf=shelf,
                embedders=embedders,
                gauges=gauges,
                history=History(
                    database,
                    settings,
                    events,
                    clock,
                    gauges,
                    lambda: Busy(len(worker.in_hand), shelf.waiting),
                ),
                pulls=pulls,
                telling=Telling(database, presence, events, settings, clock),
            )

    async def work(self) -> None:
        """Do what is in line, and what open runs put there, until cancelled."""
        if self.database.is_sqlite:
            await self.imagining.mend_line()
        feeding = asyncio.create_task(self.runs.run())
        try:
            await self.worker.run(self.settings.pictures.concurrency)
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])


@asynccontextmanager
async def _queue(database: Database, settings: Settings, clock: Clock) -> AsyncIterator[Queue]:
    """The queue that suits the store: our own on SQLite, procrastinate's on PostgreSQL."""
    if database.is_sqlite:
        yield EmbeddedQueue(database, clock)
        return
    from engine.pictures.cluster import ClusterQueue

    queue = await ClusterQueue.open(database, settings.database_url, clock)
    try:
        yield queue
    finally:
        await queue.close()


def _styles(home: Home) -> dict[str, Style]:
    """The styles that ship, and the operator's own from `styles.toml` in the home."""
    own = home.path / "styles.toml"
    try:
        return load_styles(own if own.exists() else None)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _poses(home: Home) -> tuple[Pose, ...]:
    """The poses that ship, and the operator's own from `poses.toml` in the home."""
    own = home.path / "poses.toml"
    try:
        return load_poses(own if own.exists() else None)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _instructions(name: str) -> str:
    path = resources.files("data") / "prompts" / f"{name}.{PROMPT_VERSION}.txt"
    return path.read_text(encoding="utf-8").strip()
