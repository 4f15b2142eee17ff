"""Work that the owner of the home does: followed to its end with a bar, whoever owns the home meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from bot.cli import opening
from bot.cli.ending import Interrupted

if TYPE_CHECKING:
    import asyncio

    from bot.client import Client
    from engine.settings import Settings

Answer = TypeVar("Answer")

Message = dict[str, Any]
#: Changes what a bar shows.
Shows = Callable[..., None]

#: An owner that closes over some work is followed by another so often.
MOST_OWNERS = 5


async def owned(settings: Settings, work: Callable[[Client, asyncio.Event], Awaitable[Answer]]) -> Answer:
    """What comes of work that the owner is asked for. One that closes over it is followed by the next, perhaps this
    process; `work` begins again there, and asks for nothing twice.

    `work` is given what Ctrl-C sets, from before it asks for anything: a house may be at work on it before its answer
    is read here. Until an owner is there nothing is asked for, and Ctrl-C simply ends the command.
    """
    import asyncio

    from bot.client import GoneError, reach
    from bot.house import stopped_by_signals

    asked = asyncio.Event()
    heard = False
    with ExitStack() as hearing:

        async def once() -> Answer:
            nonlocal heard
            async with reach(settings) as client:
                if not heard:
                    hearing.enter_context(stopped_by_signals(asked))
                    heard = True
                return await work(client, asked)

        for _ in range(MOST_OWNERS - 1):
            try:
                return await once()
            except GoneError:
                await asyncio.sleep(0.2)
        return await once()


async def unless_pressed(order: Coroutine[Any, Any, Answer], pressed: asyncio.Event, told: str) -> Answer:
    """What the owner answers to an order. Ctrl-C ends the wait for it at once; `told` is what is said then, for
    nobody here knows whether it was heard.
    """
    import asyncio

    ordering, waiting = asyncio.create_task(order), asyncio.create_task(pressed.wait())
    try:
        await asyncio.wait([ordering, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not ordering.done():
            raise Interrupted(told)
        return ordering.result()
    finally:
        for one in (ordering, waiting):
            one.cancel()
        await asyncio.wait([ordering, waiting])


async def until_ended(
    client: Client, job: Message, asked: asyncio.Event | None = None, *, quiet: bool
) -> Message:
    """Follow a job to its end, with a bar. Ctrl-C takes it back if only this process works on it.

    `asked` is what Ctrl-C sets; None: it is heard from now on.
    """
    import asyncio

    from bot.client import GoneError
    from bot.house import stopped_by_signals
    from engine.errors import RenderFailed, Stopped

    pressed = asked or asyncio.Event()
    with nullcontext() if asked else stopped_by_signals(pressed), bar("steps", quiet=quiet) as shows:
        following = asyncio.create_task(_follow(client, job, partial(_tell, shows)))
        waiting = asyncio.create_task(pressed.wait())
        await asyncio.wait([following, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not following.done():
            following.cancel()
            await asyncio.wait([following])
            raise Interrupted(await _left_behind(client, job["id"]))
        ended = following.result()
    if ended["state"] == "cancelled":
        raise Stopped(f"Job {ended['id']} was cancelled.")
    if ended["state"] == "failed":
        raise RenderFailed(f"Job {ended['id']} failed. {ended['error']}")
    if ended["state"] != "done":
        raise GoneError(
            f"Greenroom closed before job {ended['id']} was made. It goes on after the next start."
        )
    return ended


async def _follow(client: Client, job: Message, told: Callable[[Message], None]) -> Message:
    import asyncio

    watching = asyncio.create_task(_watch_the_line(client, job, told))
    try:
        async for message in client.live(f"/jobs/{job['id']}/live"):
            watching.cancel()
            if message["is"] == "job":
                return message
            told(message)
    finally:
        watching.cancel()
    ended: Message = await client.get(f"/jobs/{job['id']}")
    return ended


async def _watch_the_line(client: Client, job: Message, told: Callable[[Message], None]) -> None:
    """Until work on it begins, say how many stand before it."""
    import asyncio

    from engine.errors import GreenroomError

    try:
        while job["state"] == "queued":
            told({"is": "waiting", "ahead": job["ahead"]})
            await asyncio.sleep(0.5)
            job = await client.get(f"/jobs/{job['id']}")
    except GreenroomError:
        return  # the one who follows the job sees it too, and tells it


async def _left_behind(client: Client, job_id: int) -> str:
    if not opening.is_own(client):
        return f"Job {job_id} goes on. `greenroom jobs cancel {job_id}` takes it back."
    from engine.errors import GreenroomError

    try:
        await client.post(f"/jobs/{job_id}/cancel")
    except GreenroomError:
        return f"Job {job_id} had just ended: `greenroom jobs show {job_id}`."
    return f"Job {job_id} is cancelled."


def _tell(shows: Shows, message: Message) -> None:
    if message["is"] == "waiting":
        ahead = message["ahead"]
        shows(description=f"In line, {ahead} before it" if ahead else "In line")
    elif message["is"] == "job.step":
        step, steps = message["step"], message["steps"]
        shows(description="Drawing", completed=step, total=steps, steps=f"{step}/{steps}")


@contextmanager
def bar(beside: str, *after: str, quiet: bool) -> Iterator[Shows]:
    """A bar on stderr where somebody looks at it; it goes away when the work is done.

    `beside` and `after` name what stands before the time that it took, and behind it.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(
            bar_width=32, complete_style="#8fbf9f", finished_style="#8fbf9f", pulse_style="bright_black"
        ),
        TextColumn(f"{{task.fields[{beside}]}}", style="bright_black"),
        TimeElapsedColumn(),
        *(TextColumn(f"{{task.fields[{name}]}}", style="bright_black") for name in after),
    )
    err = opening.console(err=True)
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
        nothing_yet: dict[str, Any] = dict.fromkeys((beside, *after), "")
        task = progress.add_task("Asking", total=None, **nothing_yet)
        yield partial(progress.update, task)
