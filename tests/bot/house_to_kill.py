"""A house that kills its own process at a named point; `test_killed.py` starts it again and looks at what is left.

Reads a line of JSON for each life, forks, and writes down how the life ended. What it wraps is wrapped here: the
product knows of no points.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import engine.pictures
import engine.pictures.queue
from bot import commands, desk
from bot.delivery import Deliveries
from bot.house import open_house
from bot.logs import start_logging
from bot.web.lines import Lines
from engine import conversation
from engine.conversation import Conversation
from engine.engine import Engine
from engine.home import Home
from engine.imagining import Imagining
from engine.language import Wanted
from engine.pictures import PictureWanted, Preview, Progress, Rendered
from engine.pictures.queue import EmbeddedQueue
from engine.pictures.worker import Worker
from engine.settings_file import read_settings
from engine.store import chats, jobs, outbox, pictures
from engine.store.files import StoredFiles
from engine.testing import FakeLanguage, FakeRenderer
from tests.lives import bear

Point = tuple[object, str]

#: What is done, or about to be done, when the process dies. `before` and `after` are the two sides of a call.
POINTS: dict[str, Point] = {
    "a turn is heard": (Conversation, "hear"),
    "a turn is added, inside its transaction": (chats, "add_turn"),
    "a reply is stored": (Conversation, "_store_reply"),
    "something is owed, inside its transaction": (outbox, "owe"),
    "open turns are counted, inside their transaction": (chats, "reopen"),
    "open turns are answered": (desk.Desk, "resume"),
    "the outbox is read, inside its transaction": (outbox, "take"),
    "a delivery is handed to its front": (Lines, "deliver"),
    "a delivery is marked as sent, inside its transaction": (outbox, "sent"),
    "a delivery is shown": (Deliveries, "_show"),
    "a prompt is written": (Imagining, "compose"),
    "a job is added, inside its transaction": (jobs, "add"),
    "a job is put in line": (Imagining, "put_in_line"),
    "a command is run": (commands, "run"),
    "a job begins, inside its transaction": (jobs, "begin"),
    "a job is worked on": (Worker, "work"),
    "a file is put": (StoredFiles, "put"),
    "pictures are added, inside their transaction": (pictures, "add"),
    "a job ends, inside its transaction": (jobs, "end"),
    "a job is done": (Worker, "_done"),
    "a job leaves the line": (EmbeddedQueue, "_settle"),
    "the engine works": (Engine, "work"),
}
#: Not calls of ours, but moments within the making of words and pictures.
MOMENTS = ("between two words", "between two steps")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Countdown:
    """Dies when it is told so for the nth time."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            die()


def wrap(point: Point, side: str, reached: Callable[[], None]) -> None:
    owner, name = point
    real: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def wrapped(*args: Any, **more: Any) -> Any:
        if side == "before":
            reached()
        answer = await real(*args, **more)
        if side == "after":
            reached()
        return answer

    setattr(owner, name, wrapped)


class Slow(FakeRenderer):
    """Takes a moment for each step."""

    def __init__(self, step: Callable[[], None]) -> None:
        super().__init__(pause=0.005)
        self._step = step

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        def told(step: int, steps: int, preview: Preview | None = None) -> None:
            self._step()
            progress(step, steps, preview)

        return super().render(wanted, told)


class Talkative(FakeLanguage):
    """Takes a moment for each word."""

    def __init__(self, word: Callable[[], None]) -> None:
        super().__init__("One word after the other.", pause=0.002)
        self._word = word

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        async for piece in super().write(wanted):
            self._word()
            yield piece


def never_give_up() -> None:
    # How often somebody tries before giving up has tests of its own.
    for module, name in (
        (conversation, "MOST_ATTEMPTS"),
        (engine.pictures, "MAX_ATTEMPTS"),
        (engine.pictures.queue, "MAX_ATTEMPTS"),
    ):
        setattr(module, name, 1_000)


async def live(order: dict[str, Any]) -> None:
    point, reached = order["point"], Countdown(order["nth"])
    if point in POINTS:
        wrap(POINTS[point], order["side"], reached)
    never_give_up()

    def never() -> None: ...

    model = Talkative(reached if point == "between two words" else never)
    renderer = Slow(reached if point == "between two steps" else never)
    settings = read_settings()
    start_logging(Home(settings.home).log, settings.log, console=False)
    async with open_house(settings, models=[model], renderer=renderer) as house:
        await house.stop.wait()


if __name__ == "__main__":
    bear(live)
