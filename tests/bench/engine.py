"""What the engine costs: CPU per message, start-up, memory at rest, and the way from a clone to a first reply.

CPU per message is set against the very same SQL, replayed by bare aiosqlite on a copy of the database: the
statements are recorded from the engine, so nothing can be left out. The model costs nothing on either side.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiosqlite
import psutil
from sqlalchemy import event

from bot.client import Client
from bot.logs import start_logging
from engine.conversation import Draft
from engine.engine import Engine
from engine.home import Home
from engine.language import Source, Wanted
from engine.settings import LimitSettings, LogSettings, Settings, WebSettings
from engine.store.records import Account, ChatRef, Incoming
from tests.bench.harness import Figure, interleaved, median, ratio, report

MESSAGES = 200
ROOT = Path(__file__).parent.parent.parent
GREENROOM = Path(sys.executable).parent / "greenroom"

Statement = tuple[str, tuple[Any, ...]]


class Free:
    """A language model that costs nothing."""

    name = "free"
    source = Source.MODEL

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        yield "Quite so."

    async def close(self) -> None:
        return


def settings_of(home: Path) -> Settings:
    generous = LimitSettings(messages_per_minute=1_000_000, place_messages_per_minute=1_000_000)
    return Settings(home=home, web=WebSettings(port=0), limits=generous)


async def talk(engine: Engine, first: int, count: int = MESSAGES) -> None:
    """So many messages of one person, each heard, answered, and both stored."""
    chat, account = ChatRef("bench", "one", "chat"), Account("bench", "person", "Ana")
    for number in range(first, first + count):
        said = await engine.conversation.hear(Incoming(chat, account, f"message {number}", str(number)))
        assert said is not None
        assert await engine.conversation.reply(said, Draft()) is not None


async def prepared(home: Path) -> None:
    """A home in which the persona and the person know each other already."""
    async with Engine.open(settings_of(home), models=[Free()]) as engine:
        await talk(engine, 0, 20)


async def recorded(home: Path) -> list[Statement]:
    """Every statement of the timed part, as the engine sends it to the driver."""
    statements: list[Statement] = []
    async with Engine.open(settings_of(home), models=[Free()]) as engine:
        await talk(engine, 20, 2)
        sync = engine.database._engine.sync_engine

        @event.listens_for(sync, "before_cursor_execute")
        def _record(_c: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, _many: bool) -> None:
            statements.append((sql, tuple(parameters)))

        @event.listens_for(sync, "commit")
        def _record_commit(_connection: Any) -> None:
            statements.append(("COMMIT", ()))

        @event.listens_for(sync, "rollback")
        def _record_rollback(_connection: Any) -> None:
            statements.append(("ROLLBACK", ()))

        await talk(engine, 22)
    return statements


async def by_engine(home: Path) -> float:
    async with Engine.open(settings_of(home), models=[Free()]) as engine:
        await talk(engine, 20, 2)  # statements are compiled once, not per message
        began = time.process_time()
        await talk(engine, 22)
        return (time.process_time() - began) / MESSAGES


async def by_bare_aiosqlite(home: Path, statements: list[Statement]) -> float:
    async with Engine.open(settings_of(home), models=[Free()]) as engine:
        await talk(engine, 20, 2)
    async with aiosqlite.connect(home / "greenroom.db", isolation_level=None) as db:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
            await db.execute(f"PRAGMA {pragma}")
        began = time.process_time()
        for sql, parameters in statements:
            await db.execute_fetchall(sql, parameters)
        return (time.process_time() - began) / MESSAGES


async def aiogram_update() -> float:
    """One update through aiogram's dispatcher to a handler that does nothing."""
    from datetime import UTC, datetime

    from aiogram import Bot, Dispatcher
    from aiogram.types import Chat, Message, Update, User

    bot, dispatcher = Bot("123:abc"), Dispatcher()

    @dispatcher.message()
    async def _nothing(_message: Message) -> None:
        return

    def update(number: int) -> Update:
        message = Message(
            message_id=number,
            date=datetime.now(UTC),
            chat=Chat(id=1, type="private"),
            from_user=User(id=1, is_bot=False, first_name="Ana"),
            text=f"message {number}",
        )
        return Update(update_id=number, message=message)

    updates = [update(number) for number in range(1_000)]
    began = time.process_time()
    for one in updates:
        await dispatcher.feed_update(bot, one)
    spent = (time.process_time() - began) / len(updates)
    await bot.session.close()
    return spent


def profile(home: Path) -> str:
    """Where the engine's time on the loop goes, by library."""
    profiler = cProfile.Profile(time.thread_time)  # waiting is no work

    async def run() -> None:
        async with Engine.open(settings_of(home), models=[Free()]) as engine:
            await talk(engine, 20, 2)
            profiler.enable()
            await talk(engine, 22)
            profiler.disable()

    asyncio.run(run())
    # The type stubs do not know `stats`, the table that pstats prints from.
    by_library: dict[str, float] = {}
    for (file, _line, name), (_cc, _nc, own, _cum, _callers) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        by_library[_library(file, name)] = by_library.get(_library(file, name), 0.0) + own
    whole = sum(by_library.values())
    ranked = sorted(by_library.items(), key=lambda item: -item[1])[:8]
    return "where the loop's time goes:\n" + "\n".join(
        f"  {part / whole:5.0%}  {library}" for library, part in ranked
    )


def _library(file: str, name: str) -> str:
    if "site-packages" in file:
        return file.split("site-packages/")[1].split("/")[0]
    if file.startswith(str(ROOT)):
        return "greenroom: " + str(Path(file).relative_to(ROOT).with_suffix("")).replace("/", ".")
    if file == "~":
        return "builtins" if "sqlite3" not in name else "sqlite3"
    return "standard library: " + Path(file).parent.name


def run_and_wait(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def memory_at_rest() -> float:
    """Megabytes of `greenroom up`, some seconds after it opened, with nobody talking."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        process = up([str(GREENROOM), "up"], home, ROOT)
        try:
            opened(home, process)
            time.sleep(3)
            return float(psutil.Process(process.pid).memory_info().rss / 1e6)
        finally:
            ended(process)


def clone_to_first_reply() -> float:
    """Seconds from `make up` in a fresh clone to the first words of a persona."""
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        began = time.perf_counter()
        process = up(["make", "up"], home, clone)
        try:
            opened(home, process, within=600)
            asyncio.run(first_reply(home))
            return time.perf_counter() - began
        finally:
            ended(process)


def up(command: list[str], home: Path, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"GREENROOM_HOME": str(home), "GREENROOM_WEB__PORT": "0"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def opened(home: Path, process: subprocess.Popen[bytes], within: float = 30) -> None:
    until = time.monotonic() + within
    while Home(home).owner() is None:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("greenroom did not open")
        time.sleep(0.05)


def ended(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=20)


async def first_reply(home: Path) -> None:
    owner = Home(home).owner()
    assert owner is not None
    client = Client(owner)
    await client.enter("bench")
    await client.post("/chats/bench/turns", text="Good morning!", key="1")
    async for message in client.live("/chats/bench/live"):
        if message["is"] == "delivery":
            break
    await client.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--no-clone", action="store_true", help="leave out the fresh clone, which takes a minute"
    )
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start_logging(Path(folder) / "greenroom.log", LogSettings(), console=False)
        start = Path(folder) / "start"
        asyncio.run(prepared(start))

        def copy(name: str) -> Path:
            target = Path(folder) / name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(start, target)
            return target

        statements = asyncio.run(recorded(copy("recorded")))
        cpu = interleaved(
            {
                "engine": lambda: asyncio.run(by_engine(copy("engine"))),
                "bare": lambda: asyncio.run(by_bare_aiosqlite(copy("bare"), statements)),
                "aiogram": lambda: asyncio.run(aiogram_update()),
            }
        )
        where = profile(copy("profile"))
    starts = interleaved(
        {
            "help": lambda: run_and_wait([str(GREENROOM), "--help"]),
            "pass": lambda: run_and_wait([sys.executable, "-c", "pass"]),
        },
        rounds=9,
    )
    notes = (
        f"engine {median(cpu['engine']) * 1e6:.0f} µs, bare aiosqlite {median(cpu['bare']) * 1e6:.0f} µs a message "
        f"({len(statements) / MESSAGES:.1f} statements), aiogram {median(cpu['aiogram']) * 1e6:.0f} µs an update\n"
        f"{where}"
    )
    seconds = None if chosen.no_clone else clone_to_first_reply()
    figures = [
        Figure(
            "engine CPU per message ÷ the same statements in bare aiosqlite",
            ratio(cpu, "engine", "bare"),
            "≤ 5",
            "lower",
            "1: the statements themselves",
        ),
        Figure(
            "engine CPU per message, in no-op aiogram updates",
            ratio(cpu, "engine", "aiogram"),
            "told",
            "lower",
            "the update itself is 1",
        ),
        Figure("greenroom --help, seconds", median(starts["help"]), "< 0.4", "lower", "python -c pass"),
        Figure(
            "greenroom --help ÷ python -c pass",
            ratio(starts, "help", "pass"),
            "≤ 20",
            "lower",
            "1: Python itself",
        ),
        Figure("memory at rest, MB", memory_at_rest(), "≤ 120", "lower", "Python itself: 10 MB"),
        Figure(
            "make up in a fresh clone to the first reply, seconds",
            seconds,
            "< 60",
            "lower",
            "the download of the packages",
            None if seconds is not None else "left out with --no-clone",
        ),
    ]
    report(
        "engine",
        figures,
        notes,
        how="CPU and start-up are medians of 5 and 9 interleaved rounds; memory and make up were taken once",
    )


if __name__ == "__main__":
    main()
